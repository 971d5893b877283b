//! JSON and YAML of others (schemas, API descriptions) as a tree in which every node
//! knows its place.
//!
//! Both are read strictly: a name twice in a table is a problem, and so is what JSON
//! cannot hold. Nothing is checked beyond that.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Place, Problems, Source};

mod json;
mod yaml;

/// Bytes of one file.
const MOST_BYTES: usize = 16 << 20;
/// Tables and lists within one another.
const MOST_DEPTH: usize = 100;
/// Values in one file, aliases of YAML counted as what they stand for.
const MOST_NODES: usize = 1_000_000;

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A member of a table.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

/// Parses a file's content: YAML where its name ends so, else JSON. Problems are noted at
/// their places in it; `reference` is where the file is named.
pub(crate) fn parse(
    path: &Path,
    content: Vec<u8>,
    reference: &Place,
    problems: &mut Problems,
) -> Option<Node> {
    let name = path.display().to_string();
    let problem = match String::from_utf8(content) {
        Ok(text) if text.len() <= MOST_BYTES => {
            let directory = path.parent().map(Path::to_owned).unwrap_or_default();
            let source = Arc::new(Source { name, directory, text });
            return match path.extension().and_then(|extension| extension.to_str()) {
                Some("yaml" | "yml") => yaml::parse(&source, problems),
                _ => json::parse(&source, problems),
            };
        }
        Ok(_) => format!("`{name}` is larger than {} MiB", MOST_BYTES >> 20),
        Err(_) => format!("`{name}` is not UTF-8"),
    };
    problems.add(Diagnostic::at(reference, problem));
    None
}

impl Node {
    /// A member of a table.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The members of a table; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Table(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// Whether it is this boolean.
    pub(crate) fn is_true(&self) -> bool {
        matches!(self.value, Value::Bool(true))
    }

    /// What a JSON Pointer (RFC 6901) leads to.
    pub(crate) fn pointer(&self, pointer: &str) -> Option<&Node> {
        if pointer.is_empty() {
            return Some(self);
        }
        let mut node = self;
        for step in pointer.strip_prefix('/')?.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            node = match &node.value {
                Value::List(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => node.get(&step)?,
            };
        }
        Some(node)
    }

    /// The value without its places.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::json).collect()),
            Value::Table(entries) => {
                let members = entries.iter();
                Json::Object(members.map(|it| (it.key.clone(), it.value.json())).collect())
            }
        }
    }
}

/// A pointer and one more step.
pub(crate) fn below(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// Makes a table of entries; a key that is there twice is a problem.
fn table(entries: Vec<Entry>, problems: &mut Problems) -> Value {
    let mut keys: Vec<(&str, usize)> =
        entries.iter().enumerate().map(|(at, entry)| (entry.key.as_str(), at)).collect();
    keys.sort_unstable();
    for pair in keys.windows(2) {
        if let [(first, _), (second, at)] = pair
            && first == second
            && let Some(entry) = entries.get(*at)
        {
            let message = format!("`{second}` is written twice");
            problems.add(Diagnostic::at(&entry.key_place, message));
        }
    }
    Value::Table(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, text: &str) -> Result<Node, String> {
        let mut problems = Problems::default();
        let path = Path::new(name);
        let node = parse(path, text.into(), &Place::synthetic(), &mut problems);
        problems.finish(node).map_err(|problems| problems.to_string())
    }

    fn json_of(name: &str, text: &str) -> Json {
        parsed(name, text).unwrap().json()
    }

    #[test]
    fn json_is_read_with_its_places() {
        let text = "{\"a\": [1, -2.5e3, \"\\u00e9\\ud83d\\ude00\\/\"],\n \"b~/\": {\"c\": null}}";
        let node = parsed("a.json", text).unwrap();
        assert_eq!(node.json(), serde_json::from_str::<Json>(text).unwrap());
        let inner = node.pointer("/b~0~1/c").unwrap();
        assert_eq!((inner.place.line(), inner.place.column()), (2, 15));
        assert_eq!(node.pointer("/a/1").unwrap().place.text(), "-2.5e3");
        assert!(node.pointer("/a/9").is_none());
    }

    #[test]
    fn yaml_is_read_with_its_places() {
        let text = "# ü\nopenapi: 3.1.0\ninfo: &i { title: 'é', n: 1.0, t: true }\nmore: *i\n\
                    200: [~, 0x10, \"on\", off, -1]\ntext: |\n  a\n  b\n";
        let node = parsed("a.yaml", text).unwrap();
        let expected = serde_json::json!({
            "openapi": "3.1.0",
            "info": { "title": "é", "n": 1.0, "t": true },
            "more": { "title": "é", "n": 1.0, "t": true },
            "200": [null, 16, "on", "off", -1],
            "text": "a\nb\n",
        });
        assert_eq!(node.json(), expected);
        assert_eq!(node.pointer("/info/n").unwrap().place.text(), "1.0");
        assert_eq!(node.pointer("/info/n").unwrap().place.line(), 3);
    }

    #[test]
    fn what_is_neither_says_where() {
        let fails = |name: &str, text: &str, expected: &str| {
            let problem = parsed(name, text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        };
        fails("a.json", "{\"a\": 1, \"a\": 2}", "`a` is written twice\n  --> a.json:1:10");
        fails("a.json", "{\"a\": \n tru}", "a.json:2:2");
        fails("a.json", "[1,]", "a.json:1:4");
        fails("a.json", "[1] 2", "a.json:1:5");
        fails("a.json", "\"\\ud800\"", "a.json:1:1");
        fails("a.json", "[01]", "a.json:1:2");
        fails("a.json", &"[".repeat(100_000), "nested deeper");
        fails("a.yaml", "a: 1\nb: 2\na: 3\n", "`a` is written twice\n  --> a.yaml:3:1");
        fails("a.yaml", "a: [1\nb: }\n", "a.yaml:2:");
        fails("a.yaml", "a: !other x\n", "a.yaml:1:");
        fails("a.yaml", "<<: {a: 1}\n", "a.yaml:1:1");
        fails("a.yaml", "a: .nan\n", "a.yaml:1:4");
        fails("a.yaml", &format!("a: {}", "[".repeat(100_000)), "");
        fails("a.yaml", "a: 1\n---\nb: 2\n", "one document");
        fails("a.yaml", "", "is empty");
        let bomb: String =
            (1..40).map(|at| format!("a{at}: &a{at} [*a{0}, *a{0}]\n", at - 1)).collect();
        fails("a.yaml", &format!("a0: &a0 [x, x]\n{bomb}"), "more than");
    }

    #[test]
    fn numbers_keep_their_kind() {
        assert_eq!(json_of("a.json", "18446744073709551615"), Json::from(u64::MAX));
        assert_eq!(json_of("a.json", " -0.5 "), Json::from(-0.5));
        assert_eq!(json_of("a.yml", "a: 1e3").pointer("/a").unwrap(), &Json::from(1000.0));
    }
}
