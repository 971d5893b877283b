//! Sends a guest's requests, within what is granted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use portcullis_config::HttpGrant;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::body::{Answer, Question, Return};
use super::connect::{AuthoritiesProblem, Connector, NoConnection};
use super::connection::{Connection, address};
use super::origin::{Destination, Refusal, admit};
use super::pool::Pool;

/// Sends the requests of one plugin use: its grant, its connections, its counters.
pub(crate) struct HttpClient {
    grant: HttpGrant,
    connector: Connector,
    pool: Arc<Pool>,
    sent: AtomicU64,
    refused: AtomicU64,
}

/// A request that may be sent, and where to.
pub(super) struct Admitted {
    request: Request<Question>,
    to: Destination,
}

/// Why a request has no answer.
pub(super) enum NoAnswer {
    /// It was not sent.
    Refused(Refusal),
    /// Something went wrong on the way.
    Failed(Error),
}

impl From<Error> for NoAnswer {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl HttpClient {
    /// Prepares to send under a grant. Blocks; for loading.
    pub(crate) fn new(grant: &HttpGrant) -> Result<Self, AuthoritiesProblem> {
        Ok(Self {
            connector: Connector::new(grant)?,
            grant: grant.clone(),
            pool: Arc::default(),
            sent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Requests sent, and requests refused.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Requests that one call may send.
    pub(super) fn requests_per_call(&self) -> u32 {
        self.grant.requests
    }

    /// Counts a refusal.
    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Checks a request against the grant.
    pub(super) fn admit(&self, request: Request<WasiBody>) -> Result<Admitted, Refusal> {
        let to = admit(&self.grant.origins, &request)?;
        let limit = self.grant.request_bytes;
        let mut request = request.map(|body| Question::new(body, limit));
        address(&mut request, to.protocol);
        Ok(Admitted { request, to })
    }

    /// Sends a request and waits for the head of its answer. All of it, the body that
    /// is still to be read too, ends when the grant's time has passed.
    pub(super) async fn send(
        &self,
        admitted: Admitted,
        options: RequestOptions,
    ) -> Result<Response<WasiBody>, NoAnswer> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let Admitted { request, to } = admitted;
        let now = Instant::now();
        let until = now + self.grant.timeout;
        let sooner = |limit: Option<std::time::Duration>| {
            limit.and_then(|limit| now.checked_add(limit)).map_or(until, |it| it.min(until))
        };
        let connected_by = sooner(options.connect_timeout);
        let answered = self.exchange(request, &to, connected_by);
        let (response, connection) = timeout_at(sooner(options.first_byte_timeout), answered)
            .await
            .unwrap_or(Err(NoAnswer::Failed(Error::HttpResponseTimeout)))?;
        let limit = self.grant.response_bytes;
        let length = http_body::Body::size_hint(response.body()).lower();
        if length > limit as u64 {
            return Err(Error::HttpResponseBodySize(Some(length)).into());
        }
        let back = match connection {
            shared @ Connection::Http2(_) => {
                self.pool.share(&to, shared);
                None
            }
            alone => Some(Return { pool: self.pool.clone(), to, connection: alone }),
        };
        Ok(response.map(|body| Answer::new(body, limit, until, back).boxed_unsync()))
    }

    async fn exchange(
        &self,
        mut request: Request<Question>,
        to: &Destination,
        connected_by: Instant,
    ) -> Result<(Response<Incoming>, Connection), NoAnswer> {
        while let Some(mut waiting) = self.pool.take(to) {
            if waiting.ready().await.is_err() {
                continue;
            }
            match waiting.try_send(request).await {
                Ok(response) => return Ok((response, waiting)),
                // Given back only where not a byte of it was written, so that nothing
                // is ever asked twice.
                Err(mut closed) => match closed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Error::Hyper(closed.into_error()).into()),
                },
            }
        }
        let connection = timeout_at(connected_by, self.connector.connect(to, connected_by)).await;
        let mut connection = match connection {
            Ok(Ok(connection)) => connection,
            Ok(Err(NoConnection::Private)) => {
                return Err(NoAnswer::Refused(Refusal::Private(to.host.to_string())));
            }
            Ok(Err(NoConnection::Failed(error))) => return Err(error.into()),
            Err(_) => return Err(Error::ConnectionTimeout.into()),
        };
        match connection.try_send(request).await {
            Ok(response) => Ok((response, connection)),
            Err(failed) => Err(Error::Hyper(failed.into_error()).into()),
        }
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("grant", &self.grant).finish_non_exhaustive()
    }
}
