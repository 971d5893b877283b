//! The configuration once it is known to be usable: every name resolved, every
//! text parsed, no impossible pair representable.
//!
//! What [`crate::parse`] returns. Plugins are named, not loaded: whether a
//! component takes its settings is for the plugin host to say, which it does with
//! the [`Place`]s kept here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use crate::diagnostic::Place;
use crate::path::PathPattern;
use crate::secret::Secret;

mod access;
mod compression;
mod cors;
mod grants;
mod media_range;
mod origin;
mod resource;
mod rules;
mod source;
mod tls;

pub(crate) use access::same_to_upstreams;
pub use access::{Access, Authorization, IdentityHeader, RESERVED_HEADERS, Scopes};
pub use compression::{Coding, Compression};
pub use cors::{AllowedHeaders, AllowedOrigins, Cors, OriginPattern, OriginSet};
pub use grants::{
    Grants, HttpGrant, IssuerGrant, IssuerKeys, KeyTimes, KeyValueGrant, Origin, OriginHost,
    SecretGrant,
};
pub use media_range::MediaRange;
pub use resource::ApiResource;
pub use rules::{
    BodyRule, Edge, Items, Judge, Many, OtherMediaTypes, ParameterAt, ParameterRule, Range,
    RequestRules, Scalar, TextFormat, ValueKind, ValueRule,
};
pub use source::{CacheRule, IdentitySource, RequestPart};
pub use tls::{CertificateFiles, ClientCertificate, ListenerTls, TlsVersion};

/// A whole configuration, checked.
#[derive(Debug)]
pub struct Gateway {
    /// Where plugins are found; `None` serves the built-in ones only.
    pub plugin_directory: Option<PathBuf>,
    /// The sockets that accept clients, by name.
    pub listeners: Vec<Listener>,
    /// The services requests are forwarded to.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Every configured use of a plugin. [`PluginUseId`] indexes it.
    pub plugin_uses: Vec<PluginUse>,
    /// The APIs, in the order written.
    pub apis: Vec<Api>,
    /// Health, readiness and metrics; `None` turns them off.
    pub admin: Option<Admin>,
    /// Where access log lines go.
    pub access_log: AccessLog,
    /// Bounds on what clients may send.
    pub limits: Limits,
    /// How the process stops.
    pub shutdown: Shutdown,
    /// Worker threads; `None` takes one for each core.
    pub workers: Option<usize>,
    /// Proxies whose `X-Forwarded-For` and `Forwarded` are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Where compiled code and images are kept between starts, and credentials.
    pub state_directory: Option<PathBuf>,
}

/// A socket that accepts clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: String,
    /// The address it binds.
    pub address: SocketAddr,
    /// TLS, or plain HTTP where `None`.
    pub tls: Option<ListenerTls>,
    /// Answer every request with a redirect to this HTTPS port.
    pub redirect_to_https: Option<u16>,
}

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

/// The index of a [`PluginUse`] in [`Gateway::plugin_uses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PluginUseId(pub usize);

/// What a plugin is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Who is it, and may they?
    Authorizer,
    /// Is the message as promised?
    Validator,
    /// Rewrites requests.
    RequestTransform,
    /// Rewrites responses.
    ResponseTransform,
}

impl Role {
    /// The role's name, as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorizer => "authorizer",
            Self::Validator => "validator",
            Self::RequestTransform => "request-transform",
            Self::ResponseTransform => "response-transform",
        }
    }
}

/// A configured use of a plugin: `[authorizers.NAME]`, `[validators.NAME]`,
/// `[transforms.NAME]`.
#[derive(Debug)]
pub struct PluginUse {
    /// The name in the configuration.
    pub name: String,
    /// The roles the configuration needs it for. A transform may have both.
    pub roles: Vec<Role>,
    /// The plugin: the file name without `.wasm`, or a built-in's name.
    pub plugin: String,
    /// Where `plugin` is written.
    pub plugin_place: Place,
    /// The settings, as the JSON text that `configure` receives.
    pub settings: serde_json::Value,
    /// Where each member of the settings is written, by JSON Pointer; the empty
    /// pointer is the whole.
    pub settings_places: BTreeMap<String, Place>,
    /// Whether an instance serves one request or many.
    pub isolation: Option<Isolation>,
    /// What the plugin may do.
    pub grants: Grants,
    /// What a call may use.
    pub budget: Budget,
    /// How an authorizer's answers may be kept; `None` asks every time.
    pub cache: Option<CacheRule>,
    /// Where each of the cache's [`by`](CacheRule::by) is written.
    pub cache_by_places: Vec<Place>,
    /// What a request must have for an authorizer to be asked about it.
    pub identity_sources: Vec<IdentitySource>,
    /// What happens to the request when the plugin faults. Authorizers deny always.
    pub on_fault: OnFault,
}

/// Whether an instance serves one request or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// A fresh instance for each request.
    Fresh,
    /// An instance serves up to this many requests, one at a time.
    Reuse(u32),
}

/// What happens to a request when a plugin other than an authorizer faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// The request is refused with 503.
    Deny,
    /// The request goes on as if the plugin were not there.
    Skip,
}

/// What one call of a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Wall time, waiting included.
    pub wall_time: Duration,
    /// Time spent running guest code.
    pub cpu_time: Duration,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: usize,
    /// Bytes a call may return.
    pub output_bytes: usize,
    /// Instances of this use that may live at once.
    pub instances: u32,
    /// Faults in a row that open the breaker; 0 keeps it closed.
    pub breaker_after: u32,
    /// How long an open breaker waits before it lets one call through.
    pub breaker_pause: Duration,
}

impl Default for Budget {
    /// What a plugin may use where the configuration does not say.
    fn default() -> Self {
        Self {
            wall_time: Duration::from_secs(1),
            cpu_time: Duration::from_millis(100),
            memory_bytes: 64 << 20,
            output_bytes: 1 << 20,
            instances: 64,
            breaker_after: 5,
            breaker_pause: Duration::from_secs(10),
        }
    }
}

/// A use of a plugin on a route, with its argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Use {
    /// Which plugin use.
    pub plugin: PluginUseId,
    /// The argument of `{ with = "…", use = "…" }`.
    pub argument: Option<String>,
}

/// A set of routes that share hosts and a base path.
#[derive(Debug)]
pub struct Api {
    /// Its name in the configuration.
    pub name: String,
    /// The hosts it answers to; empty answers to all.
    pub hosts: Vec<HostPattern>,
    /// The prefix of every route's path, without its last slash; empty for none.
    pub base_path: String,
    /// What policies know it by, and its own.
    pub resource: Arc<ApiResource>,
    /// What pages of other origins may do where no route is; `None` leaves CORS alone.
    pub cors: Option<Arc<Cors>>,
    /// Its routes.
    pub routes: Vec<Route>,
}

/// A host an API answers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host, in lower case, without a port.
    Exact(String),
    /// Any one label before this suffix: `*.example.com` is `example.com`.
    Wildcard(String),
}

/// What to do with the requests of one method and path.
#[derive(Debug)]
pub struct Route {
    /// The key as written: `GET /orders/{id}`, `$default`.
    pub key: String,
    /// The `operationId` of an OpenAPI document.
    pub operation: Option<String>,
    /// Where it is written.
    pub place: Place,
    /// What it matches.
    pub matches: RouteMatch,
    /// Who decides whether a request may go on.
    pub access: Access,
    /// The scopes that the caller must have; `None` for none.
    pub scopes: Option<Scopes>,
    /// Request headers that only the gateway writes, in the order written.
    pub identity_headers: Arc<[IdentityHeader]>,
    /// Checks, in order.
    pub validators: Vec<Use>,
    /// What requests must be, beside what the validators say.
    pub rules: Arc<RequestRules>,
    /// Rewrites on the way up, in order.
    pub request_transforms: Vec<Use>,
    /// Rewrites on the way down, in order.
    pub response_transforms: Vec<Use>,
    /// What pages of other origins may do; `None` leaves CORS to the upstream.
    pub cors: Option<Arc<Cors>>,
    /// Which responses are compressed; `None` for none.
    pub compression: Option<Arc<Compression>>,
    /// Who answers.
    pub integration: Integration,
    /// Bytes a request body may have.
    pub body_limit: u64,
}

/// What a route matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteMatch {
    /// A method and a path.
    Path {
        /// The method; `None` is `ANY`.
        method: Option<Method>,
        /// The path, the API's base path included.
        pattern: PathPattern,
    },
    /// Whatever no other route of the API matches (`$default`).
    Default,
}

/// Who answers the requests of a route.
#[derive(Debug)]
pub enum Integration {
    /// An upstream.
    Proxy {
        /// Which.
        upstream: Arc<Upstream>,
        /// How the path changes on the way.
        path: PathRewrite,
    },
    /// The gateway itself, always with this.
    Fixed {
        /// The status.
        status: http::StatusCode,
        /// The headers.
        headers: Vec<(HeaderName, HeaderValue)>,
        /// The body.
        body: String,
    },
}

/// How the path changes on its way to the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRewrite {
    /// Not at all: the upstream sees the path as the client sent it.
    Keep,
    /// This prefix is taken off, and the other put in its place.
    ReplacePrefix {
        /// The prefix to take off; matches whole segments.
        strip: String,
        /// The prefix to put there.
        add: String,
    },
}

/// The listener for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The address it binds.
    pub address: SocketAddr,
    /// The bearer token that reads and changes state; `None` lets nobody.
    pub token: Option<Secret>,
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// One JSON object a line, to standard output.
    Stdout,
    /// One JSON object a line, appended to this file.
    File(PathBuf),
}

/// Bounds on what clients may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head.
    pub header_bytes: usize,
    /// Header fields of a request.
    pub header_count: usize,
    /// Bytes of a request target.
    pub target_bytes: usize,
    /// How long a whole request head may take.
    pub header_timeout: Duration,
    /// How long a client may pause within a body.
    pub body_timeout: Duration,
    /// How long an idle client connection is kept.
    pub keep_alive: Duration,
    /// Requests bodies that may be held in memory at once, in bytes.
    pub held_body_bytes: u64,
}

/// How the process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long requests under way may take to finish.
    pub grace: Duration,
}
