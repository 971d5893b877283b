use serde_json::json;

use super::{judge, of_schema, of_settings, told};

#[test]
fn a_body_as_promised_has_no_violation() {
    let plugin = of_schema(&json!({ "type": "object", "required": ["id"] }));

    assert_eq!(told(&plugin, r#"{"id": 1}"#), [""; 0]);
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    let plugin = of_schema(&json!({
        "type": "object",
        "required": ["id", "a/b"],
        "additionalProperties": false,
        "properties": {
            "id": { "type": "integer", "minimum": 1 },
            "tags": { "type": "array", "uniqueItems": true, "items": { "enum": ["x", "y"] } },
            "mail": { "type": "string", "format": "email", "maxLength": 5 },
            "a/b": true,
        },
    }));

    let mut found =
        told(&plugin, r#"{"id": 0, "tags": ["x", "z", "x"], "mail": "nobody", "~": 1}"#);
    found.sort();

    assert_eq!(
        found,
        [
            "/a~1b: is required",
            "/id: must be at least 1",
            "/mail: must be of the format email",
            "/mail: must have at most 5 characters",
            "/tags/1: must be one of \"x\", \"y\"",
            "/tags: must not have equal items",
            "/~0: is not known here",
        ]
    );
}

#[test]
fn words_do_not_repeat_what_the_client_sent() {
    let plugin = of_schema(&json!({
        "properties": {
            "any": { "anyOf": [{ "type": "null" }, { "type": "boolean" }] },
            "one": { "oneOf": [{ "type": "number" }, { "multipleOf": 2 }] },
            "not": { "not": { "type": "string" } },
            "const": { "const": { "a": 1 } },
            "type": { "type": ["integer", "null"] },
            "names": { "propertyNames": { "maxLength": 2 } },
            "pattern": { "pattern": "^[a-z]+$" },
        },
    }));

    let body = r#"{"any": "s3cret", "one": 4, "not": "s3cret", "const": {"a": "s3cret"},
        "type": "s3cret", "names": {"s3cret": 1}, "pattern": "S3CRET"}"#;
    let found = told(&plugin, body).join("\n");

    assert_eq!(found.lines().count(), 7, "{found}");
    assert!(!found.to_lowercase().contains("s3cret"), "{found}");
    assert!(found.contains("/type: must be null or a whole number"), "{found}");
}

#[test]
fn a_client_is_told_of_so_many_violations_and_no_more() {
    let settings = json!({
        "documents": { "a": { "items": { "type": "string" } } },
        "schemas": { "a": { "document": "a" } },
        "limits": { "violations": 3 },
    });
    let plugin = of_settings(settings).unwrap();

    let found = told(&plugin, format!("[{}1]", "1,".repeat(50_000)));

    assert_eq!(found.len(), 4);
    assert_eq!(found[3], ": is also wrong in other places");
}

#[test]
fn the_argument_says_which_schema_is_meant() {
    let settings = json!({
        "documents": { "a": { "$defs": { "x": { "type": "string" }, "y": { "type": "null" } } } },
        "schemas": {
            "x": { "document": "a", "pointer": "/$defs/x" },
            "y": { "document": "a", "pointer": "/$defs/y" },
        },
    });
    let plugin = of_settings(settings).unwrap();
    let about = |argument: &str| {
        use portcullis_plugin_sdk::{Request, Validator};
        plugin.validate(&Request::post("/", "null").with_argument(argument)).len()
    };

    assert_eq!((about("x"), about("y"), about("z")), (1, 0, 1));
    assert_eq!(judge(&plugin, "null").len(), 1, "no argument, and two schemas");
}
