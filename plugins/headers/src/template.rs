//! Texts with attributes in them: `"${identity:principal} via ${path:id}"`.

use std::borrow::Cow;

use portcullis_plugin_sdk::Request;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

/// A header's value, to be filled in with attributes. `$$` stands for `$`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Attribute(String),
}

impl Template {
    /// The attributes it names.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Attribute(name) => Some(name.as_str()),
        })
    }

    /// The value for this request; none where an attribute is missing, or where
    /// the outcome could not stand in a header.
    pub(crate) fn fill(&self, request: &Request) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Attribute(name) => {
                    filled.push_str(&request.attribute_value(name)?.to_string());
                }
            }
        }
        (!filled.contains(is_unfit)).then_some(filled)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = written.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some(named) = rest.strip_prefix('{') {
                let (name, after) = named.split_once('}').ok_or("a `${` has no `}`")?;
                if name.is_empty() {
                    return Err("`${}` names no attribute".to_owned());
                }
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Attribute(name.to_owned()));
                rest = after;
            } else {
                return Err("a `$` stands before `{name}` or another `$`".to_owned());
            }
        }
        text.push_str(rest);
        if text.contains(is_unfit) {
            return Err("a header's value holds no control characters".to_owned());
        }
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

fn is_unfit(character: char) -> bool {
    character.is_ascii_control() && character != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: Result<Option<&str>, &str>) {
        let request = Request::get("/")
            .with_attribute("path:id", "7")
            .with_attribute("path:bad", "a\r\nb: c");

        let filled = Template::try_from(written.to_owned()).map(|template| template.fill(&request));

        assert_eq!(filled, expected.map(|text| text.map(str::to_owned)).map_err(str::to_owned));
    }

    #[test]
    fn a_template_is_filled_with_attributes() {
        check("order ${path:id}!", Ok(Some("order 7!")));
        check("$${path:id} for $$5", Ok(Some("${path:id} for $5")));
        check("", Ok(Some("")));
    }

    #[test]
    fn what_cannot_be_filled_in_or_stand_in_a_header_is_no_value() {
        check("${path:other}", Ok(None));
        check("${path:bad}", Ok(None));
    }

    #[test]
    fn a_malformed_template_is_refused() {
        check("${path:id", Err("a `${` has no `}`"));
        check("${}", Err("`${}` names no attribute"));
        check("5 $", Err("a `$` stands before `{name}` or another `$`"));
        check("a\nb", Err("a header's value holds no control characters"));
    }
}
