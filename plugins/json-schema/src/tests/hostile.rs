use serde_json::{Value, json};

use super::{of_schema, of_settings, told};
use crate::json::{self, Limits};

fn refused(body: impl Into<Vec<u8>>, expected: &str) {
    let body = body.into();
    let found = told(&of_schema(&json!(true)), body.clone());
    assert_eq!(found.len(), 1, "{found:?}");
    let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
    assert!(found[0].starts_with(expected), "{shown}: {found:?}, expected {expected}");
}

#[test]
fn what_two_readers_could_take_differently_is_refused() {
    refused(r#"{"a": {"b": 1, "b": 2}}"#, "/a/b: is written twice");
    refused(r#"{"a": 1, "\u0061": 2}"#, "/a: is written twice");
    let many: String = (0..100).map(|at| format!("\"{at}\": 0, ")).collect();
    refused(format!("{{{many} \"50\": 1}}"), "/50: is written twice");
    refused(b"\"\xff\"".to_vec(), ": is not UTF-8 from byte 1 on");
    refused(b"\xef\xbb\xbf{}".to_vec(), ": is no JSON");
    refused(r#"["\ud800"]"#, "/0: holds half a surrogate pair");
    refused(r#"["\ud800\u0041"]"#, "/0: holds half a surrogate pair");
    refused(r#"["\udc00"]"#, "/0: holds half a surrogate pair");
    refused("{} {}", ": is followed by something else");
    refused("[1e999]", "/0: is a number too large to be held");
    refused(format!("[{}]", "9".repeat(65)), "/0: is a number of more than 64 bytes");
}

#[test]
fn what_is_no_json_is_refused() {
    for body in [
        "nul",
        "[1,]",
        "{\"a\":}",
        "{\"a\" 1}",
        "{a: 1}",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e]",
        "[-]",
        "'a'",
        "[\"a]",
        "[\"\t\"]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "{",
        "[",
        "NaN",
        "[1 2]",
        " ",
        "{\"a\":1 \"b\":2}",
        "[\"\\u12é\"]",
    ] {
        let found = told(&of_schema(&json!(true)), body);
        assert!(found.len() == 1 && found[0].contains("is no JSON"), "{body}: {found:?}");
    }
    refused("", ": is required");
}

#[test]
fn limits_bound_depth_size_and_texts() {
    refused(
        "[".repeat(1_000_000),
        &format!("{}: is nested deeper than 64 levels", "/0".repeat(64)),
    );
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    assert_eq!(told(&of_schema(&json!(true)), deep), [""; 0]);
    let settings = json!({
        "documents": { "a": true },
        "schemas": { "a": { "document": "a" } },
        "limits": { "text": 5, "values": 4 },
    });
    let plugin = of_settings(settings).unwrap();
    assert_eq!(told(&plugin, r#"["12345", 1, 2]"#), [""; 0]);
    assert_eq!(told(&plugin, r#"["123456"]"#), ["/0: has a text of more than 5 bytes"]);
    assert_eq!(told(&plugin, r#"["\u0031\u0032"]"#).len(), 1, "as written");
    assert_eq!(told(&plugin, "[1, 2, 3, 4]"), ["/3: holds more than 4 values"]);
}

#[test]
fn patterns_are_matched_in_linear_time() {
    let plugin = of_schema(&json!({ "pattern": "^(a+)+$" }));
    let found = told(&plugin, format!("\"{}!\"", "a".repeat(100_000)));
    assert_eq!(found, [": must match the pattern ^(a+)+$"]);
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let plugin = of_schema(&json!({
        "properties": { "next": { "$ref": "#" } },
        "additionalProperties": false,
        "anyOf": [{ "$ref": "#/$defs/a" }],
        "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }, true] }, "b": { "$ref": "#/$defs/a" } },
    }));
    assert_eq!(told(&plugin, r#"{"next": {"next": {}}}"#), [""; 0]);
    assert_eq!(told(&plugin, r#"{"next": {"last": {}}}"#), ["/next/last: is not known here"]);
}

#[test]
fn the_reader_agrees_with_serde_json_on_what_is_sound() {
    for text in [
        r#"{"a": [1, -2.5e-3, 0, -0, 1E2, "\"\\\/\b\f\n\r\té\ud83d\ude00", true, false, null, {}, []]}"#,
        "  [ ] ",
        "18446744073709551615",
        "\"\"",
        "-1.5",
    ] {
        let body = json::parse(text.as_bytes(), &Limits::default()).unwrap();
        let json = body.root();
        let value: Value = serde_json::from_str(text).unwrap();
        use jsonschema::json::Node as _;
        assert!(json.equals_value(&value), "{text}: {json:?}");
    }
}

#[test]
fn names_are_told_no_longer_than_anybody_reads() {
    let long = "~".repeat(100_000);
    let closed = json!({ "properties": {}, "additionalProperties": false });
    for (schema, body, end) in [
        (json!(true), format!("{{\"{long}\": 1, \"{long}\": 2}}"), ": is written twice"),
        (json!(true), format!("{{\"{long}\": nul}}"), ": is no JSON"),
        (closed, format!("{{\"{long}\": 1}}"), ": is not known here"),
        (
            json!({ "additionalProperties": { "type": "string" } }),
            format!("{{\"{long}\": 1}}"),
            ": must be",
        ),
    ] {
        let found = told(&of_schema(&schema), body);

        assert_eq!(found.len(), 1, "{end}");
        assert!(found[0].starts_with("/~0~0") && found[0].contains("…"), "{:.80}", found[0]);
        assert!(found[0].len() < 500 && found[0].contains(end), "{}", found[0]);
    }
}
