use serde_json::{Value, json};

use super::{of_settings, told};

/// Whether a body is as the schema of an API description wants it.
fn holds(openapi: &str, schema: Value, body: &str) -> bool {
    let document = json!({ "openapi": openapi, "components": { "schemas": { "A": schema,
        "Other": { "type": "string", "nullable": true, "description": "…" } } } });
    let settings = json!({
        "documents": { "api.yaml": document },
        "schemas": { "a": { "document": "api.yaml", "pointer": "/components/schemas/A" } },
    });
    told(&of_settings(settings).unwrap(), body).is_empty()
}

#[test]
fn openapi_3_0_means_what_it_says() {
    let check = |schema: Value, yes: &[&str], no: &[&str]| {
        for body in yes {
            assert!(holds("3.0.3", schema.clone(), body), "{schema} {body}");
        }
        for body in no {
            assert!(!holds("3.0.3", schema.clone(), body), "{schema} {body}");
        }
    };
    check(json!({ "type": "string", "nullable": true }), &["null", "\"a\""], &["1"]);
    check(json!({ "type": "string", "nullable": false }), &["\"a\""], &["null"]);
    check(json!({ "nullable": true, "minimum": 3 }), &["null", "4"], &["2"]);
    check(
        json!({ "type": "string", "nullable": true, "enum": ["a"] }),
        &["\"a\""],
        &["null", "\"b\""],
    );
    check(json!({ "minimum": 3, "exclusiveMinimum": true }), &["4"], &["3"]);
    check(json!({ "type": "integer", "format": "int32" }), &["2147483647"], &["2147483648"]);
    check(json!({ "type": "integer", "format": "int64" }), &["1"], &["9223372036854775808", "1.5"]);
    check(json!({ "type": "string", "format": "byte" }), &["\"YQ==\""], &["\"YQ=\"", "\"?\""]);
    check(json!({ "$ref": "#/components/schemas/Other" }), &["null", "\"a\""], &["1"]);
    check(
        json!({ "type": "object", "properties": { "nullable": { "type": "boolean" } },
            "discriminator": { "propertyName": "x" }, "xml": {}, "example": { "nullable": true } }),
        &["{\"nullable\": true}"],
        &["{\"nullable\": 1}", "null"],
    );
    check(
        json!({ "allOf": [{ "type": "object" }],
            "properties": { "a": { "type": "array", "items": { "type": "string", "nullable": true } } } }),
        &["{\"a\": [null]}"],
        &["{\"a\": [1]}"],
    );
}

#[test]
fn openapi_3_1_is_draft_2020_12() {
    let check = |schema: Value, yes: &str, no: &str| {
        assert!(holds("3.1.0", schema.clone(), yes), "{schema} {yes}");
        assert!(!holds("3.1.0", schema.clone(), no), "{schema} {no}");
    };
    check(json!({ "type": ["string", "null"] }), "null", "1");
    check(json!({ "exclusiveMinimum": 3 }), "4", "3");
    check(json!({ "const": 1 }), "1.0", "2");
    check(json!({ "prefixItems": [{ "type": "null" }], "items": false }), "[null]", "[null, 1]");
    check(json!({ "type": "integer", "format": "int32" }), "1", "2147483648");
    check(json!({ "$ref": "#/components/schemas/Other", "maxLength": 1 }), "\"a\"", "\"ab\"");
}

#[test]
fn the_document_says_its_dialect_or_the_settings_do() {
    let exclusive = |extra: Value, dialect: Value| {
        let mut document = json!({ "minimum": 3, "exclusiveMinimum": true });
        document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let mut at = json!({ "document": "a" });
        at.as_object_mut().unwrap().extend(dialect.as_object().unwrap().clone());
        of_settings(json!({ "documents": { "a": document }, "schemas": { "a": at } }))
            .map(|plugin| told(&plugin, "3").len())
            .map_err(|error| error.pointer)
    };
    let draft_4 = json!({ "$schema": "http://json-schema.org/draft-04/schema#" });
    assert_eq!(exclusive(draft_4, json!({})), Ok(1));
    assert_eq!(exclusive(json!({}), json!({ "dialect": "draft-04" })), Ok(1));
    assert_eq!(exclusive(json!({}), json!({})), Err("/documents/a/exclusiveMinimum".into()));
    let unknown = json!({ "$schema": "https://example.com/own" });
    assert_eq!(exclusive(unknown, json!({})), Err("/schemas/a".into()));
}
