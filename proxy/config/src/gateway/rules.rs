//! What requests of a route must be, beside what its plugins say.

use std::fmt;

use http::HeaderName;
use regex::Regex;

use super::Use;

/// What requests of a route must be.
#[derive(Debug, Clone, Default)]
pub struct RequestRules {
    /// Of parameters.
    pub parameters: Vec<ParameterRule>,
    /// Of the body. Every one holds.
    pub bodies: Vec<BodyRule>,
}

impl RequestRules {
    /// These rules and others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        let mut both = self.clone();
        both.parameters.extend(others.parameters.iter().cloned());
        both.bodies.extend(others.bodies.iter().cloned());
        both
    }
}

/// What a parameter must be.
#[derive(Debug, Clone)]
pub struct ParameterRule {
    /// Which.
    pub at: ParameterAt,
    /// Whether it must be there, and not blank.
    pub required: bool,
    /// How many values it has.
    pub many: Many,
    /// What each value must be.
    pub value: ValueRule,
}

/// Where a parameter is, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterAt {
    /// In the query.
    Query(String),
    /// A header.
    Header(HeaderName),
    /// In the path.
    Path(String),
    /// A cookie.
    Cookie(String),
}

/// How many values a parameter has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Many {
    /// One.
    One,
    /// As often as it is there.
    Repeated(Items),
    /// In one text, with this between them.
    Separated(char, Items),
}

/// How many items a list has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Items {
    /// The fewest.
    pub least: Option<usize>,
    /// The most.
    pub most: Option<usize>,
    /// Whether no two may be equal.
    pub distinct: bool,
}

/// What the text of a parameter must be.
#[derive(Debug, Clone, Default)]
pub struct ValueRule {
    /// What it stands for.
    pub kind: ValueKind,
    /// The values it may have; `None` for any.
    pub one_of: Option<Vec<Scalar>>,
    /// The least and the greatest number.
    pub range: Range,
    /// The fewest characters.
    pub min_length: Option<usize>,
    /// The most characters.
    pub max_length: Option<usize>,
    /// What a part of it must match.
    pub pattern: Option<Regex>,
    /// The form it must have.
    pub format: Option<TextFormat>,
}

/// What a text stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ValueKind {
    /// Itself.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// Bounds of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Range {
    /// The least, and whether it is out of bounds itself.
    pub least: Option<(f64, Edge)>,
    /// The greatest, and whether it is out of bounds itself.
    pub most: Option<(f64, Edge)>,
}

/// Whether a bound is within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It is.
    Within,
    /// It is not.
    Beyond,
}

/// A value that a parameter may have.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// This text.
    Text(String),
    /// This number, however it is written.
    Number(f64),
    /// This boolean.
    Boolean(bool),
}

/// A form of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// `2026-11-28`.
    Date,
    /// `2026-11-28T09:30:00Z` (RFC 3339).
    DateTime,
    /// `9f0c…` in five groups (RFC 9562).
    Uuid,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
}

impl TextFormat {
    /// The format's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Uuid => "uuid",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// What a body must be.
#[derive(Debug, Clone)]
pub struct BodyRule {
    /// Whether there must be one.
    pub required: bool,
    /// The media types that are taken, the first that matches counting.
    pub media_types: Vec<(MediaRange, Judge)>,
    /// What happens to a body of another media type.
    pub others: OtherMediaTypes,
}

/// Who judges bodies of a media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judge {
    /// Nobody.
    Nobody,
    /// This validator.
    Validator(Use),
}

/// What happens to a body of a media type that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherMediaTypes {
    /// It is refused with 415.
    Refuse,
    /// It goes on unjudged.
    Pass,
}

/// A media type, or several: `application/json`, `text/*`, `application/*+json`, `*/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRange {
    /// `None` is any.
    kind: Option<String>,
    /// What the subtype begins and ends with; the whole where there is no end.
    subtype: (String, Option<String>),
}

impl MediaRange {
    /// Parses a range; none where the text is no such.
    pub fn parse(text: &str) -> Option<Self> {
        let token = |part: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+%'`|~".contains(&b);
            part.bytes().all(plain)
        };
        let text = text.to_ascii_lowercase();
        let (kind, subtype) = text.split_once('/')?;
        let (before, after) = match subtype.split_once('*') {
            None if subtype.is_empty() => return None,
            None => (subtype, None),
            Some((before, after)) => (before, Some(after)),
        };
        if !token(before) || !after.is_none_or(token) {
            return None;
        }
        let kind = match kind {
            "*" => None,
            kind if !kind.is_empty() && token(kind) => Some(kind.to_owned()),
            _ => return None,
        };
        Some(Self { kind, subtype: (before.to_owned(), after.map(str::to_owned)) })
    }

    /// Whether a `Content-Type` is of this range; its parameters do not matter.
    pub fn holds(&self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let Some((kind, subtype)) = essence.split_once('/') else { return false };
        let begins = |text: &str, with: &str| {
            text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        let is_kind = self.kind.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(kind));
        let (before, after) = &self.subtype;
        is_kind
            && !subtype.is_empty()
            && match after {
                None => subtype.eq_ignore_ascii_case(before),
                Some(after) => {
                    let rest = subtype.get(before.len()..).unwrap_or_default();
                    let end = rest.len().checked_sub(after.len()).and_then(|at| rest.get(at..));
                    begins(subtype, before)
                        && end.is_some_and(|end| end.eq_ignore_ascii_case(after))
                }
            }
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = &self.subtype;
        write!(f, "{}/{before}", self.kind.as_deref().unwrap_or("*"))?;
        match after {
            Some(after) => write!(f, "*{after}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ParameterAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Path(name) => write!(f, "path:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MediaRange;

    #[test]
    fn ranges_hold_what_they_say() {
        let holds = |range: &str, text: &str| MediaRange::parse(range).unwrap().holds(text);
        assert!(holds("application/json", "Application/JSON; charset=utf-8"));
        assert!(!holds("application/json", "application/jsonx"));
        assert!(!holds("application/json", "application/json-patch+json"));
        assert!(holds("application/*+json", "application/problem+JSON"));
        assert!(!holds("application/*+json", "application/json"));
        assert!(!holds("application/*+json", "text/x+json"));
        assert!(holds("text/*", "text/plain"));
        assert!(holds("*/*", "a/b"));
        assert!(!holds("*/*", "a/"));
        assert!(!holds("*/*", ""));
        for text in ["json", "a/", "/b", "a b/c", "a/b;c=d", "*json/a", "a/*+*"] {
            assert_eq!(MediaRange::parse(text), None, "{text}");
        }
        for text in ["a/b", "a/*", "*/*", "a/*+json", "a/vnd.*+json"] {
            assert_eq!(MediaRange::parse(text).unwrap().to_string(), text);
        }
    }
}
