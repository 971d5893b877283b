//! Bodies as the schema crate sees them, so that judging one copies nothing of it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json as Representation, JsonNumber, Node, NodeIdentity, Object};
use serde_json::Value;

use crate::json::{self, Children, Json, Kind, Number};

/// The representation that [`json::parse`] gives.
pub(crate) struct Strict;

impl Representation for Strict {
    type Node<'a> = Json<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const ACYCLIC: bool = true;
    const KEYS_PER_LOOKUP: usize = 1;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Self::Node<'_>) -> T) -> T {
        f(json::Value::text(string).alone())
    }
}

impl<'a> Node<'a, Strict> for Json<'a> {
    type Object = Children<'a>;
    type Array = Children<'a>;
    type Number = Number<'a>;

    fn as_object(&self) -> Option<Children<'a>> {
        if let Kind::Object(inside) = self.kind() { Some(self.children(inside)) } else { None }
    }

    fn as_array(&self) -> Option<Children<'a>> {
        if let Kind::List(inside) = self.kind() { Some(self.children(inside)) } else { None }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        if let Kind::Text(text) = self.kind() { Some(Cow::Borrowed(text)) } else { None }
    }

    fn as_number(&self) -> Option<Number<'a>> {
        if let Kind::Number(number) = self.kind() { Some(*number) } else { None }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Kind::Bool(truth) = self.kind() { Some(*truth) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self.kind(), Kind::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool(_) => JsonType::Boolean,
            Kind::Number(_) => JsonType::Number,
            Kind::Text(_) => JsonType::String,
            Kind::List(_) => JsonType::Array,
            Kind::Object(_) => JsonType::Object,
        }
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let Kind::Text(text) = self.kind() else { return None };
        // A character takes one to four bytes, which most often settles it.
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let fewest = bytes.div_ceil(4);
        if bytes < min || fewest > max {
            return Some(false);
        }
        if min <= fewest && bytes <= max {
            return Some(true);
        }
        let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        Some((min..=max).contains(&characters))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.kind(), expected) {
            (Kind::Null, Value::Null) => true,
            (Kind::Bool(one), Value::Bool(other)) => one == other,
            (Kind::Text(one), Value::String(other)) => one == other,
            (Kind::Number(one), Value::Number(_)) => {
                jsonschema::json::cmp::equal(&Value::Number(number(one.text)), expected)
            }
            (Kind::List(inside), Value::Array(others)) => {
                let mut items = self.children(inside).zip(others);
                inside.count() == others.len()
                    && items.all(|((_, item), other)| item.equals_value(other))
            }
            (Kind::Object(inside), Value::Object(others)) => {
                let members = self.children(inside);
                inside.count() == others.len()
                    && others.iter().all(|(name, other)| {
                        members.get(name).is_some_and(|value| value.equals_value(other))
                    })
            }
            _ => false,
        }
    }

    /// Only errors ask for it, and what clients are told does not repeat what they sent.
    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Value::Null)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(self.address()))
    }
}

impl<'a> Object<'a, Strict> for Children<'a> {
    type Node = Json<'a>;
    type MemberName = &'a str;
    type MembersIter = Children<'a>;

    fn len(&self) -> usize {
        self.in_all()
    }

    fn get(&self, key: &String) -> Option<Json<'a>> {
        Children::get(self, key)
    }

    fn members(&self) -> Children<'a> {
        *self
    }
}

/// The items of a list, one by one.
pub(crate) struct Items<'a>(Children<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        self.0.next().map(|(_, item)| item)
    }
}

impl<'a> Array<'a, Strict> for Children<'a> {
    type Node = Json<'a>;
    type ElementsIter = Items<'a>;

    fn len(&self) -> usize {
        self.in_all()
    }

    fn elements(&self) -> Items<'a> {
        Items(*self)
    }

    fn is_unique(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.elements().all(|item| {
            let mut text = String::new();
            canonical(item, &mut text);
            seen.insert(text)
        })
    }
}

impl JsonNumber for Number<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.text.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.text.parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        self.text.parse().ok()
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.text)
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(number(self.text))
    }

    fn is_integer(&self) -> bool {
        self.is_whole || self.as_f64().is_some_and(|it| it.fract() == 0.0)
    }

    fn is_written_as_integer(&self) -> bool {
        self.is_whole
    }
}

fn number(text: &str) -> serde_json::Number {
    use serde_json::Number;
    let whole =
        text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
    let number = whole.ok().or_else(|| Number::from_f64(text.parse().ok()?));
    // The reader refuses what no double holds.
    number.unwrap_or_else(|| Number::from(0))
}

/// Writes a value so that equal ones are written alike (draft 2020-12 §4.2.2).
fn canonical(json: Json<'_>, to: &mut String) {
    match json.kind() {
        Kind::Null => to.push('n'),
        Kind::Bool(truth) => to.push(if *truth { 't' } else { 'f' }),
        Kind::Number(number) => to.push_str(&canonical_number(number.text)),
        Kind::Text(text) => quote(text, to),
        Kind::List(inside) => {
            to.push('[');
            for (_, item) in json.children(inside) {
                canonical(item, to);
                to.push(',');
            }
            to.push(']');
        }
        Kind::Object(inside) => {
            let mut members: Vec<_> = json.children(inside).collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            to.push('{');
            for (name, value) in members {
                quote(name, to);
                canonical(value, to);
                to.push(',');
            }
            to.push('}');
        }
    }
}

/// A text that no other text begins with.
fn quote(text: &str, to: &mut String) {
    to.push_str(&text.len().to_string());
    to.push(':');
    to.push_str(text);
}

/// Whole numbers as integers, however they are written.
fn canonical_number(text: &str) -> String {
    if let Ok(whole) = text.parse::<i128>() {
        return whole.to_string();
    }
    let float = text.parse::<f64>().unwrap_or_default();
    if float == 0.0 { "0".to_owned() } else { float.to_string() }
}
