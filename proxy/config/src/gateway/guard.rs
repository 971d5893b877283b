//! Rules that are looked at before anybody is asked who the caller is.

use std::sync::Arc;

use http::{HeaderName, Method};
use regex::bytes::Regex;

use super::MediaRange;
use crate::country::{Country, CountryDatabase};
use crate::networks::Networks;

/// The rules of an API, in order; never none.
#[derive(Debug)]
pub struct Guard {
    /// The rules.
    pub rules: Vec<GuardRule>,
}

/// One rule.
#[derive(Debug)]
pub struct GuardRule {
    /// Its name.
    pub name: Arc<str>,
    /// What happens to a request that it finds.
    pub mode: GuardMode,
    /// Which requests it finds.
    pub condition: GuardCondition,
}

/// What happens to a request that a rule finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GuardMode {
    /// It is refused.
    Block,
    /// It is counted, and goes on.
    Count,
}

impl GuardMode {
    /// The mode as configurations write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Count => "count",
        }
    }
}

/// Whether a list names who may come, or who may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// All others are found.
    Allow,
    /// These are found.
    Deny,
}

/// Which requests a rule finds.
#[derive(Debug)]
pub enum GuardCondition {
    /// By the client's address.
    Addresses(Listed, Networks),
    /// By the country of the client's address.
    Countries(Listed, Vec<Country>, Arc<CountryDatabase>),
    /// Those with another method.
    Methods(Vec<Method>),
    /// Those with a body of another media type.
    ContentTypes(Vec<MediaRange>),
    /// Those that have more of something.
    Most(GuardMost),
    /// Those with a part in which the expression finds something.
    Matching {
        /// The expression.
        expression: Regex,
        /// Where it looks.
        parts: Vec<GuardPart>,
        /// Bytes of a body that it looks at; `None` where it looks at no body.
        body: Option<u64>,
    },
    /// Those with a part in which a value looks like an attack.
    Attacks {
        /// The kinds of attacks, in the order they are looked for.
        kinds: Vec<Attack>,
        /// Where they are looked for.
        parts: Vec<GuardPart>,
        /// Bytes of a body that are looked at; `None` where no body is.
        body: Option<u64>,
    },
}

impl GuardCondition {
    /// Bytes of a body that it looks at; `None` where it looks at none.
    pub fn body_limit(&self) -> Option<u64> {
        match self {
            Self::Matching { body, .. } | Self::Attacks { body, .. } => *body,
            Self::Addresses(..)
            | Self::Countries(..)
            | Self::Methods(_)
            | Self::ContentTypes(_)
            | Self::Most(_) => None,
        }
    }
}

/// A kind of attack that the guard knows by its looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// SQL that changes the statement which a value is put into.
    SqlInjection,
    /// HTML that runs a script where a value is shown.
    CrossSiteScripting,
}

/// The most that a request may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuardMost {
    /// Header fields.
    pub headers: Option<usize>,
    /// Bytes of one header field.
    pub header_bytes: Option<usize>,
    /// Bytes of the path.
    pub path_bytes: Option<usize>,
    /// Bytes of the query.
    pub query_bytes: Option<usize>,
    /// Query parameters.
    pub query_parameters: Option<usize>,
}

/// A part of a request that a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardPart {
    /// The path.
    Path,
    /// The whole query.
    Query,
    /// The values of a query parameter.
    Parameter(String),
    /// The values of a header.
    Header(HeaderName),
    /// The body.
    Body,
}

impl Guard {
    /// Whether any rule looks at the request's body.
    pub fn reads_body(&self) -> bool {
        self.rules.iter().any(|rule| rule.condition.body_limit().is_some())
    }
}
