//! A connection to a service, whichever version of HTTP it speaks.

use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::io::TokioIo;

use super::body::Question;

/// Bytes of an answer's head.
const HEAD_BYTES: u32 = 64 << 10;

/// The HTTP version that a request is sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, which gRPC is always spoken over; without TLS by prior knowledge.
    Http2,
}

impl Protocol {
    /// What a request with these headers is sent by.
    pub(super) fn for_headers(headers: &HeaderMap) -> Self {
        let content = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        match content {
            Some(content) if content.starts_with(b"application/grpc") => Self::Http2,
            _ => Self::Http1,
        }
    }

    /// Its name in ALPN (RFC 7301).
    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// A handle on a connection; a task of its own drives it, which ends with the last
/// handle.
#[derive(Debug)]
pub(super) enum Connection {
    /// One exchange at a time.
    Http1(http1::SendRequest<Question>),
    /// Many at once; every clone is the same connection.
    Http2(http2::SendRequest<Question>),
}

impl Connection {
    /// Begins to speak on a stream.
    pub(super) async fn begin<S>(stream: S, protocol: Protocol) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => {
                let mut builder = http1::Builder::new();
                builder.max_buf_size(usize::try_from(HEAD_BYTES).unwrap_or(usize::MAX));
                let (handle, connection) = builder.handshake(stream).await?;
                drive(connection);
                Ok(Self::Http1(handle))
            }
            Protocol::Http2 => {
                let mut builder = http2::Builder::new(OnRuntime);
                builder.max_header_list_size(HEAD_BYTES);
                let (handle, connection) = builder.handshake(stream).await?;
                drive(connection);
                Ok(Self::Http2(handle))
            }
        }
    }

    /// Waits until it can be asked; an error where it is closed.
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Http1(handle) => handle.ready().await,
            Self::Http2(handle) => handle.ready().await,
        }
    }

    /// Sends a request; it is given back where not a byte of it was written.
    pub(super) async fn try_send(
        &mut self,
        request: Request<Question>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Question>>> {
        match self {
            Self::Http1(handle) => handle.try_send_request(request).await,
            Self::Http2(handle) => handle.try_send_request(request).await,
        }
    }

    /// Whether it is of no more use.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(handle) => handle.is_closed(),
            Self::Http2(handle) => handle.is_closed(),
        }
    }

    /// Another handle on it, where exchanges share one.
    pub(super) fn shared(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(handle) => Some(Self::Http2(handle.clone())),
        }
    }
}

/// Gives a request the form in which a version of HTTP names its target.
pub(super) fn address<B>(request: &mut Request<B>, protocol: Protocol) {
    match protocol {
        // A server is asked in the origin form; the authority stands in `host`.
        Protocol::Http1 => {
            let path = request.uri().path_and_query().cloned();
            *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
        }
        // The authority is a pseudo-header, which comes from the target.
        Protocol::Http2 => {
            let headers = request.headers_mut();
            headers.remove(header::HOST);
            // gRPC ends with trailers, and its servers want to hear that they are taken.
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
}

fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(problem) = connection.await {
            tracing::debug!(%problem, "a connection of a plugin's requests ended");
        }
    });
}

/// Runs the tasks of HTTP/2 connections where the call runs.
#[derive(Debug, Clone, Copy)]
struct OnRuntime;

impl<F> hyper::rt::Executor<F> for OnRuntime
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(task);
    }
}
