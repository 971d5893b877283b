//! The request as it arrives: the port behind which the connection stands.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use crate::client_certificate::ClientCertificate;

/// A request whose head has been read and whose body may still be on its way.
pub trait Incoming: Send {
    /// The head, as the client sent it.
    fn head(&self) -> &Parts;

    /// The part of the body that is held so far.
    fn held(&self) -> &HeldBody;

    /// The body's length where the head declares one.
    fn declared_length(&self) -> Option<u64>;

    /// Reads on until `until` bytes of the body are held or the body has ended. What was read
    /// before a fault is held all the same.
    fn fill(&mut self, until: u64) -> impl Future<Output = Result<(), BodyFault>> + Send;
}

/// The beginning of a body, or all of it.
#[derive(Debug, Clone, Default)]
pub struct HeldBody {
    /// The bytes read so far.
    pub bytes: Bytes,
    /// Whether the body has ended.
    pub complete: bool,
}

impl HeldBody {
    /// Whether it is known that there is no body. Before anything is read, this is what the
    /// head says; over HTTP/2 a stream that is not ended with its head has a body, whether or
    /// not a length is declared (RFC 9113 §8.1).
    pub fn is_absent(&self) -> bool {
        self.complete && self.bytes.is_empty()
    }
}

/// Why a body cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// The client paused for longer than the body timeout.
    #[error("the client paused too long within the body")]
    TimedOut,
    /// The client went away or broke the framing.
    #[error("the body broke off")]
    Broken,
    /// As much as may be held at once is held already.
    #[error("no room to hold another body")]
    NoRoom,
}

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The scheme as URIs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is known of a request beside its bytes.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The request's id, unique.
    pub id: String,
    /// The peer of the connection.
    pub peer: SocketAddr,
    /// The client, through trusted proxies.
    pub client: IpAddr,
    /// The scheme the client used.
    pub scheme: Scheme,
    /// When the head was read, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// The TLS session, where there is one.
    pub tls: Option<TlsFacts>,
}

/// What is known of a TLS session.
#[derive(Debug, Clone, Default)]
pub struct TlsFacts {
    /// The protocol version, such as `TLSv1.3`.
    pub version: String,
    /// The client's certificate, where it showed one.
    pub client_certificate: Option<Arc<ClientCertificate>>,
}
