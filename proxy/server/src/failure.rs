//! What Pingora's errors mean: to the client, and for another try.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource, ErrorType, RetryType};
use portcullis_pipeline::{
    Answer, BodyFault, Decision, DecisionKind, MalformedRequest, Rejection, UpstreamFailure,
};
use serde_json::json;

use crate::held_session::OVERDUE;
use crate::strict_head::HeadFault;

/// No endpoint is left to try.
pub(crate) const NO_ENDPOINT: ErrorType = ErrorType::Custom("NoEndpoint");
/// A body turned out longer than its route takes while it was sent on.
pub(crate) const BODY_TOO_LARGE: ErrorType = ErrorType::Custom("BodyTooLarge");

/// How often a connection may turn out stale before its endpoint counts as tried.
const STALE_CONNECTIONS: u32 = 3;

/// What became of an exchange that Pingora gave up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client hears why.
    Rejected(Rejection),
    /// There is no client any more.
    ClientGone,
}

/// What a failed try was like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// Whether a connection stood.
    pub(crate) connection: Connected,
    /// Whether the request may be made twice.
    pub(crate) repeatable: Repeatable,
}

/// Whether a connection stood when a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connected {
    /// None did: nothing was sent.
    No,
    /// One made for this exchange.
    Fresh,
    /// One that had served others, and may have ended unnoticed.
    Reused,
}

/// Whether a request may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeatable {
    /// Its method is idempotent, and its body can be sent again.
    Always,
    /// Its body can be sent again, if nothing was sent yet.
    Unsent,
    /// Part of its body is gone.
    Never,
}

impl Repeatable {
    /// Whether the request of this session may be made twice.
    pub(crate) fn of(session: &ServerSession) -> Self {
        if session.retry_buffer_truncated() {
            return Self::Never;
        }
        if session.req_header().method.is_idempotent() { Self::Always } else { Self::Unsent }
    }
}

/// Whether the try failed because a pooled connection had ended before it was used.
pub(crate) fn is_stale(error: &Error, attempt: Attempt) -> bool {
    attempt.connection == Connected::Reused && matches!(error.retry, RetryType::ReusedOnly)
}

/// Whether another try is safe and allowed, after this many tries and stale
/// connections.
pub(crate) fn may_retry(
    error: &Error,
    attempt: Attempt,
    (tries, stale): (u32, u32),
    retries: u32,
) -> bool {
    let may_repeat = match (attempt.connection, attempt.repeatable) {
        (_, Repeatable::Always) | (Connected::No, Repeatable::Unsent) => true,
        (Connected::Fresh | Connected::Reused, Repeatable::Unsent) | (_, Repeatable::Never) => {
            false
        }
    };
    if !may_repeat || *error.esource() != ErrorSource::Upstream {
        return false;
    }
    if is_stale(error, attempt) {
        return stale <= STALE_CONNECTIONS;
    }
    // Who let one request run into its time limit would be given more to do.
    tries <= retries && !matches!(error.etype(), ErrorType::ReadTimedout | ErrorType::WriteTimedout)
}

/// What an error means to the client.
pub(crate) fn failure_of(error: &Error, body_limit: u64) -> Failure {
    let etype = error.etype();
    if *etype == BODY_TOO_LARGE {
        return Failure::Rejected(Rejection::BodyTooLarge { limit: body_limit });
    }
    if *etype == OVERDUE {
        return rejected(UpstreamFailure::TimedOut);
    }
    if *etype == NO_ENDPOINT {
        return rejected(UpstreamFailure::NoHealthyEndpoint);
    }
    match error.esource() {
        ErrorSource::Downstream => downstream_failure(etype),
        ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset => {
            rejected(upstream_failure(etype))
        }
    }
}

fn rejected(failure: UpstreamFailure) -> Failure {
    Failure::Rejected(failure.into())
}

fn downstream_failure(etype: &ErrorType) -> Failure {
    match etype {
        ErrorType::ReadTimedout => Failure::Rejected(BodyFault::TimedOut.into()),
        ErrorType::InvalidHTTPHeader => Failure::Rejected(MalformedRequest::Framing.into()),
        ErrorType::ConnectionClosed
        | ErrorType::ReadError
        | ErrorType::WriteError
        | ErrorType::WriteTimedout
        | ErrorType::ConnectError
        | ErrorType::H2Error => Failure::ClientGone,
        // Pingora's type: what else comes from the client is a body that breaks the rules.
        _ => Failure::Rejected(BodyFault::Broken.into()),
    }
}

fn upstream_failure(etype: &ErrorType) -> UpstreamFailure {
    match etype {
        ErrorType::ConnectTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout
        | ErrorType::TLSHandshakeTimedout => UpstreamFailure::TimedOut,
        ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectError
        | ErrorType::ConnectProxyFailure
        | ErrorType::BindError
        | ErrorType::SocketError => UpstreamFailure::Connect,
        ErrorType::TLSHandshakeFailure
        | ErrorType::TLSWantX509Lookup
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError => UpstreamFailure::Tls,
        // Pingora's type: whatever else happens on a standing connection breaks it.
        _ => UpstreamFailure::Broken,
    }
}

/// The record of a client that went away.
pub(crate) fn client_gone(error: &Error) -> Decision {
    Decision {
        kind: DecisionKind::Forwarded,
        code: "client-closed",
        reason: None,
        detail: error.to_string(),
    }
}

/// The record of a head that was refused.
pub(crate) fn head_decision(fault: HeadFault) -> Decision {
    Decision {
        kind: DecisionKind::Refused,
        code: fault.code(),
        reason: None,
        detail: fault.to_string(),
    }
}

/// The record of a head that no pipeline saw: refused by Pingora's parser, or left.
pub(crate) fn unseen_head(refusal: Option<StatusCode>) -> Decision {
    let (code, detail) = match refusal {
        Some(_) => ("malformed-head", "the head is no HTTP/1 request that is served"),
        None => ("broken-head", "the client left within the head"),
    };
    Decision { kind: DecisionKind::Refused, code, reason: None, detail: detail.to_owned() }
}

/// What a client receives whose head is refused: as other refusals.
pub(crate) fn head_answer(fault: HeadFault, request_id: &str) -> Answer {
    problem(fault.status(), fault.code(), request_id)
}

/// A problem document (RFC 9457) like those of [`Rejection::answer`].
fn problem(status: StatusCode, code: &str, request_id: &str) -> Answer {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "code": code,
        "request_id": request_id,
    });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Answer { status, headers, body: body.to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(
        etype: ErrorType,
        connection: Connected,
        repeatable: Repeatable,
        tries: u32,
    ) -> bool {
        let mut error = Error::new_up(etype);
        error.retry = if connection == Connected::Reused {
            RetryType::ReusedOnly
        } else {
            RetryType::Decided(false)
        };
        let stale = u32::from(connection == Connected::Reused);
        may_retry(&error, Attempt { connection, repeatable }, (tries, stale), 1)
    }

    #[test]
    fn only_what_is_safe_is_tried_again() {
        use Connected::{Fresh, No, Reused};
        assert!(retries(ErrorType::ConnectRefused, No, Repeatable::Unsent, 1));
        assert!(!retries(ErrorType::ConnectRefused, No, Repeatable::Unsent, 2));
        assert!(!retries(ErrorType::ConnectRefused, No, Repeatable::Never, 1));
        assert!(retries(ErrorType::ConnectionClosed, Fresh, Repeatable::Always, 1));
        assert!(!retries(ErrorType::ConnectionClosed, Fresh, Repeatable::Unsent, 1));
        assert!(!retries(ErrorType::ReadTimedout, Fresh, Repeatable::Always, 1));
        assert!(retries(ErrorType::ConnectionClosed, Reused, Repeatable::Always, 9));
        assert!(!retries(ErrorType::ConnectionClosed, Reused, Repeatable::Unsent, 0));
    }

    fn check_failure(error: Box<Error>, code: Option<&str>) {
        let found = match failure_of(&error, 7) {
            Failure::Rejected(rejection) => Some(rejection.code()),
            Failure::ClientGone => None,
        };
        assert_eq!(found, code, "{error}");
    }

    #[test]
    fn the_client_hears_whose_fault_it_was() {
        check_failure(Error::new_up(ErrorType::ConnectRefused), Some("upstream-connect"));
        check_failure(Error::new_up(ErrorType::InvalidCert), Some("upstream-tls"));
        check_failure(Error::new_up(ErrorType::ReadTimedout), Some("upstream-timeout"));
        check_failure(Error::new_up(ErrorType::ConnectionClosed), Some("upstream-broken"));
        check_failure(Error::new_down(OVERDUE), Some("upstream-timeout"));
        check_failure(Error::new(NO_ENDPOINT), Some("no-healthy-endpoint"));
        check_failure(Error::new_in(BODY_TOO_LARGE), Some("body-too-large"));
        check_failure(Error::new_down(ErrorType::ReadTimedout), Some("body-timeout"));
        check_failure(Error::new_down(ErrorType::ConnectionClosed), None);
    }
}
