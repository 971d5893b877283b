//! Tokens that somebody would like to see accepted. All are refused, each by the check
//! that was made for it; the client hears the same of nearly all.

use portcullis_plugin_sdk::Denial;
use serde_json::{Value, json};
use tokens::Refusal;

use super::{
    ISSUER, NOW, ask, bearing, code, encode, good_claims, good_header, settings, signed, token,
};

const HEADER: &str = r#"{"alg":"RS256","kid":"one"}"#;

/// Changed headers over good claims.
fn headers() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "alg": "none" }), "unsigned"),
        (json!({ "alg": "None" }), "unsigned"),
        (json!({ "alg": "NONE" }), "unsigned"),
        (json!({ "alg": "nOnE" }), "unsigned"),
        (json!({ "alg": "HS256" }), "algorithm-not-allowed"),
        (json!({ "alg": "HS512" }), "algorithm-not-allowed"),
        (json!({ "alg": "rs256" }), "unknown-algorithm"),
        (json!({ "alg": "RS256 " }), "unknown-algorithm"),
        (json!({ "alg": "RS1" }), "unknown-algorithm"),
        (json!({ "alg": "ES256K" }), "unknown-algorithm"),
        (json!({ "alg": "RSA-OAEP" }), "unknown-algorithm"),
        (json!({ "alg": "dir" }), "unknown-algorithm"),
        (json!({ "alg": "" }), "unknown-algorithm"),
        (json!({ "alg": null }), "malformed-header"),
        (json!({ "alg": 256 }), "malformed-header"),
        (json!({ "alg": ["RS256"] }), "malformed-header"),
        // The host's double has RSA keys: a signature of that length is another key's.
        (json!({ "alg": "ES256" }), "bad-signature"),
        (json!({ "alg": "EdDSA" }), "bad-signature"),
        (json!({ "alg": "RS384" }), "wrong-key-type"),
        (json!({ "kid": "two" }), "wrong-key-type"),
        (json!({ "kid": "three" }), "unknown-key"),
        (json!({ "kid": null }), "unknown-key"),
        (json!({ "kid": "../../etc/passwd" }), "unknown-key"),
        (json!({ "kid": "one' OR '1'='1" }), "unknown-key"),
        (json!({ "kid": "" }), "malformed-header"),
        (json!({ "kid": 1 }), "malformed-header"),
        (json!({ "kid": { "a": 1 } }), "malformed-header"),
        (json!({ "kid": "k".repeat(257) }), "malformed-header"),
        (json!({ "crit": ["exp"] }), "unsupported-header"),
        (json!({ "crit": [] }), "unsupported-header"),
        (json!({ "crit": ["b64"], "b64": false }), "unsupported-header"),
        (json!({ "b64": false }), "unsupported-header"),
        (json!({ "b64": "false" }), "unsupported-header"),
        (json!({ "zip": "DEF" }), "unsupported-header"),
        (json!({ "enc": "A128GCM" }), "unsupported-header"),
        (json!({ "cty": "JWT" }), "unsupported-header"),
        (json!({ "cty": "application/jwt" }), "unsupported-header"),
        (json!({ "cty": 1 }), "malformed-header"),
        (json!({ "jwk": { "kty": "oct", "k": "AA" } }), "embedded-key"),
        (json!({ "jku": "https://evil.example.com/keys" }), "embedded-key"),
        (json!({ "x5u": "https://evil.example.com/cert" }), "embedded-key"),
        (json!({ "x5c": ["AA"] }), "embedded-key"),
        (json!({ "typ": "dpop+jwt" }), "wrong-type"),
        (json!({ "typ": "logout+jwt" }), "wrong-type"),
        (json!({ "typ": "secevent+jwt" }), "wrong-type"),
        (json!({ "typ": ["JWT"] }), "malformed-header"),
        (json!({ "pad": "p".repeat(4000) }), "token-too-long"),
    ]
}

/// Changed claims under a good header.
fn claims() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "iss": null }), "unknown-issuer"),
        (json!({ "iss": "https://evil.example.com/" }), "unknown-issuer"),
        (json!({ "iss": "https://login.example.com" }), "unknown-issuer"),
        (json!({ "iss": "https://LOGIN.example.com/" }), "unknown-issuer"),
        (json!({ "iss": [ISSUER] }), "unknown-issuer"),
        (json!({ "aud": null }), "wrong-audience"),
        (json!({ "aud": "Orders" }), "wrong-audience"),
        (json!({ "aud": [] }), "wrong-audience"),
        (json!({ "aud": "billing", "client_id": "orders" }), "wrong-audience"),
        (json!({ "aud": ["orders", 1] }), "malformed-claim"),
        (json!({ "aud": { "orders": 1 } }), "malformed-claim"),
        (json!({ "aud": null, "client_id": ["orders"] }), "malformed-claim"),
        (json!({ "exp": null }), "missing-claim"),
        (json!({ "exp": NOW }), "expired"),
        (json!({ "exp": NOW - 1 }), "expired"),
        (json!({ "exp": 0 }), "expired"),
        (json!({ "exp": -1 }), "malformed-claim"),
        (json!({ "exp": (NOW + 60).to_string() }), "malformed-claim"),
        (json!({ "exp": true }), "malformed-claim"),
        (json!({ "exp": [NOW + 60] }), "malformed-claim"),
        (json!({ "exp": (NOW + 60) * 1000 }), "malformed-claim"),
        (json!({ "exp": 1e300 }), "malformed-claim"),
        (json!({ "exp": u64::MAX }), "malformed-claim"),
        (json!({ "nbf": NOW + 1 }), "not-yet-valid"),
        (json!({ "nbf": "0" }), "malformed-claim"),
        (json!({ "iat": NOW + 1 }), "issued-in-future"),
        (json!({ "iat": {} }), "malformed-claim"),
        (json!({ "sub": null }), "no-principal"),
        (json!({ "sub": "" }), "no-principal"),
        (json!({ "sub": 7 }), "no-principal"),
        (json!({ "scope": 7 }), "malformed-claim"),
        (json!({ "scp": [["orders:read"]] }), "malformed-claim"),
    ]
}

/// Tokens that are written wrongly.
fn texts() -> Vec<(String, &'static str)> {
    let good = token(&json!({}), &json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let with_claims = |claims: &str| signed(HEADER, claims);
    let body = good_claims().to_string();
    let inside = &body[1..body.len() - 1];
    // The last of these characters has bits that belong to no byte.
    let header_of_one_spare = encode(r#"{"alg":"RS256","kid":"one" }"#);
    let spare = format!("{}B", &header_of_one_spare[..header_of_one_spare.len() - 1]);
    assert_ne!(spare, header_of_one_spare);
    vec![
        ("opaque".to_owned(), "malformed-token"),
        (".".to_owned(), "malformed-token"),
        ("..".to_owned(), "malformed-json"),
        (format!("{header}.{claims}"), "malformed-token"),
        (format!("{header}.{claims}."), "bad-signature"),
        (format!("{header}.{claims}.{signature}."), "malformed-token"),
        (format!("{header}.{claims}.{signature}.{signature}.{signature}"), "encrypted-token"),
        (format!("{header}.{claims}.{signature}.a.b.c"), "malformed-token"),
        (format!("{header}=.{claims}.{signature}"), "malformed-token"),
        (format!("{header}.{claims}==.{signature}"), "malformed-token"),
        (format!("{header}.{claims}.{signature}=="), "malformed-token"),
        (format!("{header}.{claims}.+{signature}"), "malformed-token"),
        (format!("{header}. {claims}.{signature}"), "malformed-token"),
        (format!("{header}.{claims}.{signature}\u{e9}"), "malformed-token"),
        (format!("{spare}.{claims}.{signature}"), "malformed-token"),
        (format!("{header}.{claims}.{}", encode("short")), "bad-signature"),
        (format!("{header}.{claims}.{}", encode([0; 256])), "bad-signature"),
        (
            format!("{header}.{}.{signature}", encode(body.replace("alice", "admin"))),
            "bad-signature",
        ),
        (signed("[]", &body), "malformed-json"),
        (signed("", &body), "malformed-json"),
        (signed(r#"{"alg":"RS256","alg":"none"}"#, &body), "malformed-json"),
        (signed(r#"{"alg":"RS256","\u0061lg":"none"}"#, &body), "malformed-json"),
        (signed(&format!("{HEADER}x"), &body), "malformed-json"),
        (with_claims("null"), "malformed-json"),
        (with_claims(&format!("[{body}]")), "malformed-json"),
        (with_claims(&format!("{body}{body}")), "malformed-json"),
        (with_claims(&format!("{{{inside},\"sub\":\"admin\"}}")), "malformed-json"),
        (with_claims(&format!("{{{inside},\"x\":{{\"a\":1,\"a\":2}}}}")), "malformed-json"),
        (
            with_claims(&format!("{{{inside},\"x\":{}1{}}}", "[".repeat(40), "]".repeat(40))),
            "malformed-json",
        ),
        (with_claims(&format!("{{{inside},\"x\":NaN}}")), "malformed-json"),
        (with_claims(&format!("{{{inside},\"x\":1e999}}")), "malformed-json"),
        (with_claims(&format!("{{{inside},\"x\":\"{}\"}}", "x".repeat(17_000))), "token-too-long"),
    ]
}

#[test]
fn hostile_tokens_are_refused_by_the_check_made_for_them() {
    let none = json!({});
    let headers = headers().into_iter().map(|(header, code)| (token(&header, &none), code));
    let claims = claims().into_iter().map(|(claims, code)| (token(&none, &claims), code));
    let all: Vec<_> = headers.chain(claims).chain(texts()).collect();

    assert_eq!(code(&settings(), &token(&none, &none)), "ok");
    assert!(all.len() > 100);
    for (token, expected) in all {
        assert_eq!(code(&settings(), &token), expected, "{token}");
    }
}

#[test]
fn one_issuers_keys_are_nothing_to_anothers_tokens() {
    let settings = json!({ "issuers": [
        { "issuer": ISSUER, "audience": "orders" },
        { "issuer": "https://other.example.com", "audience": "orders" },
        { "issuer": "us", "audience": "orders", "secret": "shared" },
    ] });
    let claiming = |issuer: &str| token(&json!({}), &json!({ "iss": issuer }));

    assert_eq!(code(&settings, &claiming(ISSUER)), "ok");
    // Signed well, but by the key of the first.
    assert_eq!(code(&settings, &claiming("https://other.example.com")), "unknown-key");
    assert_eq!(code(&settings, &claiming("us")), "algorithm-not-allowed");
}

#[test]
fn an_issuer_that_is_away_is_no_reason_to_throw_a_token_away() {
    let away = token(&json!({ "kid": "away" }), &json!({}));
    assert_eq!(code(&settings(), &away), "503 unavailable");
}

#[test]
fn the_client_learns_only_that_its_token_is_bad() {
    let challenge = |request| match ask(&settings(), &request) {
        Err(Denial::Unauthenticated(reason)) => {
            assert_eq!(reason.public_text, None);
            assert_eq!(reason.headers[0].name, "www-authenticate");
            String::from_utf8(reason.headers[0].value.clone()).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let bad = |claims| challenge(bearing(&token(&json!({}), &claims)));

    for claims in [json!({ "exp": 0 }), json!({ "aud": "x" }), json!({ "iss": "x" })] {
        assert_eq!(bad(claims), r#"Bearer error="invalid_token""#);
    }
    let (header, claims) = (good_header().to_string(), good_claims().to_string());
    let forged = format!("{}.{}.{}", encode(header), encode(claims), encode([0; 256]));
    assert_eq!(challenge(bearing(&forged)), r#"Bearer error="invalid_token""#);
    let twice = bearing("a.b.c").with_header("authorization", "Bearer a.b.c");
    assert!(challenge(twice).starts_with(r#"Bearer error="invalid_request""#));
    assert!(challenge(bearing("opaque")).contains("the token is malformed"));
}

#[test]
fn a_realm_is_said_in_every_challenge() {
    let mut settings = settings();
    settings["realm"] = "orders and more".into();

    let Err(Denial::Unauthenticated(reason)) = ask(&settings, &bearing("a.b.c")) else {
        panic!("a bad token")
    };

    let said = String::from_utf8(reason.headers[0].value.clone()).unwrap();
    assert!(said.starts_with(r#"Bearer realm="orders and more", error="invalid_token""#), "{said}");
}

#[test]
fn every_code_is_in_the_reference() {
    let reference = include_str!("../../../../docs/jwt.md");
    for refusal in Refusal::ALL {
        assert!(reference.contains(&format!("`{}`", refusal.code())), "{}", refusal.code());
    }
}
