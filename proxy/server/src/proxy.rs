//! Pingora's callbacks, each translated to one step of an exchange.
//!
//! No decision is taken here: a method that grows an `if` about the request's content
//! wants to be a phase of the pipeline.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};

use crate::admission;
use crate::exchange::Exchange;
use crate::failure::{Attempt, Connected, Repeatable};
use crate::shared::Shared;

/// The adapter between Pingora and the pipeline.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// An adapter over what the process shares.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::Arriving
    }

    /// No modules: they would look at every request for nothing.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        admission::admit(&self.shared, session, exchange).await
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        exchange.forwarded()?.next_peer(session.req_header())
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Exchange,
        error: Box<Error>,
    ) -> Box<Error> {
        tried(session, exchange, error, Connected::No)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        exchange: &mut Exchange,
        client_reused: bool,
    ) -> Box<Error> {
        let connected = if client_reused { Connected::Reused } else { Connected::Fresh };
        tried(session, exchange, error, connected)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.forwarded()?.rewrite(head, session.req_header())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        admission::send(session, body.as_ref(), exchange)
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        _head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.forwarded()?.answered();
        Ok(())
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.forwarded()?.respond(head)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        admission::fail(session, error, exchange).await
    }

    async fn logging(
        &self,
        session: &mut Session,
        _error: Option<&Error>,
        exchange: &mut Exchange,
    ) {
        admission::conclude(&self.shared, session, exchange);
    }

    /// The access log tells of errors, once.
    fn suppress_error_log(&self, _session: &Session, _exchange: &Exchange, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _exchange: &Exchange,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// Lets the exchange say whether a failed try is followed by another.
fn tried(
    session: &Session,
    exchange: &mut Exchange,
    mut error: Box<Error>,
    connection: Connected,
) -> Box<Error> {
    let attempt = Attempt { connection, repeatable: Repeatable::of(session) };
    let again = exchange.forwarded().is_ok_and(|forwarded| forwarded.failed(&error, attempt));
    error.set_retry(again);
    error
}
