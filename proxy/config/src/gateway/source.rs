//! Parts of a request that tell callers apart: for the cache of grants, and before an
//! authorizer is asked.

use std::time::Duration;

use http::HeaderName;
use regex::bytes::Regex;

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestPart {
    /// A header's values.
    Header(HeaderName),
    /// A query parameter's values, decoded.
    Query(String),
    /// A cookie's values.
    Cookie(String),
    /// An attribute, by its namespaced name.
    Attribute(String),
    /// The canonical path.
    Path,
    /// The method.
    Method,
    /// The host asked for, with its port where one was given.
    Host,
    /// The client's address, through trusted proxies.
    ClientAddress,
}

/// How an authorizer's answers may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRule {
    /// How long a grant may be kept.
    pub life: Duration,
    /// What tells requests apart; empty for everything the plugin is shown.
    pub by: Vec<RequestPart>,
    /// How long a refusal may be kept; `None` keeps none.
    pub denials: Option<Duration>,
}

/// What a request must have for an authorizer to be asked about it.
#[derive(Debug, Clone)]
pub struct IdentitySource {
    /// The part of the request.
    pub part: RequestPart,
    /// What the whole of each of its values must match.
    pub matches: Option<Regex>,
}
