//! `wasi:http`: a guest's requests to the origins that are granted, sent by us.
//!
//! ```text
//! guest ─ wasi:http ─▶ hooks: is it serving? how many has it sent?
//!                        │
//!                      admit: scheme, host and port on the list
//!                        │
//!                      pool, or: resolve ─ check each address ─ connect to that one ─ TLS
//!                        │
//!                      bodies within their limits, all within the time
//! ```
//!
//! Deliberately absent: redirects, retries of what was sent, proxies, and any name
//! that is resolved after its address was checked.

mod address;
mod body;
mod client;
mod connect;
mod connection;
mod document;
mod origin;
mod pool;

use std::sync::{Arc, LazyLock};

use http::{HeaderName, Request, Response, header};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx,
    WasiHttpHooks,
};

use crate::abi::imports::log::Level;
use crate::shared::UseShared;
use client::NoAnswer;
use origin::Refusal;

pub(crate) use client::HttpClient;
pub(crate) use connect::AuthoritiesProblem;
pub(crate) use document::{DocumentClient, Fetching, NoDocument, is_private_address};
pub(crate) use origin::covers;

/// Bytes of one set of header fields. A guest may hold as many sets as handles.
const HEAD_BYTES: usize = 32 << 10;
/// Bytes of a body that wait to be sent. The same holds of bodies.
const CHUNK_BYTES: usize = 32 << 10;

/// What an instance has to do with HTTP during one call; made when it first has.
pub(crate) struct HttpSide {
    /// What the engine's implementation keeps.
    pub(crate) context: WasiHttpCtx,
    /// Our part.
    pub(crate) hooks: Hooks,
}

/// Where the engine's implementation of `wasi:http` asks ours.
pub(crate) struct Hooks {
    shared: Arc<UseShared>,
    client: Option<Arc<HttpClient>>,
    requests_left: u32,
    time_ms: u64,
}

impl HttpSide {
    /// For one call at this time; without a client every request is refused.
    pub(crate) fn new(
        shared: &Arc<UseShared>,
        client: Option<Arc<HttpClient>>,
        time_ms: u64,
    ) -> Self {
        let requests_left = client.as_ref().map_or(0, |client| client.requests_per_call());
        let hooks = Hooks { shared: shared.clone(), client, requests_left, time_ms };
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(HEAD_BYTES);
        Self { context, hooks }
    }
}

type Reading = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending = Box<dyn Future<Output = Result<(Response<WasiBody>, Reading), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        static FILTER: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(is_forbidden));
        FILTER.clone()
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Reading,
    ) -> Sending {
        let Some(client) = self.client.clone() else {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        };
        let admitted = match self.requests_left.checked_sub(1) {
            Some(left) => {
                self.requests_left = left;
                client.admit(request)
            }
            None => Err(Refusal::Requests(client.requests_per_call())),
        };
        let (shared, time_ms) = (self.shared.clone(), self.time_ms);
        Box::new(async move {
            let answer = match admitted {
                Ok(admitted) => client.send(admitted, options.unwrap_or_default()).await,
                Err(refusal) => Err(NoAnswer::Refused(refusal)),
            };
            match answer {
                // The connection's own task reads on, so nothing is left to drive.
                Ok(response) => Ok((response, Box::new(async { Ok(()) }) as Reading)),
                Err(NoAnswer::Failed(error)) => Err(error),
                Err(NoAnswer::Refused(refusal)) => {
                    client.count_refused();
                    let line = format!("a request of it was refused: {refusal}");
                    shared.log.write(Level::Warn, &line, time_ms);
                    Err(match refusal {
                        Refusal::Private(_) => Error::DestinationIpProhibited,
                        _ => Error::HttpRequestDenied,
                    })
                }
            }
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    // The engine's own words for these are warnings; what a service does is none.
    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        tracing::debug!(?error, "a plugin's request");
        let mut cause = std::error::Error::source(error);
        while let Some(one) = cause {
            if let Some(Error::HttpRequestBodySize(size)) = one.downcast_ref() {
                return ErrorCode::HttpRequestBodySize(*size);
            }
            cause = one.source();
        }
        ErrorCode::HttpProtocolError
    }

    fn p2_error_from_connect(&mut self, error: &std::io::Error) -> ErrorCode {
        tracing::debug!(?error, "a plugin's connection");
        ErrorCode::ConnectionTerminated
    }

    fn p2_error_from_tls(&mut self, error: &std::io::Error) -> ErrorCode {
        tracing::debug!(?error, "a plugin's TLS connection");
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(_)) => ErrorCode::TlsCertificateError,
            _ => ErrorCode::TlsProtocolError,
        }
    }
}

/// Names that are about the connection, which is ours.
fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name)
        || [header::TE, header::TRAILER, header::EXPECT].contains(name)
}
