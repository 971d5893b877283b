//! The configuration that new exchanges begin with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use portcullis_config::{Limits, Plan};
use portcullis_pipeline::Pipeline;
use portcullis_plugin_host::PluginHost;

use crate::limiting::GatewayLimits;
use crate::strict_head::HeadLimits;
use crate::telemetry::{LivingGeneration, RouteMetrics};
use crate::upstream::Upstreams;

/// One configuration, ready to serve. Immutable; a reload builds another beside it.
pub(crate) struct Running {
    /// Decides about exchanges.
    pub(crate) pipeline: Pipeline<PluginHost, GatewayLimits>,
    /// The services requests go to.
    pub(crate) upstreams: Arc<Upstreams>,
    /// Bounds on what clients may send.
    pub(crate) limits: Limits,
    /// Usage plans of API keys.
    pub(crate) plans: Vec<Arc<Plan>>,
    /// Proxies whose word on the client's address is taken.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The metrics of each route, which an exchange keeps for longer than the rest.
    pub(crate) route_metrics: Arc<RouteMetrics>,
    /// How many configurations this process has served, this one included.
    pub(crate) generation: u64,
    /// Counts this among those in use.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) living: LivingGeneration,
}

impl Running {
    /// Bounds on a request head.
    pub(crate) fn head_limits(&self) -> HeadLimits {
        let Limits { header_bytes, header_count, target_bytes, .. } = self.limits;
        HeadLimits { bytes: header_bytes, fields: header_count, target_bytes }
    }
}

/// The [`Running`] that new exchanges begin with.
///
/// Loaded once for each exchange, which keeps what it got until its request is admitted
/// and, where transforms are to see its response, until they have.
pub(crate) struct Current(ArcSwap<Running>);

impl Current {
    /// Begins with a configuration.
    pub(crate) fn new(running: Running) -> Self {
        Self(ArcSwap::from_pointee(running))
    }

    /// The configuration for an exchange that begins now.
    pub(crate) fn load(&self) -> Arc<Running> {
        self.0.load_full()
    }

    /// Serves new exchanges with another configuration.
    pub(crate) fn replace(&self, running: Running) {
        self.0.store(Arc::new(running));
    }
}
