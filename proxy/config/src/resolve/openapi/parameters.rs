//! `parameters`: what the query, headers, path parameters and cookies must be.

use http::HeaderName;

use super::{At, Reader};
use crate::data::{Node, Value};
use crate::gateway::{
    Edge, Items, Many, ParameterAt, ParameterRule, Range, Scalar, TextFormat, ValueKind, ValueRule,
};
use crate::resolve::Resolver;
use crate::resolve::checks::PATTERN_BYTES;

/// Headers that the specification describes elsewhere (3.1 §4.8.12.2.1).
const ELSEWHERE: [&str; 3] = ["accept", "authorization", "content-type"];
/// Keywords of a schema that parameters are not judged by.
const UNJUDGED: [&str; 12] = [
    "$dynamicRef",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "if",
    "multipleOf",
    "not",
    "oneOf",
    "prefixItems",
    "properties",
];

impl Reader<'_, '_, '_> {
    /// The parameters of an operation, and those of its path that it does not redefine.
    pub(super) fn parameters(
        &mut self,
        item: &At,
        operation: &At,
        resolver: &mut Resolver<'_>,
    ) -> Vec<ParameterRule> {
        let mut rules: Vec<ParameterRule> = Vec::new();
        // The operation's own come first, so that the path's give way.
        for holder in [operation, item] {
            let Some(list) = holder.get("parameters") else { continue };
            for at in 0..list.node().items().len() {
                let written = At { pointer: format!("{}/{at}", list.pointer), ..list.clone() };
                let Some(written) = self.followed(&written, resolver) else { continue };
                if let Some(rule) = self.parameter(&written, resolver)
                    && rules.iter().all(|other| other.at != rule.at)
                {
                    rules.push(rule);
                }
            }
        }
        rules
    }

    fn parameter(&mut self, at: &At, resolver: &mut Resolver<'_>) -> Option<ParameterRule> {
        let node = at.node();
        let (Some(name), Some(place)) = (text(node, "name"), node.get("in")) else {
            resolver.problem(&node.place, "a parameter has `name` and `in`");
            return None;
        };
        let position = place.text().unwrap_or_default();
        let whereabouts = match position {
            "query" => ParameterAt::Query(name.to_owned()),
            "path" => ParameterAt::Path(name.to_owned()),
            "cookie" => ParameterAt::Cookie(name.to_owned()),
            "header" if ELSEWHERE.contains(&name.to_ascii_lowercase().as_str()) => return None,
            "header" => match HeaderName::try_from(name) {
                Ok(name) => ParameterAt::Header(name),
                Err(_) => {
                    resolver.problem(&node.place, format!("`{name}` is no header"));
                    return None;
                }
            },
            _ => {
                let help = "it is in the `query`, the `path`, a `header` or a `cookie`";
                resolver.problem_with_help(&place.place, "a parameter is not there", help);
                return None;
            }
        };
        for (key, what) in
            [("content", "a parameter with a media type"), ("allowEmptyValue", "`allowEmptyValue`")]
        {
            if let Some(found) = node.get(key) {
                self.refuse(&found.place, what, resolver);
            }
        }
        let required = node.get("required").is_some_and(Node::is_true);
        let schema = at.get("schema").and_then(|schema| self.followed(&schema, resolver));
        let (many, value) = match &schema {
            None => (Many::One, ValueRule::default()),
            Some(schema) => self.value(schema, (node, position), resolver),
        };
        Some(ParameterRule { at: whereabouts, required, many, value })
    }

    /// What a parameter's schema says, as far as texts can be judged by it.
    fn value(
        &mut self,
        schema: &At,
        (parameter, position): (&Node, &str),
        resolver: &mut Resolver<'_>,
    ) -> (Many, ValueRule) {
        if kind(schema.node()) != Some("array") {
            return (Many::One, self.scalar(schema, resolver));
        }
        let node = schema.node();
        let count = |key| node.get(key).and_then(number).map(|it| it as usize);
        let items = Items {
            least: count("minItems"),
            most: count("maxItems"),
            distinct: node.get("uniqueItems").is_some_and(Node::is_true),
        };
        let each = schema.get("items").and_then(|items| self.followed(&items, resolver));
        let value = each.map(|items| self.scalar(&items, resolver)).unwrap_or_default();
        let form = matches!(position, "query" | "cookie");
        let style = text(parameter, "style").unwrap_or(if form { "form" } else { "simple" });
        let explode = match parameter.get("explode").map(|it| &it.value) {
            Some(Value::Bool(explode)) => *explode,
            _ => style == "form",
        };
        let many = match (style, explode, position) {
            ("form", true, "query") => Many::Repeated(items),
            ("form", false, "query" | "cookie") | ("simple", _, "path" | "header") => {
                Many::Separated(',', items)
            }
            ("spaceDelimited", false, "query") => Many::Separated(' ', items),
            ("pipeDelimited", false, "query") => Many::Separated('|', items),
            _ => {
                let place = parameter.get("style").map_or(&parameter.place, |style| &style.place);
                self.refuse(place, "a list that is written so", resolver);
                return (Many::One, ValueRule::default());
            }
        };
        (many, value)
    }

    fn scalar(&mut self, schema: &At, resolver: &mut Resolver<'_>) -> ValueRule {
        let node = schema.node();
        for entry in node.entries() {
            if UNJUDGED.contains(&entry.key.as_str()) {
                let what = format!("`{}` of a parameter", entry.key);
                self.refuse(&entry.key_place, &what, resolver);
            }
        }
        let value_kind = match kind(node) {
            Some("integer") => ValueKind::Integer,
            Some("number") => ValueKind::Number,
            Some("boolean") => ValueKind::Boolean,
            Some("array" | "object") => {
                self.refuse(&node.place, "a parameter with a structure", resolver);
                return ValueRule::default();
            }
            Some(_) => ValueKind::Text,
            None => {
                if node.get("type").is_some() {
                    self.refuse(&node.place, "a parameter of several types", resolver);
                }
                ValueKind::Text
            }
        };
        let length = |key| node.get(key).and_then(number).map(|it| it as usize);
        ValueRule {
            kind: value_kind,
            one_of: node
                .get("enum")
                .map(|values| values.items().iter().filter_map(scalar).collect()),
            range: range(node),
            min_length: length("minLength"),
            max_length: length("maxLength"),
            pattern: node.get("pattern").and_then(|it| pattern(it, resolver)),
            format: text(node, "format").and_then(format),
        }
    }
}

fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::text)
}

/// The one type of a schema; `null` beside it does not count, since no text is null.
fn kind(schema: &Node) -> Option<&str> {
    let written = schema.get("type")?;
    if let Some(one) = written.text() {
        return Some(one);
    }
    let mut others = written.items().iter().filter_map(Node::text).filter(|it| *it != "null");
    others.next().filter(|_| others.next().is_none())
}

fn number(node: &Node) -> Option<f64> {
    if let Value::Number(number) = &node.value { number.as_f64() } else { None }
}

fn scalar(node: &Node) -> Option<Scalar> {
    match &node.value {
        Value::Text(text) => Some(Scalar::Text(text.clone())),
        Value::Number(number) => number.as_f64().map(Scalar::Number),
        Value::Bool(truth) => Some(Scalar::Boolean(*truth)),
        Value::Null | Value::List(_) | Value::Table(_) => None,
    }
}

/// Bounds in the way of 3.0, where `exclusive…` is a boolean, and in that of 3.1.
fn range(schema: &Node) -> Range {
    let bound = |inclusive, exclusive| {
        let exclusive = schema.get(exclusive);
        match (schema.get(inclusive).and_then(number), exclusive) {
            (Some(bound), Some(exclusive)) if exclusive.is_true() => Some((bound, Edge::Beyond)),
            (bound, exclusive) => match exclusive.and_then(number) {
                Some(exclusive) => Some((exclusive, Edge::Beyond)),
                None => bound.map(|bound| (bound, Edge::Within)),
            },
        }
    };
    let mut range = Range {
        least: bound("minimum", "exclusiveMinimum"),
        most: bound("maximum", "exclusiveMaximum"),
    };
    if text(schema, "format") == Some("int32") {
        range.least = range.least.or(Some((f64::from(i32::MIN), Edge::Within)));
        range.most = range.most.or(Some((f64::from(i32::MAX), Edge::Within)));
    }
    range
}

fn format(name: &str) -> Option<TextFormat> {
    Some(match name {
        "date" => TextFormat::Date,
        "date-time" => TextFormat::DateTime,
        "uuid" => TextFormat::Uuid,
        "ipv4" => TextFormat::Ipv4,
        "ipv6" => TextFormat::Ipv6,
        // As in bodies, a format that nobody knows is a remark.
        _ => return None,
    })
}

fn pattern(node: &Node, resolver: &mut Resolver<'_>) -> Option<regex::Regex> {
    let compiled =
        regex::RegexBuilder::new(node.text().unwrap_or_default()).size_limit(PATTERN_BYTES).build();
    if compiled.is_err() {
        let message = "this pattern cannot be matched in linear time, or is none";
        let help = "look-around and back references are not matched";
        resolver.problem_with_help(&node.place, message, help);
    }
    compiled.ok()
}
