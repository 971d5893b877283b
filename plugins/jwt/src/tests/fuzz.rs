use serde_json::Value;

use super::*;

/// Whether a token's claims admit it, read with another reader.
fn admits(claims: &Value) -> bool {
    let seconds = |name: &str| claims.get(name).map(|time| time.as_f64().unwrap_or(f64::NAN));
    let now = 1_800_000_000.0;
    let audience = &claims["aud"];
    let is_ours = audience == "orders"
        || audience.as_array().is_some_and(|list| list.iter().any(|name| name == "orders"));
    claims["iss"] == ISSUER
        && is_ours
        && seconds("exp").is_some_and(|ends| ends > now)
        && seconds("nbf").is_none_or(|begins| begins <= now)
        && seconds("iat").is_none_or(|issued| issued <= now)
        && claims["sub"].as_str().is_some_and(|name| !name.is_empty())
}

/// The input is a header and claims, a line each: signed as they are, so that whatever is
/// refused is refused for what it says.
#[test]
fn fuzz_claims() {
    let words = &[
        "\n",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "[",
        "]",
        "\"alg\":",
        "\"RS256\"",
        "\"none\"",
        "\"HS256\"",
        "\"kid\":\"one\"",
        "\"crit\":[]",
        "\"iss\":",
        "\"aud\":",
        "\"orders\"",
        "\"exp\":",
        "\"nbf\":",
        "\"iat\":",
        "\"sub\":",
        "\"scope\":",
        "1800000060",
        "1799999999.5",
        "1e10",
        "-1",
        "null",
        "true",
        "\"https://login.example.com/\"",
        "\\u006f",
        "é",
    ];
    let plugin: Jwt = configured(settings()).unwrap();
    let _host = host();
    portcullis_fuzz::target!("claims", words, |input| {
        let text = String::from_utf8_lossy(input);
        let (header, claims) = text.split_once('\n').unwrap_or((&text, ""));
        let token = signed(header, claims);
        let Ok(grant) = plugin.authorize(&bearing(&token)) else { return };
        let read: Value = serde_json::from_str(claims).expect("claims are JSON");
        assert!(admits(&read), "{text}");
        assert_eq!(Some(grant.identity.principal.as_str()), read["sub"].as_str());
        let ends = grant.expires_at.expect("an answer ends with its token");
        assert!(ends as f64 <= read["exp"].as_f64().unwrap() * 1000.0 + 1.0, "{text}");
        // Nobody else's signature, and no other text under this one.
        let (message, _) = token.rsplit_once('.').unwrap();
        let forged = format!("{message}.{}", encode(signature(b"another")));
        assert!(plugin.authorize(&bearing(&forged)).is_err(), "{text}");
    });
}
