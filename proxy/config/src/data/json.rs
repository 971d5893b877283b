//! JSON with places.

use std::sync::Arc;

use super::{Entry, MOST_DEPTH, Node, Value, table};
use crate::diagnostic::{Diagnostic, Place, Problems, Source};

/// Reads a whole text.
pub(super) fn parse(source: &Arc<Source>, problems: &mut Problems) -> Option<Node> {
    let mut reader = Reader { source, at: 0, problems };
    let node = reader.value(0)?;
    reader.blank();
    if reader.peek().is_some() {
        return reader.fail("nothing may follow the value");
    }
    Some(node)
}

struct Reader<'s, 'p> {
    source: &'s Arc<Source>,
    at: usize,
    problems: &'p mut Problems,
}

impl Reader<'_, '_> {
    fn value(&mut self, depth: usize) -> Option<Node> {
        self.blank();
        if depth > MOST_DEPTH {
            return self.fail("this is nested deeper than can be read");
        }
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(_) => self.scalar()?,
            None => return self.fail("a value is missing here"),
        };
        Some(Node { value, place: self.place(start) })
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut entries = Vec::new();
        self.blank();
        if self.take(b'}') {
            return Some(Value::Table(entries));
        }
        loop {
            self.blank();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return self.fail("a name in quotes is missing here");
            }
            let key = self.string()?;
            let key_place = self.place(start);
            self.blank();
            if !self.take(b':') {
                return self.fail("`:` is missing here");
            }
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, key_place, value });
            self.blank();
            if self.take(b'}') {
                return Some(table(entries, self.problems));
            }
            if !self.take(b',') {
                return self.fail("`,` or `}` is missing here");
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut items = Vec::new();
        self.blank();
        if self.take(b']') {
            return Some(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blank();
            if self.take(b']') {
                return Some(Value::List(items));
            }
            if !self.take(b',') {
                return self.fail("`,` or `]` is missing here");
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'\\') => self.at += 2,
                Some(b'"') => break,
                Some(_) => self.at += 1,
                None => return self.fail("the text ends within quotes"),
            }
        }
        self.at += 1;
        let written = self.source.text.get(start..self.at).unwrap_or_default();
        self.told(start, serde_json::from_str(written).ok(), "this is no text of JSON")
    }

    fn scalar(&mut self) -> Option<Value> {
        let start = self.at;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        while self.peek().is_some_and(plain) {
            self.at += 1;
        }
        let written = self.source.text.get(start..self.at).unwrap_or_default();
        let value = match written {
            "null" => Some(Value::Null),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            number => serde_json::from_str(number).ok().map(Value::Number),
        };
        self.told(start, value, "this is no value of JSON")
    }

    /// What was read from `start` on, or a problem there.
    fn told<T>(&mut self, start: usize, value: Option<T>, message: &str) -> Option<T> {
        if value.is_none() {
            let place = self.source.place(start..self.at.max(start + 1));
            self.problems.add(Diagnostic::at(&place, message));
        }
        value
    }

    fn fail<T>(&mut self, message: &str) -> Option<T> {
        self.told(self.at, None, message)
    }

    fn place(&self, start: usize) -> Place {
        self.source.place(start..self.at)
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }
}
