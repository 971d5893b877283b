//! Texts with placeholders: `"order {path:id} of {identity:principal}"`.
//!
//! The one syntax for values of the gateway's own making. A placeholder is
//! `{namespace:name}`; `{{` and `}}` stand for braces. Which namespaces a key takes is for
//! those to say who resolve it.

use std::fmt;

use http::HeaderName;

use crate::json_path::{JsonPath, JsonPathProblem};

/// A text with placeholders, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template(Vec<Part>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// This text; never empty.
    Text(String),
    /// What this stands for.
    Value(Placeholder),
}

/// What is put in the place of a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `{header:NAME}`: a request header.
    Header(HeaderName),
    /// `{query:NAME}`: a query parameter.
    Query(String),
    /// `{body:PATH}`: a place in the request's JSON body.
    Body(JsonPath),
    /// `{identity:principal}` and the like: an attribute, by its full name.
    Attribute(String),
    /// `{response:status}`.
    ResponseStatus,
    /// `{response-header:NAME}`.
    ResponseHeader(HeaderName),
    /// `{response-body:PATH}`: a place in the response's JSON body.
    ResponseBody(JsonPath),
}

/// Namespaces whose placeholders are attributes, and their names where all are known.
const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("api", &["name"]),
    ("client", &["address"]),
    ("identity", &[]),
    ("path", &[]),
    ("request", &["id", "arn", "method", "path", "host"]),
    ("route", &["id", "api", "stage"]),
    ("stage", &[]),
    ("tls", &[]),
];

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// A `{` without its `}`.
    #[error("`{{` has no `}}`")]
    Unclosed,
    /// A `}` without its `{`.
    #[error("`}}` has no `{{` before it")]
    Unopened,
    /// Not of the form `namespace:name`.
    #[error("`{{{0}}}` is no placeholder")]
    Form(String),
    /// Nothing is known by this namespace.
    #[error("nothing is known as `{0}:`")]
    Namespace(String),
    /// The namespace has no such name.
    #[error("nothing is known as `{0}:{1}`")]
    Name(&'static str, String, &'static [&'static str]),
    /// No header has this name.
    #[error("`{0}` is no header")]
    Header(String),
    /// Not a path into JSON.
    #[error("{0}")]
    JsonPath(#[from] JsonPathProblem),
}

impl TemplateProblem {
    /// What the operator may write instead.
    pub fn help(&self) -> String {
        let list = |names: &[&str], end: &str| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}{end}`")).collect();
            names.join(", ")
        };
        match self {
            Self::Unclosed | Self::Unopened => {
                "a placeholder is written as `{path:id}`, a brace as `{{` or `}}`".to_owned()
            }
            Self::Form(_) => "write it as `{path:id}`, or a brace as `{{` or `}}`".to_owned(),
            Self::Namespace(_) => {
                let own =
                    ["header", "query", "body", "response", "response-header", "response-body"];
                let all = own.into_iter().chain(ATTRIBUTES.iter().map(|(name, _)| *name));
                format!("known: {}", list(&all.collect::<Vec<_>>(), ":"))
            }
            Self::Name(_, _, known) => format!("known: {}", list(known, "")),
            Self::Header(_) => "header names hold letters, digits and `-`".to_owned(),
            Self::JsonPath(_) => "write it as `{body:$.order.id}`".to_owned(),
        }
    }
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// When braces do not match, or what they hold is no placeholder.
    pub fn parse(text: &str) -> Result<Self, TemplateProblem> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at_checked(at).unwrap_or((rest, ""));
            plain.push_str(before);
            if let Some(after) = braced.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = braced.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let inner = braced.strip_prefix('{').ok_or(TemplateProblem::Unopened)?;
                let (written, after) = until_closed(inner).ok_or(TemplateProblem::Unclosed)?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Value(Placeholder::parse(written)?));
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(placeholder) => Some(placeholder),
        })
    }

    /// The text, where nothing in it stands for something else.
    pub fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Part::Value(placeholder) => write!(f, "{{{placeholder}}}")?,
            }
        }
        Ok(())
    }
}

impl Placeholder {
    /// Parses what stands between the braces.
    ///
    /// # Errors
    ///
    /// When it has no known namespace, or no name of it.
    pub fn parse(written: &str) -> Result<Self, TemplateProblem> {
        let (namespace, name) = match written.split_once(':') {
            Some((namespace, name)) if !name.is_empty() => (namespace, name),
            _ => return Err(TemplateProblem::Form(written.to_owned())),
        };
        let header =
            || HeaderName::try_from(name).map_err(|_| TemplateProblem::Header(name.to_owned()));
        match namespace {
            "header" => Ok(Self::Header(header()?)),
            "query" => Ok(Self::Query(name.to_owned())),
            "body" => Ok(Self::Body(JsonPath::parse(name)?)),
            "response" if name == "status" => Ok(Self::ResponseStatus),
            "response" => Err(TemplateProblem::Name("response", name.to_owned(), &["status"])),
            "response-header" => Ok(Self::ResponseHeader(header()?)),
            "response-body" => Ok(Self::ResponseBody(JsonPath::parse(name)?)),
            _ => attribute(namespace, name),
        }
    }

    /// Whether it is of the response.
    pub fn is_of_response(&self) -> bool {
        match self {
            Self::ResponseStatus | Self::ResponseHeader(_) | Self::ResponseBody(_) => true,
            Self::Header(_) | Self::Query(_) | Self::Body(_) | Self::Attribute(_) => false,
        }
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Body(path) => write!(f, "body:{path}"),
            Self::Attribute(name) => f.write_str(name),
            Self::ResponseStatus => f.write_str("response:status"),
            Self::ResponseHeader(name) => write!(f, "response-header:{name}"),
            Self::ResponseBody(path) => write!(f, "response-body:{path}"),
        }
    }
}

fn attribute(namespace: &str, name: &str) -> Result<Placeholder, TemplateProblem> {
    let found = ATTRIBUTES.iter().find(|(known, _)| *known == namespace);
    let (namespace, names) =
        found.ok_or_else(|| TemplateProblem::Namespace(namespace.to_owned()))?;
    if names.is_empty() || names.contains(&name) {
        return Ok(Placeholder::Attribute(format!("{namespace}:{name}")));
    }
    Err(TemplateProblem::Name(namespace, name.to_owned(), names))
}

/// What stands before the closing brace, and what after; a brace within quotes closes
/// nothing.
fn until_closed(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '}') => return Some((text.get(..at)?, text.get(at + 1..)?)),
            (None, '{') => return None,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[Part]) {
        let template = Template::parse(text).unwrap();
        assert_eq!(template.parts(), expected, "{text}");
        assert_eq!(Template::parse(&template.to_string()), Ok(template), "{text}");
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn attribute(name: &str) -> Part {
        Part::Value(Placeholder::Attribute(name.to_owned()))
    }

    #[test]
    fn texts_and_placeholders_are_told_apart() {
        let path = |text| JsonPath::parse(text).unwrap();
        check("", &[]);
        check("plain", &[text("plain")]);
        check("{path:id}", &[attribute("path:id")]);
        check(
            "a {path:id}-{identity:claim.sub} b",
            &[
                text("a "),
                attribute("path:id"),
                text("-"),
                attribute("identity:claim.sub"),
                text(" b"),
            ],
        );
        check("{{{request:id}}}", &[text("{"), attribute("request:id"), text("}")]);
        check("{header:X-A}", &[Part::Value(Placeholder::Header("x-a".parse().unwrap()))]);
        check("{query:a:b}", &[Part::Value(Placeholder::Query("a:b".into()))]);
        check("{body:$['a}b'].c}", &[Part::Value(Placeholder::Body(path("$['a}b'].c")))]);
        check("{response-body:$.a}", &[Part::Value(Placeholder::ResponseBody(path("$.a")))]);
        check("{response:status}", &[Part::Value(Placeholder::ResponseStatus)]);
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        use TemplateProblem::{Form, Header, Name, Namespace, Unclosed, Unopened};
        for (written, expected) in [
            ("{", Unclosed),
            ("{path:id", Unclosed),
            ("{path:{id}}", Unclosed),
            ("a}", Unopened),
            ("{}", Form(String::new())),
            ("{id}", Form("id".into())),
            ("{path:}", Form("path:".into())),
            ("{paths:id}", Namespace("paths".into())),
            (
                "{request:ip}",
                Name("request", "ip".into(), &["id", "arn", "method", "path", "host"]),
            ),
            ("{response:body}", Name("response", "body".into(), &["status"])),
            ("{header:a b}", Header("a b".into())),
            ("{body:id}", JsonPathProblem::NoRoot.into()),
        ] {
            let problem = Template::parse(written).unwrap_err();
            assert_eq!(problem, expected, "{written}");
            assert!(!problem.help().is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_written(plain in any::<String>()) {
            let _any_text = Template::parse(&plain);
            let written = plain.replace('{', "{{").replace('}', "}}");
            let template = Template::parse(&written);
            prop_assert_eq!(template.as_ref().ok().and_then(Template::as_text), Some(&*plain));
        }
    }
}
