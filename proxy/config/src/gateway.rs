//! The configuration once it is known to be usable: every name resolved, every
//! text parsed, no impossible pair representable.
//!
//! What [`crate::parse`] returns. Plugins are named, not loaded: whether a
//! component takes its settings is for the plugin host to say, which it does with
//! the [`Place`](crate::Place)s kept here.

use std::path::PathBuf;
use std::sync::Arc;

mod access;
mod compression;
mod cors;
mod grants;
mod guard;
mod limits;
mod listener;
mod mapping;
mod media_range;
mod origin;
mod plan;
mod plugin_use;
mod process;
mod resource;
mod respond;
mod route;
mod rules;
mod settings_places;
mod source;
mod stage;
mod tls;
mod upstream;

pub use access::{
    Access, Authorization, IdentityHeader, RESERVED_HEADERS, Scopes, same_to_upstreams,
};
pub use compression::{Coding, Compression};
pub use cors::{AllowedHeaders, AllowedOrigins, Cors, OriginPattern, OriginSet};
pub use grants::{
    Grants, HttpGrant, IssuerGrant, IssuerKeys, KeyTimes, KeyValueGrant, Origin, OriginHost,
    SecretGrant,
};
pub use guard::{
    Attack, Guard, GuardCondition, GuardMode, GuardMost, GuardPart, GuardRule, Listed,
};
pub use limits::{
    Limit, LimitFields, LimitKey, Limits, Redis, RouteLimits, SharedLimits, WhenAway,
};
pub use listener::Listener;
pub use mapping::{Change, RequestMapping, ResponseChanges, ResponseMapping, StatusMatch};
pub use media_range::MediaRange;
pub use plan::{Plan, RoutePlan, RoutePlans};
pub use plugin_use::{Budget, Isolation, LimitSharing, OnFault, PluginUse, PluginUseId, Role, Use};
pub use process::{AccessLog, Admin, Shutdown};
pub use resource::ApiResource;
pub use respond::{Escape, JsonPart, Respond, RespondBody, RespondStatus};
pub use route::{Api, Errors, HostPattern, Integration, PathRewrite, Route, RouteMatch};
pub use rules::{
    BodyRule, Edge, Items, Judge, Many, OtherMediaTypes, ParameterAt, ParameterRule, Range,
    RequestRules, Scalar, TextFormat, ValueKind, ValueRule,
};
pub use settings_places::SettingsPlaces;
pub use source::{CacheRule, IdentitySource, RequestPart};
pub use stage::Stage;
pub use tls::{CertificateFiles, ClientCertificate, ListenerTls, TlsVersion};
pub use upstream::{
    Balance, Endpoint, HashKey, HealthCheck, HostRewrite, Timeouts, Upstream, UpstreamProtocol,
    UpstreamTls,
};

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
    /// The APIs, in the order written; one with stages is there once for each.
    pub apis: Vec<Api>,
    /// Health, readiness and metrics; `None` turns them off.
    pub admin: Option<Admin>,
    /// Where access log lines go.
    pub access_log: AccessLog,
    /// Bounds on what clients may send.
    pub limits: Limits,
    /// Throttles and concurrency limits, each at its [`index`](Limit::index).
    pub throttles: Vec<Arc<Limit>>,
    /// Usage plans, in the order written.
    pub plans: Vec<Arc<Plan>>,
    /// Where throttles that several gateways share are counted.
    pub shared_limits: Option<SharedLimits>,
    /// How the process stops.
    pub shutdown: Shutdown,
    /// Worker threads; `None` takes one for each core.
    pub workers: Option<usize>,
    /// Proxies whose `X-Forwarded-For` and `Forwarded` are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Where compiled code and images are kept between starts, and credentials.
    pub state_directory: Option<PathBuf>,
}
