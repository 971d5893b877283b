//! `requestBody`.

use super::{At, Reader};
use crate::data::{Node, Value};
use crate::gateway::{BodyRule, Judge, MediaRange, OtherMediaTypes};
use crate::resolve::Resolver;
use crate::resolve::schemas::SchemaAt;

impl Reader<'_, '_, '_> {
    /// What the body of an operation must be.
    pub(super) fn body(&mut self, operation: &At, resolver: &mut Resolver<'_>) -> Option<BodyRule> {
        let body = self.followed(&operation.get("requestBody")?, resolver)?;
        let required = body.node().get("required").is_some_and(Node::is_true);
        let Some(content) = body.get("content") else {
            resolver.problem(&body.node().place, "a requestBody has `content`");
            return None;
        };
        let mut media_types = Vec::new();
        for entry in content.node().entries() {
            let Some(range) = MediaRange::parse(&entry.key) else {
                let message = format!("`{}` is no media type", entry.key);
                resolver.problem(&entry.key_place, message);
                continue;
            };
            let at = content.get(&entry.key)?;
            let judge = self.judge(&range, &at, resolver).unwrap_or(Judge::Nobody);
            media_types.push((range, judge));
        }
        // The most special first, as the specification has it.
        media_types.sort_by_key(|(range, _)| range.to_string().matches('*').count());
        Some(BodyRule { required, media_types, others: OtherMediaTypes::Refuse })
    }

    /// Who judges bodies of a media type.
    fn judge(
        &mut self,
        range: &MediaRange,
        media: &At,
        resolver: &mut Resolver<'_>,
    ) -> Option<Judge> {
        let schema = media.get("schema")?;
        let node = schema.node().clone();
        if is_json(range) {
            let at =
                SchemaAt { file: &schema.file, pointer: &schema.pointer, dialect: self.dialect() };
            let known = &mut *self.known;
            let judge = known.schemas.add(at, &node.place, known.plugins, resolver)?;
            return Some(Judge::Validator(judge));
        }
        if !says_nothing(&node) {
            let what = format!("a schema of `{range}`, which is not JSON");
            self.refuse(&node.place, &what, resolver);
        }
        None
    }

    /// How schemas of the document are to be understood.
    fn dialect(&self) -> Option<crate::document::Dialect> {
        let version = self.root.node().get("openapi").and_then(Node::text)?;
        Some(match version.starts_with("3.0.") {
            true => crate::document::Dialect::OpenApi30,
            false => crate::document::Dialect::OpenApi31,
        })
    }
}

fn is_json(range: &MediaRange) -> bool {
    let text = range.to_string();
    text == "application/json" || text.ends_with("+json")
}

/// Whether a schema takes any text: that is all that bodies without a structure are.
fn says_nothing(schema: &Node) -> bool {
    schema.entries().iter().all(|entry| match entry.key.as_str() {
        "type" => entry.value.text() == Some("string"),
        "format" => matches!(entry.value.text(), Some("binary")),
        "description" | "title" | "example" | "examples" => true,
        _ => false,
    }) && matches!(schema.value, Value::Table(_))
}
