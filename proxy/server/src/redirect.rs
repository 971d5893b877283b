//! Sends clients of a plain listener to HTTPS.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use portcullis_pipeline::{Answer, Decision, DecisionKind, Record};
use tokio::time::Instant;

use crate::respond::{self, Connection};
use crate::shared::Shared;
use crate::strict_head;
use crate::telemetry::{Asked, Finished};
use crate::{arrival, failure, guarded_stream};

/// Answers every request with the same URL over HTTPS.
pub(crate) struct Redirect {
    shared: Arc<Shared>,
    port: u16,
}

impl Redirect {
    /// Sends clients to this port.
    pub(crate) fn new(shared: Arc<Shared>, port: u16) -> Self {
        Self { shared, port }
    }

    fn decide(&self, session: &ServerSession, id: &str) -> (Answer, Decision) {
        let limits = self.shared.current.load().head_limits();
        let head = session.req_header();
        let checked = match session.as_http1() {
            Some(http1) => strict_head::check_raw(&http1.get_headers_raw_bytes(), limits),
            None => strict_head::check_parsed(&head.uri, &head.headers, limits),
        };
        if let Err(fault) = checked {
            return (failure::head_answer(fault, id), failure::head_decision(fault));
        }
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority =
            host.and_then(|host| host.parse().ok()).or_else(|| head.uri.authority().cloned());
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        match authority.and_then(|authority| location(&authority, self.port, target)) {
            Some(location) => (redirection(location), redirected()),
            None => {
                let fault = strict_head::HeadFault::Host;
                (failure::head_answer(fault, id), failure::head_decision(fault))
            }
        }
    }

    fn record(&self, session: &ServerSession, record: &Record, exchange: (u128, IpAddr, Instant)) {
        let (id, client, began) = exchange;
        let head = session.req_header();
        let host =
            head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let finished = Finished {
            record,
            id,
            client,
            request: Asked { method: &head.method, host, path: head.uri.path() },
            status: session.response_written().map(|head| head.status),
            bytes: (session.body_bytes_read(), session.body_bytes_sent()),
            duration: began.elapsed(),
            upstream: None,
        };
        self.shared.telemetry.record(&finished, &self.shared.current.load().route_metrics);
    }
}

#[async_trait]
impl HttpServerApp for Redirect {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !matches!(session.read_request().await, Ok(true)) {
            return None;
        }
        guarded_stream::head_arrived(&session);
        let began = Instant::now();
        let id: u128 = rand::random();
        let text = arrival::request_id(id);
        let (answer, decision) = self.decide(&session, &text);
        if let Err(error) = respond::respond(&mut session, &answer, &text, Connection::Close).await
        {
            tracing::debug!("the client did not take its redirect: {error}");
        }
        let client = arrival::peer_address(&session).ip();
        let record = Record { decision: Some(decision), ..Record::default() };
        self.record(&session, &record, (id, client, began));
        // Nothing is left to do for a session whose connection closes.
        let _closed = session.finish().await;
        None
    }
}

fn location(authority: &Authority, port: u16, target: &str) -> Option<HeaderValue> {
    if authority.as_str().contains('@') || !target.starts_with('/') {
        return None;
    }
    let host = authority.host();
    let location = match port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    };
    HeaderValue::try_from(location).ok()
}

fn redirection(location: HeaderValue) -> Answer {
    let headers = HeaderMap::from_iter([(header::LOCATION, location)]);
    Answer { status: StatusCode::PERMANENT_REDIRECT, headers, body: Bytes::new() }
}

fn redirected() -> Decision {
    Decision {
        kind: DecisionKind::Answered,
        code: "redirected",
        reason: None,
        detail: "the listener sends its clients to HTTPS".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authority: &str, port: u16, target: &str, expected: Option<&str>) {
        let found = location(&authority.parse().unwrap(), port, target);
        assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected);
    }

    #[test]
    fn the_same_url_over_https() {
        check("a.example:8080", 443, "/b?c", Some("https://a.example/b?c"));
        check("[::1]:8080", 8443, "/", Some("https://[::1]:8443/"));
        check("user@a.example", 443, "/", None);
        check("a.example", 443, "*", None);
    }
}
