use serde_json::Value;

use super::*;
use crate::json::{Json, Object};
use crate::token::{Header, take_apart};

const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"a\":",
    "\"b\":",
    "1",
    "-0",
    "1e9",
    "1.50",
    "9223372036854775808",
    "true",
    "null",
    "\\u0061",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\n",
    "é",
    "\u{feff}",
    " ",
    "[[]]",
    "{}",
];

/// Whether a value is what another reader makes of it.
fn agrees(read: &Json<'_>, value: &Value) -> bool {
    match (read, value) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(read), Value::Bool(value)) => read == value,
        (Json::Integer(read), Value::Number(value)) => value.as_i64() == Some(*read),
        (Json::Number(read), Value::Number(value)) => value.as_f64() == Some(*read),
        (Json::Text(read), Value::String(value)) => read == value,
        (Json::List(read), Value::Array(value)) => {
            read.len() == value.len() && read.iter().zip(value).all(|(read, it)| agrees(read, it))
        }
        (Json::Deep, Value::Object(_)) => true,
        (Json::Deep, Value::Array(value)) => value.iter().any(|it| it.is_object() || it.is_array()),
        _ => false,
    }
}

#[test]
fn fuzz_json() {
    portcullis_fuzz::target!("json", JSON_WORDS, |input| {
        let Some(object) = Object::read(input) else { return };
        let value: Value = serde_json::from_slice(input).expect("a laxer reader reads it");
        let value = value.as_object().unwrap();
        assert_eq!(object.members().count(), value.len(), "no member is there twice");
        for (name, read) in object.members() {
            assert!(agrees(read, &value[name]), "{name}: {read:?} {}", value[name]);
            assert_eq!(object.get(name), Some(read));
        }
    });
}

#[test]
fn fuzz_compact_form() {
    let words = &[".", "e30", "eyJhbGciOiJSUzI1NiJ9", "=", "-", "_", "+", "/", "A", "é", "\0"];
    portcullis_fuzz::target!("compact-form", words, |input| {
        let token = String::from_utf8_lossy(input);
        let Ok(parts) = take_apart(&token) else { return };
        // Each token has one spelling.
        let again = [&parts.header, &parts.claims, &parts.signature].map(encode).join(".");
        assert_eq!(again, token);
        assert_eq!(parts.signed, again.rsplit_once('.').unwrap().0.as_bytes());
        if let Ok(header) = Header::read(&parts.header) {
            let value: Value = serde_json::from_slice(&parts.header).unwrap();
            for refused in ["crit", "zip", "enc", "jwk", "jku", "x5u", "x5c"] {
                assert_eq!(value.get(refused), None, "{token}");
            }
            assert_eq!(header.key_id(), value.get("kid").map(|id| id.as_str().unwrap()));
            assert!(value["alg"].as_str().is_some_and(|name| name != "none"), "{token}");
        }
    });
}

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
