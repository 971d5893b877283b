//! The metrics of the process.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};

use portcullis_pipeline::ServedRoute;
use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::histogram::Latencies;
use super::readings::Readings;

/// The labels of a finished exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) api: String,
    pub(super) route: String,
    #[prometheus(flatten)]
    pub(super) stage: StageLabel,
    pub(super) method: &'static str,
    pub(super) status: u16,
}

/// The labels of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub(super) api: String,
    pub(super) route: String,
    #[prometheus(flatten)]
    pub(super) stage: StageLabel,
}

impl RouteLabels {
    pub(super) fn of(served: &ServedRoute) -> Self {
        let (api, route) = (served.api.clone(), served.route.key.clone());
        Self { api, route, stage: StageLabel::of(served) }
    }
}

/// The label of a route's stage, which those of an API without stages lack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct StageLabel(Option<String>);

impl StageLabel {
    pub(super) fn of(route: &ServedRoute) -> Self {
        Self(route.stage_name().map(str::to_owned))
    }
}

impl EncodeLabelSet for StageLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        match &self.0 {
            None => Ok(()),
            Some(stage) => ("stage", stage.as_str()).encode(encoder.encode_label()),
        }
    }
}

/// The labels of a guard's rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    api: String,
    rule: String,
    mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ThrottledLabels {
    api: String,
    route: String,
    #[prometheus(flatten)]
    stage: StageLabel,
    policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    plugin: String,
    fault: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionFaultLabel {
    reason: &'static str,
}

/// How an attempt to replace the configuration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReloadResult {
    /// The new one serves.
    Replaced,
    /// The old one goes on serving.
    Refused,
}

/// Why a connection ended before the pipeline saw a request of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    /// No TLS session.
    Handshake,
    /// The head took longer than it may.
    SlowHead,
    /// The head was no HTTP, or broke off.
    BrokenHead,
}

impl ReloadResult {
    fn code(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Refused => "refused",
        }
    }
}

impl ConnectionFault {
    fn code(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::SlowHead => "slow-head",
            Self::BrokenHead => "broken-head",
        }
    }
}

/// Counters and gauges.
pub(super) struct Metrics {
    registry: Registry,
    pub(super) requests: Family<RequestLabels, Counter>,
    pub(super) durations: Family<RouteLabels, Latencies>,
    pub(super) upstream_durations: Family<RouteLabels, Latencies>,
    pub(super) connections: Gauge<i64, AtomicI64>,
    pub(super) exchanges: Gauge<i64, AtomicI64>,
    rejections: Family<CodeLabel, Counter>,
    guard_matches: Family<RuleLabels, Counter>,
    throttled: Family<ThrottledLabels, Counter>,
    skipped_faults: Family<FaultLabels, Counter>,
    connection_faults: Family<ConnectionFaultLabel, Counter>,
    reloads: Family<ReloadLabel, Counter>,
    generation: Gauge<i64, AtomicI64>,
    pub(super) generations_alive: Gauge<i64, AtomicI64>,
    serves_last_good: Gauge<i64, AtomicI64>,
    last_good_kept: Counter<u64, AtomicU64>,
    dropped_lines: Counter<u64, AtomicU64>,
}

impl Metrics {
    /// Everything at zero.
    pub(super) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("portcullis"),
            requests: Family::default(),
            durations: Family::default(),
            upstream_durations: Family::default(),
            connections: Gauge::default(),
            exchanges: Gauge::default(),
            rejections: Family::default(),
            guard_matches: Family::default(),
            throttled: Family::default(),
            skipped_faults: Family::default(),
            connection_faults: Family::default(),
            reloads: Family::default(),
            generation: Gauge::default(),
            generations_alive: Gauge::default(),
            serves_last_good: Gauge::default(),
            last_good_kept: Counter::default(),
            dropped_lines: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Exchanges that are over", self.requests.clone());
        let help = "Seconds from a request's head to its response's end";
        registry.register("request_duration_seconds", help, self.durations.clone());
        let help = "Seconds until an upstream's response head";
        registry.register("upstream_duration_seconds", help, self.upstream_durations.clone());
        registry.register("connections", "Client connections that stand", self.connections.clone());
        registry.register("exchanges", "Exchanges under way", self.exchanges.clone());
        registry.register(
            "rejections",
            "Requests the gateway refused, by code",
            self.rejections.clone(),
        );
        let help = "Requests that rules of guards found";
        registry.register("guard_matches", help, self.guard_matches.clone());
        let help = "Requests refused because of a limit";
        registry.register("throttled", help, self.throttled.clone());
        let help = "Plugin faults skipped by policy";
        registry.register("skipped_plugin_faults", help, self.skipped_faults.clone());
        let help = "Connections that ended before a request was seen";
        registry.register("connection_faults", help, self.connection_faults.clone());
        registry.register("reloads", "Attempts to replace the configuration", self.reloads.clone());
        registry.register(
            "config_generation",
            "Configurations served so far",
            self.generation.clone(),
        );
        let help = "Configurations that serve or that exchanges still hold";
        registry.register("generations_alive", help, self.generations_alive.clone());
        let help = "Whether the last good configuration serves in the place of one that cannot";
        registry.register("serves_last_good", help, self.serves_last_good.clone());
        let help = "Configurations that were kept as the last good one";
        registry.register("last_good_kept", help, self.last_good_kept.clone());
        registry.register(
            "access_log_dropped",
            "Access log lines lost",
            self.dropped_lines.clone(),
        );
    }

    pub(super) fn count_rejection(&self, code: &'static str) {
        self.rejections.get_or_create(&CodeLabel { code }).inc();
    }

    pub(super) fn count_guard_match(&self, api: &str, rule: &str, mode: &'static str) {
        let labels = RuleLabels { api: api.to_owned(), rule: rule.to_owned(), mode };
        self.guard_matches.get_or_create(&labels).inc();
    }

    pub(super) fn count_throttled(&self, served: &ServedRoute, policy: &str) {
        let labels = ThrottledLabels {
            api: served.api.clone(),
            route: served.route.key.clone(),
            stage: StageLabel::of(served),
            policy: policy.to_owned(),
        };
        self.throttled.get_or_create(&labels).inc();
    }

    pub(super) fn count_skipped_fault(&self, plugin: &str, fault: &'static str) {
        let labels = FaultLabels { plugin: plugin.to_owned(), fault };
        self.skipped_faults.get_or_create(&labels).inc();
    }

    pub(super) fn count_connection_fault(&self, reason: ConnectionFault) {
        let label = ConnectionFaultLabel { reason: reason.code() };
        self.connection_faults.get_or_create(&label).inc();
    }

    pub(super) fn count_reload(&self, result: ReloadResult, generation: u64) {
        self.reloads.get_or_create(&ReloadLabel { result: result.code() }).inc();
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }

    pub(super) fn serves_last_good(&self, does: i64) {
        self.serves_last_good.set(does);
    }

    pub(super) fn count_last_good_kept(&self) {
        self.last_good_kept.inc();
    }

    pub(super) fn count_dropped_line(&self) {
        self.dropped_lines.inc();
    }

    /// The metrics as text, with what is read off the running configuration.
    pub(super) fn encode(&self, read_off: Readings) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        let mut readings = Registry::with_prefix("portcullis");
        readings.register_collector(Box::new(read_off));
        encode(&mut text, &readings)?;
        Ok(text)
    }
}
