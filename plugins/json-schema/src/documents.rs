//! The documents of the settings: which schemas are in reach, whether they are schemas,
//! and whether what they refer to is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jsonschema::{Draft, Retrieve, Uri};
use portcullis_plugin_sdk::SettingsError;
use serde_json::Value;

use crate::meta::MetaSchemas;
use crate::openapi;
use crate::pointer::below;
use crate::settings::Dialect;

/// Keywords whose values are no schemas, whatever they look like.
const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];
/// The scheme and root of documents that are named by a path.
const ROOT: &str = "json-schema:///";
/// The dialect of OpenAPI 3.1, which only adds remarks to draft 2020-12.
const DIALECT_31: &str = "https://spec.openapis.org/oas/3.1/dialect/base";
const DRAFT_2020_12: &str = "https://json-schema.org/draft/2020-12/schema";

/// The documents, as one dialect understands them.
pub(crate) struct Documents {
    dialect: Dialect,
    by_name: Arc<BTreeMap<String, Value>>,
    /// The schemas that were looked at, each with all that is in it: pointers by document.
    seen: BTreeMap<String, BTreeSet<String>>,
    meta: MetaSchemas,
}

/// A schema: its document's name and a JSON Pointer.
type At = (String, String);

impl Documents {
    /// Takes the documents of the settings.
    pub(crate) fn new(mut by_name: BTreeMap<String, Value>, dialect: Dialect) -> Self {
        for document in by_name.values_mut() {
            if let Some(named) = document.get_mut("$schema")
                && named.as_str().is_some_and(|it| it.trim_end_matches('#') == DIALECT_31)
            {
                *named = Value::from(DRAFT_2020_12);
            }
        }
        let seen = BTreeMap::new();
        Self { dialect, by_name: Arc::new(by_name), seen, meta: MetaSchemas::default() }
    }

    /// Checks a schema, and all that it refers to by path and pointer.
    pub(crate) fn check(&mut self, document: &str, pointer: &str) -> Result<(), SettingsError> {
        let mut waiting: Vec<At> = vec![(document.to_owned(), pointer.to_owned())];
        while let Some(at) = waiting.pop() {
            if self.is_seen(&at) {
                continue;
            }
            let (name, pointer) = &at;
            let document = Arc::make_mut(&mut self.by_name).get_mut(name);
            let Some(schema) = document.and_then(|document| document.pointer_mut(pointer)) else {
                let message = format!("there is no schema `{name}#{pointer}`");
                return Err(SettingsError::new(message));
            };
            if let Dialect::OpenApi30 | Dialect::OpenApi31 = self.dialect {
                openapi::rewrite(schema, self.dialect);
            }
            let draft = self.dialect.draft().detect(schema);
            self.meta.judge(draft, schema).map_err(|(below, message)| {
                SettingsError::at(format!("{}{below}", place(name, pointer)), message)
            })?;
            let mut references = Vec::new();
            references_in(schema, pointer, &mut references);
            for (from, reference) in references {
                waiting.extend(self.target(name, &from, &reference)?);
            }
            let (name, pointer) = at;
            self.seen.entry(name).or_default().insert(pointer);
        }
        Ok(())
    }

    /// The URI of a schema.
    pub(crate) fn uri(document: &str, pointer: &str) -> String {
        let mut uri = uri_of(document);
        if pointer.is_empty() {
            return uri;
        }
        uri.push('#');
        for byte in pointer.bytes() {
            match byte {
                b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
                b if b.is_ascii_alphanumeric() => uri.push(char::from(byte)),
                b => uri.push_str(&format!("%{b:02X}")),
            }
        }
        uri
    }

    /// A whole document.
    pub(crate) fn whole(&self, name: &str) -> Option<&Value> {
        self.by_name.get(name)
    }

    /// Whether a document has no name but its own, and refers to nothing outside of itself.
    pub(crate) fn stands_alone(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|document| !reaches_out(document))
    }

    /// Whether a document is in a dialect by what it says of itself, or says nothing.
    pub(crate) fn is_in(&self, dialect: Dialect, name: &str) -> bool {
        let is_in = |document: &Value| {
            document.get("$schema").is_none() || Dialect::of(document) == Some(dialect)
        };
        self.by_name.get(name).is_some_and(is_in)
    }

    /// Every document that holds a schema that was looked at, with its URI.
    pub(crate) fn with_uris(&self) -> impl Iterator<Item = (String, &Value)> {
        let used = self.seen.keys();
        used.filter_map(|name| Some((uri_of(name), self.by_name.get(name)?)))
    }

    /// Where something refers to this URI, as a place in the settings.
    pub(crate) fn place_of(&self, uri: &str) -> String {
        let refers = |reference: &str| {
            let path = reference.split('#').next().unwrap_or_default();
            let before = uri.strip_suffix(path).filter(|_| !path.is_empty());
            before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        for (name, document) in self.by_name.iter() {
            let mut references = Vec::new();
            references_in(document, "", &mut references);
            if let Some((from, _)) = references.iter().find(|(_, it)| refers(it)) {
                return place(name, from);
            }
        }
        "/documents".to_owned()
    }

    /// Where this pattern is written, as a place in the settings; none where it is not.
    pub(crate) fn place_of_pattern(&self, pattern: &str) -> Option<String> {
        let mut documents = self.by_name.iter();
        documents.find_map(|(name, document)| {
            pattern_in(document, pattern, "").map(|pointer| place(name, &pointer))
        })
    }

    /// What finds documents by the URIs that follow from the `$id`s of others.
    pub(crate) fn retriever(&self) -> Neighbours {
        let mut folders = Vec::new();
        for (name, document) in self.by_name.iter() {
            let id = document.get("$id").or_else(|| document.get("id")).and_then(Value::as_str);
            if let Some(id) = id.filter(|id| id.contains("://")) {
                folders.push((folder(id).to_owned(), folder(name).to_owned()));
            }
        }
        Neighbours { folders: folders.into(), by_name: self.by_name.clone() }
    }

    fn is_seen(&self, (name, pointer): &At) -> bool {
        let Some(seen) = self.seen.get(name) else { return false };
        let mut above = pointer.match_indices('/').filter_map(|(slash, _)| pointer.get(..slash));
        seen.contains(pointer) || above.any(|above| seen.contains(above))
    }

    /// Where a reference leads; none where only the compiler can tell.
    fn target(&self, name: &str, from: &str, reference: &str) -> Result<Option<At>, SettingsError> {
        let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let target = match path {
            "" => name.to_owned(),
            path if path.contains("://") => path.to_owned(),
            path => join(folder(name), path),
        };
        let Some(document) = self.by_name.get(&target) else { return Ok(None) };
        let Some(pointer) = decoded(fragment) else { return Ok(None) };
        if !(pointer.is_empty() || pointer.starts_with('/')) {
            return Ok(None);
        }
        if document.pointer(&pointer).is_some() {
            return Ok(Some((target, pointer)));
        }
        let message = format!("`{reference}` refers to nothing");
        Err(SettingsError::at(place(name, from), message))
    }
}

/// Finds documents beside those that have another name by their `$id`. Copies share them.
#[derive(Clone)]
pub(crate) struct Neighbours {
    /// The folder of an `$id`, and that of its document's name.
    folders: Arc<[(String, String)]>,
    by_name: Arc<BTreeMap<String, Value>>,
}

impl Retrieve for Neighbours {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let uri = uri.as_str();
        let named = self.by_name.get(uri.strip_prefix(ROOT).unwrap_or(uri));
        let has_id = |document: &&Value| {
            let id = document.get("$id").or_else(|| document.get("id")).and_then(Value::as_str);
            id.is_some_and(|id| id.trim_end_matches('#') == uri)
        };
        let found = named.or_else(|| self.by_name.values().find(has_id)).or_else(|| {
            self.folders.iter().find_map(|(id, folder)| {
                let path = uri.strip_prefix(id.as_str())?;
                self.by_name.get(&join(folder, path))
            })
        });
        found.cloned().ok_or_else(|| "it is none of the documents, and nothing is fetched".into())
    }
}

/// The place of a schema in the settings.
fn place(document: &str, pointer: &str) -> String {
    format!("{}{pointer}", below("/documents", document))
}

fn uri_of(name: &str) -> String {
    if name.contains("://") { name.to_owned() } else { format!("{ROOT}{name}") }
}

/// A name or URI up to its last slash.
fn folder(name: &str) -> &str {
    name.rfind('/').and_then(|slash| name.get(..=slash)).unwrap_or_default()
}

/// A path from a folder, without `.` and `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.trim_end_matches('/').split('/').collect();
    if folder.is_empty() {
        parts.clear();
    }
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = tail.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// Every `$ref` in a schema, with the pointer to it. What has an `$id` of its own below
/// the root is left to the compiler.
fn references_in(schema: &Value, pointer: &str, found: &mut Vec<(String, String)>) {
    match schema {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                within(item, &format!("{pointer}/{at}"), found);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                let pointer = below(pointer, name);
                match value {
                    Value::String(reference) if name == "$ref" => {
                        found.push((pointer, reference.clone()));
                    }
                    value if !DATA.contains(&name.as_str()) => within(value, &pointer, found),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Whether anything in a document could mean, or be meant by, another one.
fn reaches_out(value: &Value) -> bool {
    let member = |(name, value): (&String, &Value)| match (name.as_str(), value) {
        ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
            !reference.starts_with('#')
        }
        ("$id" | "id", Value::String(_)) | ("$vocabulary", _) => true,
        ("$schema", Value::String(named)) => Draft::from_schema_uri(named) == Draft::Unknown,
        (_, value) => reaches_out(value),
    };
    match value {
        Value::Array(items) => items.iter().any(reaches_out),
        Value::Object(members) => members.iter().any(member),
        _ => false,
    }
}

/// The pointer to a `pattern`, or to a member of `patternProperties`, that is this one.
fn pattern_in(schema: &Value, pattern: &str, pointer: &str) -> Option<String> {
    match schema {
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| pattern_in(item, pattern, &format!("{pointer}/{at}")))
        }
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let here = below(pointer, name);
            match (name.as_str(), value) {
                ("pattern", Value::String(text)) if text == pattern => Some(here),
                ("patternProperties", Value::Object(by_pattern))
                    if by_pattern.contains_key(pattern) =>
                {
                    Some(below(&here, pattern))
                }
                (name, value) if !DATA.contains(&name) => pattern_in(value, pattern, &here),
                _ => None,
            }
        }),
        _ => None,
    }
}

fn within(value: &Value, pointer: &str, found: &mut Vec<(String, String)>) {
    let has_id = |name: &str| value.get(name).is_some_and(Value::is_string);
    if !has_id("$id") && !has_id("id") {
        references_in(value, pointer, found);
    }
}
