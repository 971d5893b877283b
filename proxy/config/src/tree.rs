//! TOML as a tree in which every node knows its place. Nothing is checked yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::data::below;
use crate::diagnostic::{Diagnostic, Place, Problems, Source};

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    String(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
}

/// The members of a table, in the order written.
pub(crate) type Table = Vec<Entry>;

/// A member of a table.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

/// Parses a file. Where its syntax is broken, that is all there is to say about it.
pub(crate) fn parse(source: &Arc<Source>, problems: &mut Problems) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        let place = source.place(error.span().unwrap_or(0..0));
        problems.add(Diagnostic::at(&place, sentence(error.message())));
    }
    if !errors.is_empty() {
        return None;
    }
    // The parser bounds how deep values nest, so walking the tree may recurse.
    let value = Value::Table(convert_table(table.get_ref(), source, problems));
    Some(Node { value, place: source.place(0..0) })
}

/// The parser's message, which may start with a capital.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

impl Value {
    /// The type, with its article, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The scalar of JSON that it is, if it is one.
    pub(crate) fn as_scalar(&self) -> Option<Json> {
        match self {
            Self::String(text) => Some(Json::from(text.clone())),
            Self::Integer(number) => i64::try_from(*number)
                .map(Json::from)
                .or_else(|_| u64::try_from(*number).map(Json::from))
                .ok(),
            Self::Float(number) => serde_json::Number::from_f64(*number).map(Json::from),
            Self::Boolean(value) => Some(Json::from(*value)),
            Self::Datetime | Self::Array(_) | Self::Table(_) => None,
        }
    }

    /// The value of a default, which is a scalar, a list of them or an empty table.
    pub(crate) fn of_default(json: &Json, place: &Place) -> Self {
        match json {
            Json::Bool(value) => Self::Boolean(*value),
            Json::Number(number) => Self::Integer(number.as_i64().unwrap_or_default().into()),
            Json::String(text) => Self::String(text.clone()),
            Json::Array(items) => {
                let item =
                    |item| Node { value: Self::of_default(item, place), place: place.clone() };
                Self::Array(items.iter().map(item).collect())
            }
            Json::Object(_) | Json::Null => Self::Table(Vec::new()),
        }
    }
}

/// JSON, and where each of its members is written, by JSON Pointer (RFC 6901).
#[derive(Debug, Clone)]
pub(crate) struct PlacedJson {
    pub(crate) value: Json,
    pub(crate) places: BTreeMap<String, Place>,
}

impl PlacedJson {
    /// Converts a node; what JSON cannot hold is a problem.
    pub(crate) fn of(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut places = BTreeMap::new();
        let value = json(node, String::new(), &mut places, problems)?;
        Some(Self { value, places })
    }
}

fn json(
    node: &Node,
    pointer: String,
    places: &mut BTreeMap<String, Place>,
    problems: &mut Problems,
) -> Option<Json> {
    places.insert(pointer.clone(), node.place.clone());
    let found = match &node.value {
        Value::Array(items) => {
            let mut list = Vec::new();
            for (at, item) in items.iter().enumerate() {
                list.push(json(item, format!("{pointer}/{at}"), places, problems)?);
            }
            return Some(Json::from(list));
        }
        Value::Table(entries) => {
            let mut object = serde_json::Map::new();
            for entry in entries {
                let value = json(&entry.value, below(&pointer, &entry.key), places, problems)?;
                object.insert(entry.key.clone(), value);
            }
            return Some(Json::from(object));
        }
        scalar => scalar.as_scalar(),
    };
    if found.is_none() {
        let message = "settings are JSON, which has no such value";
        problems.add(Diagnostic::at(&node.place, message).with_help("write it as a string"));
    }
    found
}

fn convert_table(table: &DeTable<'_>, source: &Arc<Source>, problems: &mut Problems) -> Table {
    let mut entries = Vec::new();
    for (key, value) in table {
        let Some(value) = convert(value, source, problems) else { continue };
        let key_place = source.place(key.span());
        entries
            .push((key.span().start, Entry { key: key.get_ref().to_string(), key_place, value }));
    }
    entries.sort_by_key(|(start, _)| *start);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn convert(
    spanned: &Spanned<DeValue<'_>>,
    source: &Arc<Source>,
    problems: &mut Problems,
) -> Option<Node> {
    let place = source.place(spanned.span());
    let value = match spanned.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let Ok(number) = i128::from_str_radix(number.as_str(), number.radix()) else {
                problems.add(Diagnostic::at(&place, "this integer is too large"));
                return None;
            };
            Value::Integer(number)
        }
        // An overflowing float parses as infinite, which no key takes.
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => {
            Value::Array(items.iter().filter_map(|item| convert(item, source, problems)).collect())
        }
        DeValue::Table(table) => Value::Table(convert_table(table, source, problems)),
    };
    Some(Node { value, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Table {
        let source = Source { name: "t".into(), directory: "".into(), text: text.into() };
        match parse(&Arc::new(source), &mut Problems::default()).map(|root| root.value) {
            Some(Value::Table(table)) => table,
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_deep_key_is_refused_before_anything_recurses() {
        let deep = vec!["a"; 200_000].join(".");
        assert!(read(&format!("{deep} = 1")).is_empty());
        assert!(read(&format!("[{deep}]")).is_empty());
        assert!(read(&format!("a = {}", "[".repeat(200_000))).is_empty());
    }

    #[test]
    fn members_keep_the_order_written() {
        let table = read("b = 1\na = 2\n[z]\n[c]");
        let keys: Vec<&str> = table.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["b", "a", "z", "c"]);
    }

    #[test]
    fn every_member_of_settings_has_a_place() {
        let table = read("s = { a = [1, 'x'], 'b/c' = { d = true } }");
        let placed = PlacedJson::of(&table[0].value, &mut Problems::default()).unwrap();
        let pointers: Vec<&str> = placed.places.keys().map(String::as_str).collect();
        assert_eq!(pointers, ["", "/a", "/a/0", "/a/1", "/b~1c", "/b~1c/d"]);
        assert_eq!(placed.places["/a/1"].text(), "'x'");
    }
}
