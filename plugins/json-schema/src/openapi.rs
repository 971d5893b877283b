//! Schema objects of OpenAPI, rewritten as the JSON Schema that they mean.

use serde_json::{Map, Value, json};

use crate::settings::Dialect;

/// Keywords whose value is a schema.
const ONE: [&str; 13] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "schema",
];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// Keywords whose value is a table of schemas.
const NAMED: [&str; 5] =
    ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// Rewrites a schema and those in it. Rewriting twice changes nothing more.
pub(crate) fn rewrite(schema: &mut Value, dialect: Dialect) {
    let Value::Object(members) = schema else { return };
    if dialect == Dialect::OpenApi30 {
        nullable(members);
    }
    bounds_of_format(members);
    for (keyword, value) in members.iter_mut() {
        let keyword = keyword.as_str();
        match value {
            Value::Array(items) if LIST.contains(&keyword) => {
                items.iter_mut().for_each(|item| rewrite(item, dialect));
            }
            Value::Object(named) if NAMED.contains(&keyword) => {
                named.values_mut().for_each(|schema| rewrite(schema, dialect));
            }
            value if ONE.contains(&keyword) => rewrite(value, dialect),
            _ => {}
        }
    }
}

/// `nullable` adds a type where there is one, and says nothing where there is none.
fn nullable(members: &mut Map<String, Value>) {
    if members.remove("nullable") != Some(Value::Bool(true)) {
        return;
    }
    if let Some(kind) = members.get_mut("type")
        && kind.is_string()
    {
        *kind = json!([kind.take(), "null"]);
    }
}

/// Formats of numbers are bounds, which JSON Schema writes as such.
fn bounds_of_format(members: &mut Map<String, Value>) {
    let bounds = match members.get("format").and_then(Value::as_str) {
        Some("int32") => json!({ "minimum": i32::MIN, "maximum": i32::MAX }),
        Some("int64") => json!({ "minimum": i64::MIN, "maximum": i64::MAX }),
        _ => return,
    };
    members.remove("format");
    if let Value::Array(all) = members.entry("allOf").or_insert_with(|| json!([])) {
        all.push(bounds);
    }
}
