//! What the pipeline says of a request it has seen.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::plugins::Identity;
use crate::route_table::ServedRoute;
use crate::{Arrival, CanonicalPath};
use std::sync::Arc;

/// A request that may go on.
#[derive(Debug)]
pub enum Admitted {
    /// To the upstream.
    Forward(Box<Forward>),
    /// The gateway (or a plugin of the route) answers it.
    Answer(Answer),
}

/// Everything needed to forward a request and, later, to judge its response.
#[derive(Debug)]
pub struct Forward {
    /// What is known of the request beside its bytes.
    pub arrival: Arrival,
    /// The host the client asked for, with its port where it gave one.
    pub authority: String,
    /// The path the route was found by.
    pub path: CanonicalPath,
    /// The route.
    pub route: Arc<ServedRoute>,
    /// The caller, where the route has an authorizer.
    pub identity: Option<Arc<Identity>>,
    /// Headers that the authorizer wants on the response.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
    /// What the upstream sees.
    pub outgoing: Outgoing,
}

/// What the upstream sees, as far as it differs from what the client sent.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The headers, where a transform changed them.
    pub headers: Option<HeaderMap>,
    /// The path, where the route or a transform rewrote it.
    pub path: Option<String>,
    /// The query, where a transform changed it; `Some(None)` has none.
    pub query: Option<Option<String>>,
    /// The body, where a transform replaced it.
    pub body: Option<Bytes>,
}

/// A whole response of the gateway's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, without framing.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}
