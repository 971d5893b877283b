//! A JSON document whose texts may have placeholders.

use serde_json::Value as Json;

use crate::document::Text;
use crate::gateway::JsonPart;
use crate::resolve::mapping::Values;
use crate::template::{Part, Template};
use crate::tree::{Node, Value};

/// The document in parts: what stands around the placeholders is written out already.
pub(super) fn parts(node: &Node, values: &mut Values<'_, '_, '_>) -> Option<Vec<JsonPart>> {
    let mut writing = Writing::default();
    let is_whole = writing.node(node, values);
    writing.flush();
    is_whole.then_some(writing.parts)
}

#[derive(Default)]
struct Writing {
    parts: Vec<JsonPart>,
    /// What is written since the last placeholder.
    written: String,
}

impl Writing {
    /// Writes a value; whether all of it could be.
    fn node(&mut self, node: &Node, values: &mut Values<'_, '_, '_>) -> bool {
        let scalar = match &node.value {
            Value::String(text) => {
                let text = Text { value: text.clone(), place: node.place.clone() };
                return values.template(&text).map(|template| self.text(template)).is_some();
            }
            Value::Array(items) => return self.list(items, values),
            Value::Table(entries) => {
                let mut is_whole = true;
                self.written.push('{');
                for (at, entry) in entries.iter().enumerate() {
                    self.separate(at);
                    self.written.push_str(&Json::from(entry.key.as_str()).to_string());
                    self.written.push(':');
                    is_whole &= self.node(&entry.value, values);
                }
                self.written.push('}');
                return is_whole;
            }
            scalar => scalar.as_scalar(),
        };
        match &scalar {
            Some(value) => self.written.push_str(&value.to_string()),
            None => values.problem_with_help(
                &node.place,
                "JSON has no such value",
                "write it as a string",
            ),
        }
        scalar.is_some()
    }

    fn list(&mut self, items: &[Node], values: &mut Values<'_, '_, '_>) -> bool {
        let mut is_whole = true;
        self.written.push('[');
        for (at, item) in items.iter().enumerate() {
            self.separate(at);
            is_whole &= self.node(item, values);
        }
        self.written.push(']');
        is_whole
    }

    fn text(&mut self, template: Template) {
        if let Some(text) = template.as_text() {
            self.written.push_str(&Json::from(text).to_string());
            return;
        }
        self.flush();
        self.parts.push(match template.parts() {
            [Part::Value(placeholder)] => JsonPart::Typed(placeholder.clone()),
            _ => JsonPart::Text(template),
        });
    }

    fn separate(&mut self, at: usize) {
        if at > 0 {
            self.written.push(',');
        }
    }

    fn flush(&mut self) {
        if !self.written.is_empty() {
            self.parts.push(JsonPart::Written(std::mem::take(&mut self.written)));
        }
    }
}
