//! What strangers send, read by other readers too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::json::{Json, Object};
use crate::token::{Header, Parts};

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
        (Json::Texts(read), Value::Object(value)) => {
            read.len() == value.len()
                && read.iter().all(|(name, text)| value.get(&**name) == Some(&(**text).into()))
        }
        (Json::Deep, Value::Object(value)) => value.values().any(|it| !it.is_string()),
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
        let Ok(parts) = Parts::of(&token) else { return };
        // Each token has one spelling.
        let again = [&parts.header, &parts.claims, &parts.signature]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
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
