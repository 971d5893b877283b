//! The typed reader of a [`tree`](crate::tree): every type says what it takes, how it
//! is read, and how the JSON Schema describes it.
//!
//! One declaration per table ([`table!`]) is the source of all three, so a key cannot
//! be read and not described. Unlike serde, reading goes on after a problem: a key
//! that cannot be used is noted, and the table is read as if it were absent.

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Place, Problems};
use crate::suggest;
use crate::tree::{Node, Table, Value};

mod amounts;
mod macros;
mod rate;
mod scalars;

pub(crate) use amounts::{Amount, Scalar};
pub(crate) use macros::{table, texts, words};
pub(crate) use rate::Rate;
pub(crate) use scalars::{AnyJson, Number, Settings, Size, Time, TimeOrZero};

/// A type that can be read from a node.
pub(crate) trait Read: Sized {
    /// Whether a value has the right TOML type.
    fn accepts(value: &Value) -> bool;
    /// What is taken, with its article, for messages.
    fn expected() -> String;
    /// Reads a node whose type is right; `None` once a problem was noted.
    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self>;
    /// The JSON Schema of what is taken.
    fn schema() -> Json;
    /// The value where the key is absent; `None` requires the key.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads a node, whatever its type.
pub(crate) fn read<T: Read>(node: &Node, problems: &mut Problems) -> Option<T> {
    if T::accepts(&node.value) {
        return T::read_accepted(node, problems);
    }
    let message = format!("expected {}, found {}", T::expected(), node.value.describe());
    problems.add(Diagnostic::at(&node.place, message));
    None
}

/// A table while its keys are being read.
pub(crate) struct Fields<'n> {
    noun: &'static str,
    place: &'n Place,
    entries: &'n [crate::tree::Entry],
    /// Whether no key was broken, so that an absent one is really absent.
    pub(crate) whole: bool,
}

impl<'n> Fields<'n> {
    /// Takes a table and notes the keys it should not have.
    pub(crate) fn of(
        node: &'n Node,
        noun: &'static str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Self {
        let entries: &[_] = if let Value::Table(entries) = &node.value { entries } else { &[] };
        let mut whole = true;
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            whole = false;
            let message = format!("{noun} has no key `{}`", entry.key);
            let help = suggest::word(&entry.key, known);
            problems.add(Diagnostic::at(&entry.key_place, message).with_help(help));
        }
        Self { noun, place: &node.place, entries, whole }
    }

    /// Reads a key, or takes its default; `None` where it is required and not to be had.
    pub(crate) fn take<T: Read>(
        &mut self,
        key: &str,
        default: Option<Json>,
        problems: &mut Problems,
    ) -> Option<T> {
        match self.entries.iter().find(|entry| entry.key == key) {
            Some(entry) => match read(&entry.value, problems) {
                Some(value) => return Some(value),
                None => self.whole = false,
            },
            None if default.is_none() && T::absent().is_none() => {
                let message = format!("{} needs `{key}`", self.noun);
                problems.add(Diagnostic::at(self.place, message));
            }
            None => {}
        }
        match default {
            Some(json) => {
                let value = Value::of_default(&json, self.place);
                read(&Node { value, place: self.place.clone() }, problems)
            }
            None => T::absent(),
        }
    }
}

/// The doc comment of a declaration, as one text.
pub(crate) fn docs(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The schema of one key: its type's, with the key's own description and default.
pub(crate) fn property<T: Read>(description: String, default: Option<Json>) -> (Json, bool) {
    let required = default.is_none() && T::absent().is_none();
    let mut schema = T::schema();
    if let Json::Object(members) = &mut schema {
        members.insert("description".to_owned(), Json::from(description));
        if let Some(default) = default {
            members.insert("default".to_owned(), default);
        }
    }
    (schema, required)
}

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Written<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T: Read> Read for Written<T> {
    fn accepts(value: &Value) -> bool {
        T::accepts(value)
    }

    fn expected() -> String {
        T::expected()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let value = T::read_accepted(node, problems)?;
        Some(Self { value, place: node.place.clone() })
    }

    fn schema() -> Json {
        T::schema()
    }

    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Read> Read for Option<T> {
    fn accepts(value: &Value) -> bool {
        T::accepts(value)
    }

    fn expected() -> String {
        T::expected()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::read_accepted(node, problems).map(Some)
    }

    fn schema() -> Json {
        T::schema()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Box<T> {
    fn accepts(value: &Value) -> bool {
        T::accepts(value)
    }

    fn expected() -> String {
        T::expected()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::read_accepted(node, problems).map(Box::new)
    }

    fn schema() -> Json {
        T::schema()
    }

    fn absent() -> Option<Self> {
        T::absent().map(Box::new)
    }
}

impl<T: Read> Read for Vec<T> {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::Array(_))
    }

    fn expected() -> String {
        "a list".to_owned()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Array(items) = &node.value else { return None };
        let read: Vec<Option<T>> = items.iter().map(|item| read(item, problems)).collect();
        read.into_iter().collect()
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// One kind of value or another, told apart by their TOML types.
#[derive(Debug, Clone)]
pub(crate) enum Either<A, B> {
    This(A),
    That(B),
}

impl<A: Read, B: Read> Read for Either<A, B> {
    fn accepts(value: &Value) -> bool {
        A::accepts(value) || B::accepts(value)
    }

    fn expected() -> String {
        format!("{} or {}", A::expected(), B::expected())
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        if A::accepts(&node.value) {
            A::read_accepted(node, problems).map(Self::This)
        } else {
            B::read_accepted(node, problems).map(Self::That)
        }
    }

    fn schema() -> Json {
        json!({ "oneOf": [A::schema(), B::schema()] })
    }
}

/// The members of a table whose keys the operator chooses, in the order written.
#[derive(Debug, Clone)]
pub(crate) struct Named<T> {
    pub(crate) entries: Vec<NamedEntry<T>>,
}

/// A member of such a table; its value is `None` once a problem was noted.
#[derive(Debug, Clone)]
pub(crate) struct NamedEntry<T> {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) value: Option<T>,
}

impl<T: Read> Read for Named<T> {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::Table(_))
    }

    fn expected() -> String {
        "a table".to_owned()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let none = Table::new();
        let table = if let Value::Table(table) = &node.value { table } else { &none };
        let mut entries = Vec::new();
        for entry in table {
            let value = read(&entry.value, problems);
            let (name, place) = (entry.key.clone(), entry.key_place.clone());
            entries.push(NamedEntry { name, place, value });
        }
        Some(Self { entries })
    }

    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }

    fn absent() -> Option<Self> {
        Some(Self { entries: Vec::new() })
    }
}
