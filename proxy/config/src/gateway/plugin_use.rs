//! Plugins as they are used.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CacheRule, Grants, IdentitySource, SettingsPlaces};
use crate::diagnostic::Place;

/// The index of a [`PluginUse`] in [`Gateway::plugin_uses`](super::Gateway::plugin_uses).
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
    /// Which limits is it charged to?
    Limiter,
}

impl Role {
    /// The role's name, as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorizer => "authorizer",
            Self::Validator => "validator",
            Self::RequestTransform => "request-transform",
            Self::ResponseTransform => "response-transform",
            Self::Limiter => "limiter",
        }
    }
}

/// A configured use of a plugin: `[authorizers.NAME]`, `[validators.NAME]`,
/// `[transforms.NAME]`, `[limiters.NAME]`.
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
    /// Where each member of the settings is written.
    pub settings_places: SettingsPlaces,
    /// Whether an instance serves one request or many.
    pub isolation: Option<Isolation>,
    /// What the plugin may do.
    pub grants: Grants,
    /// Where each secret that is granted is written, by its name.
    pub secret_places: BTreeMap<String, Place>,
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
    /// How the limits of a limiter's plan are shared; `None` where each gateway counts for
    /// itself.
    pub limit_sharing: Option<LimitSharing>,
}

/// How limits are shared, whatever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSharing {
    /// How many gateways share them.
    pub gateways: u64,
    /// How long what is taken ahead may be used, in nanoseconds.
    pub lease_ns: u64,
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
    /// Faults in a row, of one client or where nobody is answered, that open the breaker;
    /// 0 keeps it closed.
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
