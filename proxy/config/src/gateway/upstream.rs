//! The services requests are forwarded to.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::CertificateFiles;

/// A named service requests are forwarded to.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: String,
    /// Its addresses; never empty.
    pub endpoints: Vec<Endpoint>,
    /// How a request finds its endpoint.
    pub balance: Balance,
    /// TLS towards it, or plain where `None`.
    pub tls: Option<UpstreamTls>,
    /// The HTTP version spoken to it.
    pub protocol: UpstreamProtocol,
    /// What `Host` it sees.
    pub host: HostRewrite,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How often a request that is safe to repeat is tried again on another
    /// endpoint, beside the first try.
    pub retries: u32,
    /// How endpoints are probed; `None` believes them all healthy.
    pub health_check: Option<HealthCheck>,
    /// How often host names are resolved again.
    pub resolve_every: Duration,
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host, a name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Its share, relative to the other endpoints'; at least 1.
    pub weight: u32,
}

/// How a request finds its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// Each in turn, by weight.
    RoundRobin,
    /// The one with the fewest requests under way, relative to its weight.
    LeastConnections,
    /// The better of two drawn at random.
    PowerOfTwo,
    /// Always the same one for the same key, as long as it is healthy.
    ConsistentHash(HashKey),
}

/// What a consistent hash is taken of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    ClientAddress,
    /// A request header; requests without it go by client address.
    Header(HeaderName),
    /// The canonical path.
    Path,
}

/// TLS towards an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Certificates to trust in the place of the system's.
    pub ca: Option<PathBuf>,
    /// The name the certificate must hold; `None` takes the endpoint's host.
    pub name: Option<String>,
    /// The certificate the gateway shows.
    pub client_certificate: Option<CertificateFiles>,
}

/// The HTTP version spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge (h2c).
    Http2,
    /// HTTP/2 where ALPN agrees on it, else HTTP/1.1; needs TLS.
    Negotiate,
}

/// What `Host` (or `:authority`) the upstream sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRewrite {
    /// The client's.
    Preserve,
    /// The endpoint's own.
    Endpoint,
    /// This one.
    Literal(HeaderValue),
}

/// How long each step towards an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// From the request's end to the response's first byte.
    pub first_byte: Duration,
    /// Between two reads or writes.
    pub idle: Duration,
    /// From the request's arrival to the response's end; `None` lets it stream.
    pub total: Option<Duration>,
    /// How long an idle pooled connection is kept.
    pub keep_alive: Duration,
}

/// An active health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path asked for with GET; a 2xx answer is healthy.
    pub path: String,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Answers in a row until an unhealthy endpoint is healthy.
    pub healthy_after: u32,
    /// Failures in a row until a healthy endpoint is unhealthy.
    pub unhealthy_after: u32,
}
