//! What operators see of the traffic: metrics and access log lines.
//!
//! Exchanges only touch atomics and, where a log is kept, a bounded channel; encoding
//! and writing happen on other threads.

mod access_log;
mod histogram;
mod metrics;
mod readings;
mod route_metrics;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use http::{Method, StatusCode};
use portcullis_pipeline::{DecisionKind, Record, ServedRoute};
use portcullis_state::StoreReading;
use prometheus_client::metrics::gauge::Gauge;

pub use self::access_log::AccessLogProblem;
use self::access_log::{AccessLogger, Line};
use self::metrics::Metrics;
pub(crate) use self::metrics::{ConnectionFault, ReloadResult};
use self::readings::Readings;
pub(crate) use self::route_metrics::RouteMetrics;

/// Everything that is counted and logged of one process.
pub(crate) struct Telemetry {
    metrics: Metrics,
    access_log: AccessLogger,
}

/// One exchange that is over.
pub(crate) struct Finished<'a> {
    /// What the pipeline learnt.
    pub(crate) record: &'a Record,
    /// The request's id.
    pub(crate) id: u128,
    /// The client, through trusted proxies.
    pub(crate) client: IpAddr,
    /// The request, as far as it is told.
    pub(crate) request: Asked<'a>,
    /// The status the client saw; `None` where it saw none.
    pub(crate) status: Option<StatusCode>,
    /// Bytes of the request's and the response's body.
    pub(crate) bytes: (usize, usize),
    /// From the head's arrival to the end.
    pub(crate) duration: Duration,
    /// The upstream's part.
    pub(crate) upstream: Option<UpstreamPart>,
}

/// What was asked for, without what may be secret.
pub(crate) struct Asked<'a> {
    /// The method.
    pub(crate) method: &'a Method,
    /// The host, as the client wrote it.
    pub(crate) host: &'a str,
    /// The path, without the query.
    pub(crate) path: &'a str,
}

/// What an upstream had to do with an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UpstreamPart {
    /// The endpoint tried last.
    pub(crate) endpoint: SocketAddr,
    /// From the choice of the endpoint to its response head, where one came.
    pub(crate) first_byte: Option<Duration>,
    /// How many endpoints were tried.
    pub(crate) tries: u32,
}

impl Telemetry {
    /// Counts, and logs to the given place.
    pub(crate) fn start(log: &portcullis_config::AccessLog) -> Result<Self, AccessLogProblem> {
        Ok(Self { metrics: Metrics::new(), access_log: AccessLogger::start(log)? })
    }

    /// Counts only.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { metrics: Metrics::new(), access_log: AccessLogger::off() }
    }

    /// The metrics of a configuration's routes.
    pub(crate) fn route_metrics<'a>(
        &self,
        routes: impl Iterator<Item = &'a ServedRoute>,
    ) -> RouteMetrics {
        RouteMetrics::new(&self.metrics, routes)
    }

    /// Notes that a configuration is in use, until the guard is dropped.
    pub(crate) fn generation(&self) -> LivingGeneration {
        let alive = self.metrics.generations_alive.clone();
        alive.inc();
        LivingGeneration(alive)
    }

    /// Records an exchange.
    pub(crate) fn record(&self, finished: &Finished<'_>, routes: &RouteMetrics) {
        let route = finished.record.route.as_ref().map(|route| route.id.0);
        routes.count(route, finished);
        let decision = finished.record.decision.as_ref();
        if let Some(decision) = decision.filter(|decision| decision.kind == DecisionKind::Refused) {
            self.metrics.count_rejection(decision.code);
        }
        let api = finished.record.route.as_ref().map_or("", |route| route.api.as_str());
        for found in &finished.record.guarding {
            self.metrics.count_guard_match(api, &found.rule, found.mode.as_str());
        }
        if let Some(route) = &finished.record.route {
            for limit in &finished.record.throttled_by {
                self.metrics.count_throttled(route, limit);
            }
        }
        for (plugin, fault) in &finished.record.skipped {
            self.metrics.count_skipped_fault(plugin, fault);
        }
        if self.access_log.is_on() && !self.access_log.write(|| Line::of(finished)) {
            self.metrics.count_dropped_line();
        }
    }

    /// Records a head that never became a request.
    pub(crate) fn record_unseen(&self, finished: &Finished<'_>) {
        if let Some(decision) = &finished.record.decision {
            self.metrics.count_rejection(decision.code);
        }
        if self.access_log.is_on() && !self.access_log.write(|| Line::of(finished)) {
            self.metrics.count_dropped_line();
        }
    }

    /// Notes that a client connection stands, until the guard is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> OpenConnection {
        self.metrics.connections.inc();
        OpenConnection(Arc::clone(self))
    }

    /// How many client connections stand.
    pub(crate) fn open_connections(&self) -> i64 {
        self.metrics.connections.get()
    }

    /// Notes that an exchange has begun.
    pub(crate) fn exchange_began(&self) {
        self.metrics.exchanges.inc();
    }

    /// Notes that an exchange is over.
    pub(crate) fn exchange_ended(&self) {
        self.metrics.exchanges.dec();
    }

    /// Counts a connection that ended before the pipeline saw a request.
    pub(crate) fn count_connection_fault(&self, fault: ConnectionFault) {
        self.metrics.count_connection_fault(fault);
    }

    /// Counts an attempt to replace the configuration.
    pub(crate) fn count_reload(&self, result: ReloadResult, generation: u64) {
        self.metrics.count_reload(result, generation);
    }

    /// The last good configuration serves from now on, in the place of one that cannot.
    pub(crate) fn last_good_serves(&self) {
        self.metrics.serves_last_good(1);
    }

    /// A configuration of the files as they stand serves from now on.
    pub(crate) fn files_serve(&self) {
        self.metrics.serves_last_good(0);
    }

    /// Counts a configuration that was kept as the last good one.
    pub(crate) fn count_last_good_kept(&self) {
        self.metrics.count_last_good_kept();
    }

    /// The metrics as Prometheus reads them, with those that are read off now.
    pub(crate) fn scrape(
        &self,
        current: &crate::current::Running,
        held_bytes: u64,
        credentials: Option<StoreReading>,
    ) -> Result<String, std::fmt::Error> {
        self.metrics.encode(Readings::of(current, held_bytes, credentials))
    }

    /// Opens the access log anew, so that it can be rotated.
    pub(crate) fn reopen_log(&self) {
        self.access_log.reopen();
    }

    /// Writes what is still queued.
    pub(crate) fn flush(&self) {
        self.access_log.flush();
    }
}

/// A client connection that stands.
pub(crate) struct OpenConnection(Arc<Telemetry>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

/// A configuration that serves, or that exchanges still hold.
pub(crate) struct LivingGeneration(Gauge<i64, AtomicI64>);

impl Drop for LivingGeneration {
    fn drop(&mut self) {
        self.0.dec();
    }
}
