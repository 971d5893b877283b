//! Bodies as the schema crate sees them, so that judging one copies nothing of it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json as Representation, JsonNumber, Node, NodeIdentity, Object};
use serde_json::{Number, Value};

use crate::json::{self, Json, Member};

/// The representation that [`json::parse`] gives.
pub(crate) struct Strict;

impl Representation for Strict {
    type Node<'a> = &'a Json<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const ACYCLIC: bool = true;
    const KEYS_PER_LOOKUP: usize = 1;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Self::Node<'_>) -> T) -> T {
        f(&Json::Text(Cow::Borrowed(string)))
    }
}

impl<'a> Node<'a, Strict> for &'a Json<'a> {
    type Object = &'a json::Object<'a>;
    type Array = &'a [Json<'a>];
    type Number = Literal<'a>;

    fn as_object(&self) -> Option<Self::Object> {
        if let Json::Object(object) = self { Some(object) } else { None }
    }

    fn as_array(&self) -> Option<Self::Array> {
        if let Json::List(items) = self { Some(items) } else { None }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        if let Json::Text(text) = self { Some(Cow::Borrowed(text)) } else { None }
    }

    fn as_number(&self) -> Option<Literal<'a>> {
        if let Json::Number(text) = self { Some(Literal(text)) } else { None }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Json::Bool(truth) = self { Some(*truth) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    fn json_type(&self) -> JsonType {
        match self {
            Json::Null => JsonType::Null,
            Json::Bool(_) => JsonType::Boolean,
            Json::Number(_) => JsonType::Number,
            Json::Text(_) => JsonType::String,
            Json::List(_) => JsonType::Array,
            Json::Object(_) => JsonType::Object,
        }
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let Json::Text(text) = self else { return None };
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
        match (self, expected) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(one), Value::Bool(other)) => one == other,
            (Json::Text(one), Value::String(other)) => one == other,
            (Json::Number(text), Value::Number(_)) => {
                jsonschema::json::cmp::equal(&Value::Number(number(text)), expected)
            }
            (Json::List(items), Value::Array(others)) => {
                items.len() == others.len()
                    && items.iter().zip(others).all(|(item, other)| item.equals_value(other))
            }
            (Json::Object(object), Value::Object(others)) => {
                object.members().len() == others.len()
                    && others.iter().all(|(name, other)| {
                        object.get(name).is_some_and(|value| value.equals_value(other))
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
        Some(NodeIdentity::new(std::ptr::from_ref::<Json<'_>>(self).addr()))
    }
}

impl<'a> Object<'a, Strict> for &'a json::Object<'a> {
    type Node = &'a Json<'a>;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        json::Object::members(self).len()
    }

    fn get(&self, key: &String) -> Option<&'a Json<'a>> {
        json::Object::get(self, key)
    }

    fn members(&self) -> Members<'a> {
        Members(json::Object::members(self).iter())
    }
}

/// The members of an object, one by one.
pub(crate) struct Members<'a>(std::slice::Iter<'a, Member<'a>>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_ref(), value))
    }
}

impl<'a> Array<'a, Strict> for &'a [Json<'a>] {
    type Node = &'a Json<'a>;
    type ElementsIter = std::slice::Iter<'a, Json<'a>>;

    fn len(&self) -> usize {
        <[Json<'a>]>::len(self)
    }

    fn elements(&self) -> Self::ElementsIter {
        self.iter()
    }

    fn is_unique(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.iter().all(|item| {
            let mut text = String::new();
            canonical(item, &mut text);
            seen.insert(text)
        })
    }
}

/// A number as written.
pub(crate) struct Literal<'a>(&'a str);

impl JsonNumber for Literal<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok()
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(number(self.0))
    }

    fn is_integer(&self) -> bool {
        !self.0.contains(['.', 'e', 'E']) || self.as_f64().is_some_and(|it| it.fract() == 0.0)
    }

    fn is_written_as_integer(&self) -> bool {
        !self.0.contains(['.', 'e', 'E'])
    }
}

fn number(text: &str) -> Number {
    let whole =
        text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
    let number = whole.ok().or_else(|| Number::from_f64(text.parse().ok()?));
    // The reader refuses what no double holds.
    number.unwrap_or_else(|| Number::from(0))
}

/// Writes a value so that equal ones are written alike (draft 2020-12 §4.2.2).
fn canonical(json: &Json<'_>, to: &mut String) {
    match json {
        Json::Null => to.push('n'),
        Json::Bool(truth) => to.push(if *truth { 't' } else { 'f' }),
        Json::Number(text) => to.push_str(&canonical_number(text)),
        Json::Text(text) => quote(text, to),
        Json::List(items) => {
            to.push('[');
            for item in items {
                canonical(item, to);
                to.push(',');
            }
            to.push(']');
        }
        Json::Object(object) => {
            let mut members: Vec<&Member<'_>> = object.members().iter().collect();
            members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
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
