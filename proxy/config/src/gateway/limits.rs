//! Bounds on what clients may send, and on how much of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use portcullis_limits::{PolicySharing, Spec};

use crate::secret::Secret;

use super::RoutePlans;

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
    /// How long a client may pause within a body; how long a held one may take beside a second
    /// for each 64 KiB of it.
    pub body_timeout: Duration,
    /// How long an idle client connection is kept.
    pub keep_alive: Duration,
    /// Requests bodies that may be held in memory at once, in bytes.
    pub held_body_bytes: u64,
    /// Keys of a throttle that are counted each for itself.
    pub throttle_keys: usize,
    /// Bits of an IPv6 address that are one address to throttles.
    pub throttle_ipv6_prefix: u8,
    /// Which responses tell clients about their limits.
    pub throttle_fields: LimitFields,
}

/// Which responses tell clients about their limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LimitFields {
    /// Those that refuse because of one.
    #[default]
    Refusals,
    /// Those of all routes that have any.
    Always,
    /// None.
    Never,
}

/// A throttle, or a bound on requests under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its place in [`Gateway::throttles`](super::Gateway::throttles).
    pub index: usize,
    /// How much it lets pass.
    pub spec: Spec,
    /// Whose share; `None` where all requests have one.
    pub per: Option<LimitKey>,
    /// How it is shared by gateways; `None` where each counts for itself.
    pub sharing: Option<PolicySharing>,
}

/// What tells those apart who each have their share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitKey {
    /// The usage key, else the principal, else the address.
    Client,
    /// The client's address.
    Address,
    /// The principal.
    Principal,
    /// The usage key.
    UsageKey,
    /// A request header's values.
    Header(HeaderName),
    /// An attribute, by its namespaced name.
    Attribute(String),
    /// What the API keys have in common that a usage plan counts together. No configuration
    /// can write it.
    Account,
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Address => f.write_str("address"),
            Self::Principal => f.write_str("principal"),
            Self::UsageKey => f.write_str("usage-key"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Attribute(name) => f.write_str(name),
            Self::Account => f.write_str("api-key"),
        }
    }
}

/// Where limits that several gateways share are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLimits {
    /// The server that counts them.
    pub redis: Redis,
    /// For how long a gateway takes tokens ahead.
    pub lease: Duration,
    /// The longest that a request waits for an answer.
    pub timeout: Duration,
    /// What holds while there is none.
    pub when_away: WhenAway,
    /// How many gateways share them.
    pub gateways: u64,
    /// What keys begin with.
    pub prefix: String,
}

/// A Redis or Valkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is reached by TLS.
    pub tls: bool,
    /// Authorities whose certificates count, as PEM; the system's where `None`.
    pub ca: Option<String>,
    /// The number of its database.
    pub database: u32,
    /// The user; its default one where `None`.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
}

/// What holds while shared limits cannot be counted in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAway {
    /// A share for each gateway.
    Local,
    /// No request passes.
    Deny,
    /// Every request passes.
    Allow,
}

/// How much of a route's requests may pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteLimits {
    /// What a request is charged to, narrowest first.
    pub ladder: Vec<Arc<Limit>>,
    /// What it takes of throttles.
    pub cost: u64,
    /// What usage plans say; `None` where requests need none.
    pub plans: Option<RoutePlans>,
    /// What refusals of authorizers are charged to, by address.
    pub failed_authorizations: Option<Arc<Limit>>,
    /// Which responses tell of it.
    pub fields: LimitFields,
    /// Bits of an IPv6 address that are one address.
    pub ipv6_prefix: u8,
}
