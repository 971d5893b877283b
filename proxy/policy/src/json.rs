//! JSON whose every value knows where it is written, and whose objects have no
//! name twice: two readers that disagree on which one counts are two policies.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::problem::{Notes, Place, Problem};

/// Objects and lists within each other; a policy needs seven.
const MOST_DEPTH: usize = 10;

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Json,
}

/// A value. Null is only ever wrong here, and numbers keep their text.
#[derive(Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where the name is written.
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// Reads a whole text; `None` where a problem was noted that leaves no tree.
pub(crate) fn parse(text: &str, notes: &mut Notes<'_>) -> Option<Node> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => Parser { text, notes }.node(raw.get(), String::new(), 0),
        Err(error) => {
            let at = offset(text, error.line(), error.column());
            let place = Place { pointer: String::new(), bytes: at..at };
            notes.add(&place, Problem::NotJson(plain(&error)), None);
            None
        }
    }
}

struct Parser<'t, 'n, 'x> {
    text: &'t str,
    notes: &'n mut Notes<'x>,
}

impl<'t> Parser<'t, '_, '_> {
    fn node(&mut self, raw: &'t str, pointer: String, depth: usize) -> Option<Node> {
        let place = self.place(raw, pointer);
        if depth > MOST_DEPTH {
            self.notes.add(&place, Problem::TooDeep, None);
            return None;
        }
        let value = match raw.as_bytes().first() {
            Some(b'{') => Json::Object(self.object(raw, &place, depth)?),
            Some(b'[') => Json::List(self.list(raw, &place, depth)?),
            Some(b'"') => Json::Text(self.scalar(raw, &place)?),
            Some(b't' | b'f') => Json::Bool(self.scalar(raw, &place)?),
            Some(b'n') => Json::Null,
            _ => Json::Number(raw.to_owned()),
        };
        Some(Node { place, value })
    }

    fn list(&mut self, raw: &'t str, place: &Place, depth: usize) -> Option<Vec<Node>> {
        let items: Vec<&RawValue> = self.scalar(raw, place)?;
        let items = items.into_iter().enumerate();
        items
            .map(|(at, raw)| self.node(raw.get(), below(place, &at.to_string()), depth + 1))
            .collect()
    }

    fn object(&mut self, raw: &'t str, place: &Place, depth: usize) -> Option<Vec<Member>> {
        let Members(raw_members) = self.scalar(raw, place)?;
        let mut members: Vec<Member> = Vec::new();
        for (name, value) in raw_members {
            let name_place = self.place(name.get(), place.pointer.clone());
            let name: String = self.scalar(name.get(), &name_place)?;
            let pointer = below(place, &name);
            let place = Place { pointer: pointer.clone(), ..name_place };
            if members.iter().any(|member| member.name == name) {
                self.notes.add(&place, Problem::Duplicate(name), None);
                continue;
            }
            let node = self.node(value.get(), pointer, depth + 1)?;
            members.push(Member { name, place, node });
        }
        Some(members)
    }

    /// Reads what is known to be JSON; strings may still hold half a surrogate pair.
    fn scalar<T: Deserialize<'t>>(&mut self, raw: &'t str, place: &Place) -> Option<T> {
        match serde_json::from_str(raw) {
            Ok(value) => Some(value),
            Err(error) => {
                self.notes.add(place, Problem::NotJson(plain(&error)), None);
                None
            }
        }
    }

    fn place(&self, raw: &str, pointer: String) -> Place {
        // Raw values are borrowed from the text.
        let start = raw.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        Place { pointer, bytes: start..start + raw.len() }
    }
}

/// A step of a JSON Pointer (RFC 6901 §3).
fn below(place: &Place, step: &str) -> String {
    format!("{}/{}", place.pointer, step.replace('~', "~0").replace('/', "~1"))
}

/// The error without its place, which is told otherwise.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

/// The byte before a line and a column of bytes, both counted from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    text.floor_char_boundary((before + column.saturating_sub(1)).min(text.len()))
}

/// An object's members in order, names included, none read yet.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut notes = Notes::about(text);
        parse(text, &mut notes);
        notes.into_error().problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_know_their_place() {
        let text = r#"{"a": ["é", {"b/c": 1.50}], "d": true}"#;
        let mut notes = Notes::about(text);
        let Json::Object(members) = parse(text, &mut notes).unwrap().value else { panic!() };
        let Json::List(items) = &members[0].node.value else { panic!() };
        let Json::Object(inner) = &items[1].value else { panic!() };
        let number = &inner[0].node;
        assert!(matches!(&number.value, Json::Number(text) if text == "1.50"));
        assert_eq!(number.place.pointer, "/a/1/b~1c");
        assert_eq!(text[number.place.bytes.clone()], *"1.50");
        assert_eq!(text[members[1].place.bytes.clone()], *"\"d\"");
    }

    #[test]
    fn what_is_no_json_or_has_a_name_twice_is_refused_where_it_stands() {
        assert_eq!(
            problems("{\n \"a\": }"),
            ["this is no JSON: expected value at line 2, column 7"]
        );
        assert_eq!(
            problems("{\"a\": {\"b\": 1,\n\"b\": 2}}"),
            ["`b` is written twice at line 2, column 1 (/a/b)"]
        );
        assert_eq!(
            problems(r#"{"a": 1, "\u0061": 2}"#),
            ["`a` is written twice at line 1, column 10 (/a)"]
        );
        assert!(problems(r#"["\ud800"]"#)[0].ends_with("line 1, column 2 (/0)"));
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(problems(&deep)[0].starts_with("no policy is nested so deeply"));
        assert!(!problems("{} x").is_empty());
        assert!(!problems("").is_empty());
    }
}
