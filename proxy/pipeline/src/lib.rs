//! Decides about one exchange: who may make the request, whether it is what its
//! route promises, what the upstream sees of it and what the client sees of the
//! answer.
//!
//! ```text
//! preflight ◀─ receive ─▶ route ─▶ guard ─▶ authorize ─▶ limit ─▶ validate ─▶ transform_request ─▶ upstream
//! client ◀─────────────────────────────────────────────────────── transform_response ◀──┘
//! ```
//!
//! This crate must not know sockets, clocks, Pingora or wasmtime: what it needs of
//! them are the ports [`Incoming`], [`Plugins`] and [`Limits`]. A decision is therefore a
//! function of its arguments, and is tested without a gateway.

mod admitted;
mod attack;
mod client_certificate;
mod compression;
mod cookies;
mod cors;
mod edit;
mod fill;
mod guard;
mod incoming;
mod limits;
mod mapping;
mod phase;
mod pipeline;
mod plugins;
mod policy;
mod query;
mod record;
mod rejection;
mod respond;
mod route_table;
mod strict_json;
mod unreached;
mod vary;
mod view;

pub use admitted::{Admitted, Answer, Forward, Outgoing};
pub use attack::{Suspicion, is_contained};
pub use client_certificate::{AlternativeNames, ClientCertificate};
pub use compression::{Compressed, Negotiated};
pub use cookies::cookies;
pub use cors::CorsReply;
pub use edit::{
    BodyAccess, EditProblem, RequestEdit, ResponseEdit, apply_to_request, apply_to_response,
};
pub use guard::{Found, GuardView, find};
pub use incoming::{Arrival, BodyFault, HeldBody, Incoming, Scheme, TlsFacts};
pub use limits::{Limits, NoPlan, Subscriber, ThrottleKind, Throttled, Uncounted, Untaken};
pub use phase::canonical::{CanonicalPath, PathProblem};
pub use pipeline::{Answered, Pipeline, ResponseNeed};
pub use plugins::{
    AuthorizerAnswer, BodyMode, CacheUse, Call, Denial, GivesBack, Grant, Identity, LimiterCharge,
    LimiterLimit, PluginFault, Plugins, Reads, Reason, RequestOutcome, ResponseCall,
    ResponseOutcome, Unidentified, Value, Violation,
};
pub use policy::outlook;
pub use query::query_pairs;
pub use record::{Asked, Decision, DecisionKind, Guarding, Record};
pub use rejection::{
    MalformedRequest, PathFault, PolicySide, PreflightProblem, Rejection, UpstreamFailure,
};
pub use route_table::{NotFound, RouteId, RouteTable, ServedRoute};
pub use strict_json::strict_json;
pub use unreached::Unreached;
pub use vary::vary;
pub use view::{RouteFacts, View, ViewParts};
