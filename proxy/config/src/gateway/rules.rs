//! What requests of a route must be, beside what its plugins say.

use std::fmt;

use http::HeaderName;
use regex::Regex;

use super::{MediaRange, Use};

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
