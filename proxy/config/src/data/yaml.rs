//! YAML 1.2 with places, as far as it says what JSON can (its core schema).

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{Entry, MOST_DEPTH, MOST_NODES, Node, Value, table};
use crate::diagnostic::{Diagnostic, Place, Problems, Source};

/// Reads the one document of a text.
pub(super) fn parse(source: &Arc<Source>, problems: &mut Problems) -> Option<Node> {
    let mut builder = Builder {
        source,
        offsets: byte_offsets(&source.text),
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
        problems,
    };
    let mut parser = Parser::new_from_str(&source.text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let at = builder.byte(error.marker().index());
                let place = source.place(at..at + 1);
                return builder.fail(&place, &format!("this is no YAML: {}", error.info()));
            }
        }
    }
    if builder.root.is_none() {
        return builder.fail(&source.place(0..0), "this file is empty");
    }
    builder.root
}

/// A tree that grows as the parser goes on.
struct Builder<'s, 'p> {
    source: &'s Arc<Source>,
    /// The byte of each character, where they differ.
    offsets: Option<Vec<usize>>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    /// Nodes so far, aliases counted as what they stand for.
    nodes: usize,
    root: Option<Node>,
    problems: &'p mut Problems,
}

/// A list or table that has not ended.
struct Open {
    start: usize,
    anchor: usize,
    /// Nodes before it.
    before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// The members, and the key that waits for its value.
    Table(Vec<Entry>, Option<(String, Place)>),
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Some(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                let place = self.place(span);
                self.fail(&place, "only one document may stand in this file")
            }
            Event::DocumentStart(_) => Some(()),
            Event::Alias(anchor) => {
                let place = self.place(span);
                match self.anchors.get(&anchor).cloned() {
                    Some((node, nodes)) => {
                        self.count(nodes, &place)?;
                        self.add(node)
                    }
                    None => self.fail(&place, "this alias stands for nothing, or for itself"),
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let place = self.place(span);
                self.count(1, &place)?;
                let value = match self.scalar(&text, style, tag.as_deref()) {
                    Ok(value) => value,
                    Err(message) => return self.fail(&place, message),
                };
                let node = Node { value, place };
                if anchor > 0 {
                    self.anchors.insert(anchor, (node.clone(), 1));
                }
                self.add(node)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::List(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Content::Table(Vec::new(), None), anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
        }
    }

    fn begin(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Option<()> {
        let place = self.place(span);
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            return self.fail(&place, "tags of one's own say nothing here");
        }
        if self.open.len() > MOST_DEPTH {
            return self.fail(&place, "this is nested deeper than can be read");
        }
        let before = self.nodes;
        self.count(1, &place)?;
        self.open.push(Open { start: self.byte(span.start.index()), anchor, before, content });
        Some(())
    }

    fn end(&mut self, span: Span) -> Option<()> {
        let Some(open) = self.open.pop() else { return Some(()) };
        // A block ends where the next thing begins.
        let end = self.byte(span.end.index());
        let text = self.source.text.get(open.start..end).unwrap_or_default();
        let place = self.source.place(open.start..open.start + text.trim_end().len());
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Table(entries, _) => table(entries, self.problems),
        };
        let node = Node { value, place };
        if open.anchor > 0 {
            self.anchors.insert(open.anchor, (node.clone(), self.nodes - open.before));
        }
        self.add(node)
    }

    /// Puts a node where the parser is.
    fn add(&mut self, node: Node) -> Option<()> {
        let key = match self.open.last_mut().map(|open| &mut open.content) {
            None => {
                self.root = Some(node);
                return Some(());
            }
            Some(Content::List(items)) => {
                items.push(node);
                return Some(());
            }
            Some(Content::Table(entries, waiting)) => match waiting.take() {
                Some((key, key_place)) => {
                    entries.push(Entry { key, key_place, value: node });
                    return Some(());
                }
                None => node,
            },
        };
        let text = match &key.value {
            Value::List(_) | Value::Table(_) => {
                return self.fail(&key.place, "a name is a text here");
            }
            // As written: `200` and `on` are names too.
            _ if key.place.text() == "<<" => {
                return self.fail(&key.place, "merge keys are no part of YAML 1.2");
            }
            Value::Text(text) => text.clone(),
            _ => key.place.text().to_owned(),
        };
        if let Some(Open { content: Content::Table(_, waiting), .. }) = self.open.last_mut() {
            *waiting = Some((text, key.place));
        }
        Some(())
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
    ) -> Result<Value, &'static str> {
        let plain = style == ScalarStyle::Plain;
        match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
                Ok(Value::Text(text.to_owned()))
            }
            Some(tag) if !tag.is_yaml_core_schema() => Err("tags of one's own say nothing here"),
            _ if plain => core(text),
            _ => Ok(Value::Text(text.to_owned())),
        }
    }

    fn count(&mut self, nodes: usize, place: &Place) -> Option<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST_NODES {
            return self.fail(place, &format!("this file holds more than {MOST_NODES} values"));
        }
        Some(())
    }

    fn fail<T>(&mut self, place: &Place, message: &str) -> Option<T> {
        self.problems.add(Diagnostic::at(place, message));
        None
    }

    fn place(&self, span: Span) -> Place {
        self.source.place(self.byte(span.start.index())..self.byte(span.end.index()))
    }

    /// The byte of a character.
    fn byte(&self, character: usize) -> usize {
        match &self.offsets {
            None => character,
            Some(offsets) => offsets.get(character).copied().unwrap_or(self.source.text.len()),
        }
    }
}

fn byte_offsets(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect())
}

/// What a plain scalar stands for (YAML 1.2.2 §10.3.2).
fn core(text: &str) -> Result<Value, &'static str> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | ".nan" | ".NaN" | ".NAN" => {
            return Err("JSON has no such number");
        }
        _ => match number(text) {
            Some(number) => Value::Number(number),
            None => Value::Text(text.to_owned()),
        },
    })
}

fn number(text: &str) -> Option<serde_json::Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Into::into);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Into::into);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !is_number {
        return None;
    }
    let whole = text.strip_prefix('+').unwrap_or(text);
    if let Ok(whole) = whole.parse::<u64>() {
        return Some(whole.into());
    }
    if let Ok(whole) = whole.parse::<i64>() {
        return Some(whole.into());
    }
    serde_json::Number::from_f64(whole.parse().ok()?)
}
