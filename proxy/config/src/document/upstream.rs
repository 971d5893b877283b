//! `[upstreams.NAME]` as typed.

use super::{Address, FilePath, Text};
use crate::read::{Either, Number, Time, Written, table, words};

table! {
    /// A service requests are forwarded to.
    "an upstream"
    struct Upstream {
        /// Its addresses, as `host:port`.
        endpoints: Written<Vec<Endpoint>>,
        /// How a request finds its endpoint.
        balance: Balance = "round-robin",
        /// TLS towards it; `true` for the system's certificates and the endpoint's name.
        tls: Option<Either<bool, UpstreamTls>>,
        /// The HTTP version spoken to it: `"http1"` where absent, with TLS `"negotiate"`.
        protocol: Option<Written<Protocol>>,
        /// What `Host` it sees: the client's, the endpoint's, or another.
        host: Host = "preserve",
        /// How long each step may take.
        timeouts: Timeouts = {},
        /// How often a request that is safe to repeat is tried again.
        retries: Number<0, 10> = 1,
        /// Probes that find out which endpoints are healthy.
        health_check: Option<HealthCheck>,
        /// How often host names are resolved again.
        resolve_every: Time = "30s",
    }
}

/// An address of an upstream.
pub(crate) type Endpoint = Either<Address, EndpointTable>;

table! {
    /// An address of an upstream, with its share.
    "an endpoint"
    struct EndpointTable {
        /// The address, as `host:port`.
        address: Address,
        /// Its share, relative to the other endpoints'.
        weight: Number<1, 1000> = 1,
    }
}

/// How a request finds its endpoint.
pub(crate) type Balance = Either<BalanceWord, BalanceByHash>;

words! {
    /// A way to balance that needs no more than a word.
    enum BalanceWord {
        RoundRobin = "round-robin",
        LeastConnections = "least-connections",
        PowerOfTwo = "power-of-two",
    }
}

table! {
    /// Balancing by a key, so that the same key finds the same endpoint.
    "a balance"
    struct BalanceByHash {
        /// The key: `"client-address"`, `"path"` or `"header:NAME"`.
        consistent_hash: Text,
    }
}

table! {
    /// TLS towards an upstream.
    "an upstream's tls"
    struct UpstreamTls {
        /// Certificates to trust in the place of the system's, as PEM.
        ca: Option<FilePath>,
        /// The name its certificate must hold; the endpoint's host where absent.
        name: Option<String>,
        /// The certificate the gateway shows, as PEM.
        certificate: Option<FilePath>,
        /// The private key of that certificate.
        key: Option<FilePath>,
    }
}

words! {
    /// The HTTP version spoken to an upstream.
    enum Protocol { Http1 = "http1", Http2 = "http2", Negotiate = "negotiate", }
}

/// What `Host` an upstream sees.
pub(crate) type Host = Either<HostWord, HostLiteral>;

words! {
    /// A `Host` that depends on the request or the endpoint.
    enum HostWord { Preserve = "preserve", Endpoint = "endpoint", }
}

table! {
    /// A `Host` that is always the same.
    "a host"
    struct HostLiteral {
        /// The `Host` to send.
        literal: Text,
    }
}

table! {
    /// How long each step towards an upstream may take.
    "a timeouts table"
    struct Timeouts {
        /// Until the connection stands, TLS included.
        connect: Time = "5s",
        /// From the request's end to the response's first byte.
        first_byte: Time = "60s",
        /// Between two reads or writes.
        idle: Time = "60s",
        /// From the request's arrival to the response's end; without end where absent.
        total: Option<Time>,
        /// How long an idle pooled connection is kept.
        keep_alive: Time = "60s",
    }
}

table! {
    /// Probes that find out which endpoints are healthy.
    "a health check"
    struct HealthCheck {
        /// The path asked for with GET; a 2xx answer is healthy.
        path: Text,
        /// How often.
        interval: Time = "5s",
        /// How long an answer may take.
        timeout: Time = "2s",
        /// Answers in a row until an unhealthy endpoint is healthy.
        healthy_after: Number<1, 1000> = 2,
        /// Failures in a row until a healthy endpoint is unhealthy.
        unhealthy_after: Number<1, 1000> = 3,
    }
}
