//! Why the gateway answers a request itself, and with what.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};

use crate::guard::Found;
use crate::incoming::BodyFault;
use crate::limits::{NoPlan, Throttled};
use crate::phase::canonical::PathProblem;
use crate::plugins::{Denial, PluginFault, Reason, Violation};
use crate::record::{Decision, DecisionKind};
use crate::route_table::NotFound;

mod answer;
mod aws;

/// Why the gateway answers a request itself.
///
/// [`Display`](std::fmt::Display) is for the log. The client sees only the
/// [`status`](Self::status), the [`code`](Self::code), violations, and what a
/// denial says in public.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The head can be read in two ways, or in none.
    #[error("malformed request: {0}")]
    Malformed(#[from] MalformedRequest),
    /// No route has this path.
    #[error("no such route")]
    NoSuchRoute,
    /// Routes of this path have only these methods.
    #[error("the path is served with other methods only")]
    MethodNotAllowed(Vec<Method>),
    /// A page of another origin may not make the request it asks about.
    #[error("preflight: {0}")]
    Preflight(#[from] PreflightProblem),
    /// The path that the upstream is to see cannot be made of this request.
    #[error("no path for the upstream: {0}")]
    PathUnmade(PathFault),
    /// A rule of the API's guard found the request.
    #[error("the guard's rule `{rule}` found {found}")]
    Guarded {
        /// The rule.
        rule: Arc<str>,
        /// What it found.
        found: Found,
    },
    /// The body is longer than its route or a plugin of it takes.
    #[error("the body has more than {limit} bytes")]
    BodyTooLarge {
        /// The bytes it might have had.
        limit: u64,
    },
    /// The body could not be held.
    #[error(transparent)]
    Body(#[from] BodyFault),
    /// The authorizer did not answer, so the request is not allowed.
    #[error("authorizer `{plugin}` {fault}")]
    AuthorizerFault {
        /// The plugin use.
        plugin: String,
        /// What happened.
        fault: PluginFault,
    },
    /// The authorizer said no.
    #[error("{}", denial_text(.denial))]
    Denied {
        /// How it said so.
        denial: Denial,
        /// How the client may identify itself, in the order the authorizers are asked.
        challenges: Vec<HeaderValue>,
    },
    /// No policy allows the request, and one should.
    #[error("no policy allows this method and path")]
    PolicyDenied,
    /// A policy denies the request.
    #[error("{0} denies this method and path")]
    PolicyExplicitDeny(PolicySide),
    /// The caller has none of the scopes that the route needs, or lacks one of them.
    #[error("the caller lacks the scope: {}", .0.join(" "))]
    InsufficientScope(Vec<String>),
    /// The body is of no media type that the route takes, but of these.
    #[error("the body is of none of the media types: {}", .0.join(", "))]
    UnsupportedMediaType(Vec<String>),
    /// No usage plan opens the route to the caller, and one must.
    #[error("usage plan: {0}")]
    NoPlan(NoPlan),
    /// More requests than a limit lets pass.
    #[error("over the limit: {}", .0.limits.join(", "))]
    Throttled(Throttled),
    /// Limits that gateways share cannot be counted, and the configuration lets nothing pass
    /// then.
    #[error("shared limits cannot be counted now")]
    LimitsUnavailable,
    /// Validators found these.
    #[error("{}", violations_text(.0))]
    Invalid(Vec<Violation>),
    /// A plugin other than an authorizer failed, and the configuration does not skip it.
    #[error("plugin `{plugin}` {fault}")]
    PluginFault {
        /// The plugin use.
        plugin: String,
        /// What happened.
        fault: PluginFault,
    },
    /// The upstream did not answer.
    #[error("upstream: {0}")]
    Upstream(#[from] UpstreamFailure),
}

/// Why a page of another origin may not make the request it asks about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreflightProblem {
    /// The origin is not among those allowed.
    #[error("the origin `{0}` is not allowed")]
    Origin(String),
    /// The path is not served with the method, or pages may not use it.
    #[error("the method `{0}` is not allowed")]
    Method(Method),
    /// Pages may not set the header.
    #[error("the header `{0}` is not allowed")]
    Header(String),
}

/// Why a path cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// A value of it is missing, or is more than one segment.
    #[error("`{{{0}}}` has no value that is one segment")]
    Value(String),
    /// What came of it has no canonical form.
    #[error(transparent)]
    Path(PathProblem),
}

/// Whose policy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicySide {
    /// A policy that the authorizer granted with.
    #[error("the caller's policy")]
    Caller,
    /// The API's own.
    #[error("the API's policy")]
    Api,
}

/// What is wrong with a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRequest {
    /// The path has no canonical form.
    #[error(transparent)]
    Path(#[from] PathProblem),
    /// CONNECT, or `*`.
    #[error("the request target is no path")]
    Target,
    /// No host.
    #[error("the request names no host")]
    NoHost,
    /// Two hosts that may differ.
    #[error("the request names several hosts")]
    SeveralHosts,
    /// Not a host and a port.
    #[error("the host is none")]
    BadHost,
    /// Two ways to tell where the body ends.
    #[error("the body's length is stated in two ways")]
    Framing,
}

/// Why an upstream did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFailure {
    /// Every endpoint is unhealthy.
    #[error("no endpoint is healthy")]
    NoHealthyEndpoint,
    /// No connection.
    #[error("no connection")]
    Connect,
    /// No TLS session.
    #[error("the TLS handshake failed")]
    Tls,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke, or what came over it is no HTTP.
    #[error("the connection broke")]
    Broken,
    /// A plugin reads the whole response, and it is longer than the plugin takes.
    #[error("the response is longer than a plugin of the route takes")]
    ResponseTooLarge,
}

impl Rejection {
    /// The status the client receives.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_)
            | Self::Invalid(_)
            | Self::PathUnmade(_)
            | Self::Body(BodyFault::Broken) => StatusCode::BAD_REQUEST,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyFault::TimedOut) => StatusCode::REQUEST_TIMEOUT,
            Self::Denied {
                denial: Denial::NotMine | Denial::Unidentified(_) | Denial::Unauthenticated(_),
                ..
            } => StatusCode::UNAUTHORIZED,
            Self::Denied { denial: Denial::Forbidden(_), .. }
            | Self::Preflight(_)
            | Self::PolicyDenied
            | Self::PolicyExplicitDeny(_)
            | Self::InsufficientScope(_)
            | Self::NoPlan(_) => StatusCode::FORBIDDEN,
            Self::Guarded { found, .. } => found.status(),
            Self::Denied { denial: Denial::Respond(answer), .. } => answer.status,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Body(BodyFault::NoRoom)
            | Self::LimitsUnavailable
            | Self::AuthorizerFault { .. }
            | Self::PluginFault { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream(failure) => failure.status(),
        }
    }

    /// The stable code, for clients, logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(problem) => problem.code(),
            Self::NoSuchRoute => "no-such-route",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::Preflight(_) => "preflight-refused",
            Self::Guarded { found, .. } => found.code(),
            Self::PathUnmade(_) => "path-unmade",
            Self::BodyTooLarge { .. } => "body-too-large",
            Self::Body(BodyFault::TimedOut) => "body-timeout",
            Self::Body(BodyFault::Broken) => "client-closed",
            Self::Body(BodyFault::NoRoom) => "no-room",
            Self::AuthorizerFault { .. } | Self::PluginFault { .. } => "plugin-fault",
            Self::Denied {
                denial: Denial::NotMine | Denial::Unidentified(_) | Denial::Unauthenticated(_),
                ..
            } => "unauthenticated",
            Self::Denied { denial: Denial::Forbidden(_), .. } => "forbidden",
            Self::PolicyDenied => "policy-denied",
            Self::PolicyExplicitDeny(_) => "policy-explicit-deny",
            Self::Denied { denial: Denial::Respond(_), .. } => "answered-by-authorizer",
            Self::InsufficientScope(_) => "insufficient-scope",
            Self::UnsupportedMediaType(_) => "unsupported-media-type",
            Self::NoPlan(why) => why.code(),
            Self::Throttled(throttled) => throttled.kind.code(),
            Self::LimitsUnavailable => "limits-unavailable",
            Self::Invalid(_) => "invalid-request",
            Self::Upstream(failure) => failure.code(),
        }
    }

    /// What the record keeps: everything.
    pub fn decision(&self) -> Decision {
        let reason = match self {
            Self::AuthorizerFault { fault, .. } | Self::PluginFault { fault, .. } => {
                Some(fault.code().to_owned())
            }
            Self::Guarded { rule, .. } => Some(rule.to_string()),
            Self::Denied { denial: Denial::Unidentified(lacking), .. } => {
                Some(lacking.code().to_owned())
            }
            Self::NoPlan(why) => why.reason().map(str::to_owned),
            Self::Throttled(throttled) => throttled.limits.first().cloned(),
            Self::Denied { denial, .. } => denial_reason(denial).map(|reason| reason.code.clone()),
            Self::Preflight(problem) => Some(problem.code().to_owned()),
            Self::Malformed(_)
            | Self::NoSuchRoute
            | Self::MethodNotAllowed(_)
            | Self::PathUnmade(_)
            | Self::BodyTooLarge { .. }
            | Self::Body(_)
            | Self::PolicyDenied
            | Self::PolicyExplicitDeny(_)
            | Self::InsufficientScope(_)
            | Self::UnsupportedMediaType(_)
            | Self::LimitsUnavailable
            | Self::Invalid(_)
            | Self::Upstream(_) => None,
        };
        Decision {
            kind: DecisionKind::Refused,
            code: self.code(),
            reason,
            detail: self.to_string(),
        }
    }
}

impl MalformedRequest {
    fn code(self) -> &'static str {
        match self {
            Self::Path(_) => "bad-path",
            Self::Target => "bad-target",
            Self::NoHost => "no-host",
            Self::SeveralHosts => "ambiguous-host",
            Self::BadHost => "bad-host",
            Self::Framing => "ambiguous-framing",
        }
    }
}

impl PreflightProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Origin(_) => "origin-not-allowed",
            Self::Method(_) => "method-not-allowed",
            Self::Header(_) => "header-not-allowed",
        }
    }
}

impl UpstreamFailure {
    fn status(self) -> StatusCode {
        match self {
            Self::NoHealthyEndpoint => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Connect | Self::Tls | Self::Broken | Self::ResponseTooLarge => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::NoHealthyEndpoint => "no-healthy-endpoint",
            Self::Connect => "upstream-connect",
            Self::Tls => "upstream-tls",
            Self::TimedOut => "upstream-timeout",
            Self::Broken => "upstream-broken",
            Self::ResponseTooLarge => "upstream-response-too-large",
        }
    }
}

impl From<NotFound> for Rejection {
    fn from(why: NotFound) -> Self {
        match why {
            NotFound::NoSuchRoute => Self::NoSuchRoute,
            NotFound::MethodNotAllowed(methods) => Self::MethodNotAllowed(methods),
        }
    }
}

fn denial_reason(denial: &Denial) -> Option<&Reason> {
    match denial {
        Denial::NotMine | Denial::Unidentified(_) | Denial::Respond(_) => None,
        Denial::Unauthenticated(reason) | Denial::Forbidden(reason) => Some(reason),
    }
}

fn denial_text(denial: &Denial) -> String {
    match denial {
        Denial::NotMine => "no credential that the authorizer knows".to_owned(),
        Denial::Unidentified(lacking) => format!("the authorizer is not asked: {}", lacking.code()),
        Denial::Unauthenticated(reason) => format!("unauthenticated: {}", reason.code),
        Denial::Forbidden(reason) => format!("forbidden: {}", reason.code),
        Denial::Respond(answer) => format!("answered with {}", answer.status.as_u16()),
    }
}

/// Bytes of the violations that are logged.
const LOGGED_VIOLATIONS: usize = 4096;

/// The violations in one line, which is no longer however long the names of a body are.
fn violations_text(violations: &[Violation]) -> String {
    let mut text = String::new();
    for Violation { location, message } in violations {
        let separator = if text.is_empty() { "" } else { "; " };
        text.extend([separator, location, ": ", message]);
        if text.len() > LOGGED_VIOLATIONS {
            text.truncate(text.floor_char_boundary(LOGGED_VIOLATIONS));
            text.push('…');
            break;
        }
    }
    text
}
