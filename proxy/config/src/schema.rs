//! The JSON Schema of the configuration and the reference made from it.

use serde_json::{Value as Json, json};

use crate::document::Document;
use crate::read::Read as _;

/// The JSON Schema (draft 2020-12) of a configuration file.
pub fn schema() -> Json {
    let mut schema = Document::schema();
    if let Json::Object(members) = &mut schema {
        members.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        members.insert("$id".into(), json!("https://portcullis.dev/portcullis.schema.json"));
        members.insert("title".into(), json!("Portcullis configuration"));
    }
    schema
}

/// Every key of a configuration file, as Markdown.
pub fn reference() -> String {
    let mut sections = Vec::new();
    collect(&schema(), "", &mut sections);
    let mut text = String::from(
        "# Configuration reference\n\nEvery key of `portcullis.toml`; generated from the code.\n\n",
    );
    for section in &sections {
        text.push_str(&section.to_markdown());
    }
    text
}

/// A table of keys, and all the places where it may stand.
struct Section {
    paths: Vec<String>,
    body: String,
}

impl Section {
    fn to_markdown(&self) -> String {
        let quoted: Vec<String> = self.paths.iter().map(|path| format!("`{path}`")).collect();
        match quoted.split_first() {
            Some((path, [])) if path == "``" => format!("## Top level\n\n{}", self.body),
            Some((path, [])) => format!("\n## {path}\n\n{}", self.body),
            Some((path, more)) => {
                format!("\n## {path}\n\nAlso {}.\n\n{}", more.join(", "), self.body)
            }
            None => String::new(),
        }
    }
}

/// Adds the section of a table, and those of the tables in it.
fn collect(schema: &Json, path: &str, sections: &mut Vec<Section>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let about = schema["description"].as_str().unwrap_or_default();
    let mut body = format!("{about}\n\n| key | type | default | |\n|---|---|---|---|\n");
    // In an order that does not depend on how `serde_json` was built.
    let mut properties: Vec<(&String, &Json)> = properties.iter().collect();
    properties.sort_by_key(|(key, _)| (!is_required(schema, key), *key));
    for (key, property) in &properties {
        let about = property["description"].as_str().unwrap_or_default();
        let (kind, default) = (kind(property), default(schema, key));
        body.push_str(&format!("| `{key}` | {kind} | {default} | {about} |\n"));
    }
    match sections.iter_mut().find(|section| section.body == body) {
        Some(section) => section.paths.push(path.to_owned()),
        None => sections.push(Section { paths: vec![path.to_owned()], body }),
    }
    for (key, property) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        for (table, path) in tables(property, &path) {
            collect(table, &path, sections);
        }
    }
}

fn is_required(table: &Json, key: &str) -> bool {
    table["required"].as_array().is_some_and(|keys| keys.iter().any(|name| name == key))
}

/// The default of a key, or that it has none and is required.
fn default(table: &Json, key: &str) -> String {
    let property = table["properties"].get(key);
    match property.and_then(|property| property.get("default")) {
        Some(Json::Object(_)) => String::new(),
        Some(default) => format!("`{default}`"),
        None if is_required(table, key) => "required".to_owned(),
        None => String::new(),
    }
}

/// The tables with fixed keys that a property may hold, with their paths.
fn tables<'s>(property: &'s Json, path: &str) -> Vec<(&'s Json, String)> {
    if property["properties"].is_object() {
        return vec![(property, path.to_owned())];
    }
    if property["additionalProperties"].is_object() {
        let name = if path.ends_with("routes") { "\"METHOD /path\"" } else { "NAME" };
        return tables(&property["additionalProperties"], &format!("{path}.{name}"));
    }
    if property["items"].is_object() {
        return tables(&property["items"], &format!("{path}[]"));
    }
    let alternatives = property["oneOf"].as_array().into_iter().flatten();
    alternatives.flat_map(|one| tables(one, path)).collect()
}

/// What a property takes, in a few words.
fn kind(property: &Json) -> String {
    if let Some(title) = property["title"].as_str() {
        return title.to_owned();
    }
    if let Some(words) = property["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if let Some(alternatives) = property["oneOf"].as_array() {
        let mut kinds: Vec<String> = Vec::new();
        for alternative in alternatives {
            // An alternative may have alternatives in turn, and two tables are one word.
            for word in kind(alternative).split(" or ") {
                if kinds.iter().all(|known| known != word) {
                    kinds.push(word.to_owned());
                }
            }
        }
        return kinds.join(" or ");
    }
    let number = property["type"] == "integer";
    match property["type"].as_str() {
        Some(_) if number => format!("{} to {}", property["minimum"], property["maximum"]),
        Some("array") => format!("list of {}", kind(&property["items"])),
        Some("object") if property["additionalProperties"].is_object() => {
            format!("{} by name", kind(&property["additionalProperties"]))
        }
        Some("object") => "table".to_owned(),
        Some(other) => other.to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_every_key() {
        fn described(schema: &Json, path: &str) {
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                let about = property["description"].as_str().unwrap_or_default();
                assert!(about.ends_with('.'), "{path}.{key}: {about}");
                for (table, path) in tables(property, &format!("{path}.{key}")) {
                    described(table, &path);
                }
            }
        }
        described(&schema(), "");
        assert_eq!(schema()["properties"]["limits"]["default"], json!({}));
    }

    #[test]
    fn the_reference_lists_every_table() {
        let reference = reference();
        for table in ["listeners.NAME.tls", "upstreams.NAME.timeouts", "authorizers.NAME.budget"] {
            assert!(reference.contains(&format!("## `{table}`")), "{table}\n{reference}");
        }
        assert!(reference.contains("| `connect` | duration | `\"5s\"` |"), "{reference}");
        assert!(reference.contains("## `apis.NAME.routes.\"METHOD /path\"`"), "{reference}");
    }
}
