//! Bodies of strangers against schemas that are known, and schemas that nobody has seen.

use std::panic::AssertUnwindSafe;

use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

use super::*;
use crate::json::{self as body, Limits};

/// A bit of everything that a schema may ask for.
fn order() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["id", "lines"],
        "properties": {
            "id": { "type": "string", "pattern": "^[a-z]{2}-[0-9]+$", "maxLength": 12 },
            "email": { "format": "email" },
            "on": { "format": "date-time" },
            "lines": {
                "type": "array", "minItems": 1, "maxItems": 4, "uniqueItems": true,
                "items": { "$ref": "#/$defs/line" },
            },
            "parent": { "$ref": "#" },
            "tags": { "contains": { "const": "new" }, "maxContains": 2 },
            "pay": { "oneOf": [
                { "properties": { "card": { "type": "string" } }, "required": ["card"] },
                { "properties": { "iban": { "type": "string" } }, "required": ["iban"] },
            ] },
        },
        "patternProperties": { "^x-": { "type": ["string", "null"] } },
        "propertyNames": { "maxLength": 8 },
        "dependentRequired": { "email": ["on"] },
        "if": { "required": ["parent"] },
        "then": { "not": { "required": ["tags"] } },
        "unevaluatedProperties": false,
        "$defs": { "line": {
            "prefixItems": [{ "enum": ["a", "b", 3, null] }, { "type": "integer" }],
            "type": ["array", "object"],
            "properties": { "n": { "type": "integer", "minimum": 1, "exclusiveMaximum": 100, "multipleOf": 3 } },
            "additionalProperties": { "type": "boolean" },
        } },
    })
}

/// What the library says natively, of values that another reader has read.
fn native(schema: &Value) -> jsonschema::Validator {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .build(schema)
        .unwrap()
}

/// Whether both readers hold each number exactly.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_some_and(|it| it.unsigned_abs() < 1 << 50),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Whether a place is in the value, or could be: a member that is missing.
fn leads_somewhere(value: &Value, place: &str) -> bool {
    let holder = place.rfind('/').map_or("", |slash| &place[..slash]);
    value.pointer(place).is_some() || value.pointer(holder).is_some()
}

#[test]
fn fuzz_schema_body() {
    let words = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"id\":",
        "\"ab-1\"",
        "\"lines\":",
        "\"n\":",
        "3",
        "99",
        "1e2",
        "-0",
        "1.5",
        "\"parent\":",
        "\"tags\":",
        "\"new\"",
        "\"pay\":",
        "\"card\":",
        "\"iban\":",
        "\"x-a\":",
        "\"email\":",
        "\"a@b.example\"",
        "\"on\":",
        "\"2026-01-01T00:00:00Z\"",
        "null",
        "true",
        "\\u0061",
        "\\ud800",
        "é",
    ];
    // Whoever catches a panic here looks at neither again.
    let (plugin, native) =
        (AssertUnwindSafe(of_schema(&order())), AssertUnwindSafe(native(&order())));
    let limits = Limits::default();
    portcullis_fuzz::target!("schema-body", words, |input| {
        let found = judge(&plugin, input);
        assert!(found.len() <= limits.violations + 1);
        let Ok(value) = serde_json::from_slice::<Value>(input) else {
            assert!(!found.is_empty(), "what is no JSON is refused");
            return;
        };
        if body::parse(input, &limits).is_err() {
            assert_eq!(found.len(), 1, "{found:?}");
            return;
        }
        if is_exact(&value) {
            assert_eq!(found.is_empty(), native.is_valid(&value), "{found:?}");
        }
        assert!(found.iter().all(|it| leads_somewhere(&value, &it.location)), "{found:?}");
    });
}

#[test]
fn fuzz_schema_document() {
    let words = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"$ref\":",
        "\"#\"",
        "\"#/$defs/a\"",
        "\"other#/a\"",
        "\"$defs\":{\"a\":",
        "\"$id\":",
        "\"$anchor\":",
        "\"$dynamicRef\":",
        "\"$dynamicAnchor\":",
        "\"allOf\":[",
        "\"anyOf\":[",
        "\"not\":",
        "\"type\":",
        "\"object\"",
        "\"string\"",
        "\"items\":",
        "\"properties\":{\"a\":",
        "\"pattern\":",
        "\"(?=a)\"",
        "\"a{1,999}\"",
        "\"minLength\":",
        "\"$schema\":",
        "\"http://json-schema.org/draft-04/schema#\"",
        "\"openapi\":\"3.0.3\"",
        "\"nullable\":true",
        "\"discriminator\":",
        "true",
        "1",
        "%",
    ];
    let bodies = [r#"{"a": {"a": ["a", 1, null]}}"#, r#"["a", {}]"#, r#""a""#, "1"];
    portcullis_fuzz::target!("schema-document", words, |input| {
        let Ok(document) = serde_json::from_slice::<Value>(input) else { return };
        let settings = json!({
            "documents": { "a": document, "other": { "a": { "$ref": "a" }, "b": true } },
            "schemas": { "a": { "document": "a" } },
        });
        match of_settings(settings.clone()) {
            Err(refused) => {
                let place = refused.pointer.as_str();
                assert!(leads_somewhere(&settings, place), "{place}: {}", refused.message);
                assert!(!refused.message.contains('\n'), "{}", refused.message);
            }
            // What is taken judges whatever comes, and says the same again.
            Ok(plugin) => {
                for body in bodies {
                    assert_eq!(told(&plugin, body), told(&plugin, body));
                }
            }
        }
    });
}
