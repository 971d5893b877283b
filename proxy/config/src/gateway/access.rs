//! Who decides whether a request may go on, what the caller must have, and what the
//! upstream learns of them.

use http::HeaderName;

use super::Use;

/// Who decides whether a request may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Nobody: the configuration opened the route with `authorizer = "none"`.
    Open,
    /// These.
    By(Authorization),
}

/// One authorizer, or several and how their answers are put together.
///
/// No use stands in it twice, and a list has at least two members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// This authorizer.
    One(Use),
    /// The first, in order, that knows the credential.
    Any(Vec<Authorization>),
    /// Every one, in order.
    All(Vec<Authorization>),
}

impl Authorization {
    /// Every authorizer in it, in the order they are asked.
    pub fn uses(&self) -> Vec<&Use> {
        match self {
            Self::One(used) => vec![used],
            Self::Any(members) | Self::All(members) => {
                members.iter().flat_map(Self::uses).collect()
            }
        }
    }
}

/// The scopes a caller must have (RFC 6749 §3.3). At least one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// One of these.
    Any(Vec<String>),
    /// All of these.
    All(Vec<String>),
}

impl Scopes {
    /// The scopes named.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Any(names) | Self::All(names) => names,
        }
    }
}

/// A request header that the upstream, but no client, is told things by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityHeader {
    /// The header.
    pub name: HeaderName,
    /// The attribute it is set from, with its namespace.
    pub attribute: String,
}

impl IdentityHeader {
    /// Whether an upstream may take a header of this name for this one.
    pub fn is_taken_for(&self, name: &HeaderName) -> bool {
        same_to_upstreams(self.name.as_str(), name.as_str())
    }
}

/// Names of header fields that only the gateway writes: framing, hop-by-hop (RFC 9110
/// §7.6.1), the route's host, and what tells the upstream where the request came from.
pub const RESERVED_HEADERS: [&str; 15] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// Whether an upstream that turns header names into variables, as CGI does (RFC 3875
/// §4.1.18), may mix two up: in practice `_`, `-` and other marks become the same.
pub fn same_to_upstreams(one: &str, other: &str) -> bool {
    let folded = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' };
    one.len() == other.len() && one.bytes().map(folded).eq(other.bytes().map(folded))
}
