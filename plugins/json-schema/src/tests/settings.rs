use portcullis_plugin_sdk::{Request, Validator as _};
use serde_json::{Value, json};

use super::{of_settings, told};

fn check(settings: Value, pointer: &str, message: &str) {
    let error = of_settings(settings).unwrap_err();
    assert_eq!(error.pointer, pointer, "{}", error.message);
    assert!(error.message.contains(message), "{}", error.message);
}

fn one(schema: Value) -> Value {
    json!({ "documents": { "s/a.json": schema }, "schemas": { "a": { "document": "s/a.json" } } })
}

#[test]
fn what_is_no_schema_is_refused_where_it_is() {
    check(
        one(json!({ "properties": { "q": { "type": "strin" } } })),
        "/documents/s~1a.json/properties/q/type",
        "is no schema",
    );
    check(
        one(json!({ "$ref": "#/$defs/no" })),
        "/documents/s~1a.json/$ref",
        "`#/$defs/no` refers to nothing",
    );
    check(one(json!({ "items": { "$ref": "#no" } })), "/schemas/a", "no");
    check(
        one(json!({ "items": { "$ref": "https://example.com/x.json" } })),
        "/documents/s~1a.json/items/$ref",
        "nothing is fetched",
    );
    check(
        json!({ "documents": {}, "schemas": { "a": { "document": "b" } } }),
        "/schemas/a/document",
        "no document",
    );
    check(
        json!({ "documents": { "b": {} }, "schemas": { "a": { "document": "b", "pointer": "/x" } } }),
        "/schemas/a/pointer",
        "nothing is at",
    );
}

#[test]
fn patterns_that_could_blow_up_are_refused() {
    for pattern in ["(?=a)b", "(a)\\1", "(?<!a)b"] {
        let error = of_settings(one(json!({ "properties": { "x": { "pattern": pattern } } })));
        assert!(error.is_err(), "{pattern}");
    }
    let huge = format!("({}){{1000}}", "a{1000}");
    assert!(of_settings(one(json!({ "pattern": huge }))).is_err());
}

#[test]
fn documents_refer_to_each_other_by_their_names_and_ids() {
    let by_path = json!({
        "documents": {
            "s/a.json": { "$ref": "../t/b.json#/definitions/x" },
            "t/b.json": { "definitions": { "x": { "$ref": "c.json" } } },
            "t/c.json": { "type": "null" },
        },
        "schemas": { "a": { "document": "s/a.json" } },
    });
    let by_id = json!({
        "documents": {
            "s/a.json": { "$id": "https://example.com/x/a.json", "$ref": "d/b.json" },
            "s/d/b.json": { "type": "null" },
        },
        "schemas": { "a": { "document": "s/a.json" } },
    });
    let inside = json!({
        "documents": { "a.json": {
            "$id": "https://example.com/a.json",
            "$ref": "item",
            "$defs": { "item": { "$id": "item", "$ref": "#/$defs/n", "$defs": { "n": { "type": "null" } } } },
        } },
        "schemas": { "a": { "document": "a.json" } },
    });
    for settings in [by_path, by_id, inside] {
        let plugin =
            of_settings(settings.clone()).unwrap_or_else(|e| panic!("{settings} {}", e.message));
        assert_eq!(told(&plugin, "null"), [""; 0], "{settings}");
        assert_eq!(told(&plugin, "1"), [": must be null"], "{settings}");
    }
}

#[test]
fn formats_count_unless_they_are_ignored() {
    for (formats, violations) in [("check", 1), ("ignore", 0)] {
        let mut settings = one(json!({ "format": "date" }));
        settings["formats"] = json!(formats);
        assert_eq!(told(&of_settings(settings).unwrap(), "\"soon\"").len(), violations);
    }
}

#[test]
fn a_schema_that_stands_alone_is_the_same_among_others() {
    let alone = json!({ "properties": { "n": { "$ref": "#/$defs/n" } }, "$defs": { "n": { "type": "integer" } } });
    let user = json!({ "properties": { "m": { "$ref": "alone.json#/$defs/n" } } });
    let plugin = of_settings(json!({
        "documents": { "s/alone.json": alone, "s/user.json": user },
        "schemas": { "alone": { "document": "s/alone.json" }, "user": { "document": "s/user.json" } },
    }))
    .unwrap();
    let judged = |schema: &str, body: &str| {
        let request = Request::post("/", body).with_argument(schema);
        plugin.validate(&request).len()
    };
    assert_eq!(judged("alone", r#"{"n":1}"#), 0);
    assert_eq!(judged("alone", r#"{"n":"x","m":"x"}"#), 1);
    assert_eq!(judged("user", r#"{"n":"x","m":1}"#), 0);
    assert_eq!(judged("user", r#"{"m":"x"}"#), 1);
}
