//! The metrics of each route, found by index and without a lock.

use std::sync::OnceLock;

use http::{Method, StatusCode};
use portcullis_pipeline::ServedRoute;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::Finished;
use super::histogram::Latencies;
use super::metrics::{Metrics, RequestLabels, RouteLabels};

/// How many kinds of outcome of a route are found without a lock.
const CACHED_OUTCOMES: usize = 8;

/// The status noted for exchanges whose client was gone before it saw one (as nginx).
const CLIENT_GONE: u16 = 499;

/// The metrics of one configuration's routes.
pub(crate) struct RouteMetrics {
    /// By route id.
    routes: Vec<OneRoute>,
    none: OneRoute,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Latencies>,
    upstream_durations: Family<RouteLabels, Latencies>,
}

/// The metrics of one route, made when it is first used.
struct OneRoute {
    labels: RouteLabels,
    outcomes: [OnceLock<(Outcome, Counter)>; CACHED_OUTCOMES],
    durations: OnceLock<Latencies>,
    upstream_durations: OnceLock<Latencies>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Outcome {
    method: &'static str,
    status: u16,
}

impl RouteMetrics {
    /// Prepares routes.
    pub(super) fn new<'a>(
        metrics: &Metrics,
        routes: impl Iterator<Item = &'a ServedRoute>,
    ) -> Self {
        let mut by_id: Vec<(usize, OneRoute)> =
            routes.map(|served| (served.id.0, OneRoute::new(RouteLabels::of(served)))).collect();
        by_id.sort_by_key(|(id, _)| *id);
        Self {
            routes: by_id.into_iter().map(|(_, route)| route).collect(),
            none: OneRoute::new(RouteLabels::default()),
            requests: metrics.requests.clone(),
            durations: metrics.durations.clone(),
            upstream_durations: metrics.upstream_durations.clone(),
        }
    }

    /// Counts an exchange of a route, or of none.
    pub(super) fn count(&self, route: Option<usize>, finished: &Finished<'_>) {
        let route = route.and_then(|id| self.routes.get(id)).unwrap_or(&self.none);
        let status = finished.status.as_ref().map_or(CLIENT_GONE, StatusCode::as_u16);
        self.outcome(route, Outcome { method: method_label(finished.request.method), status });
        let durations =
            route.durations.get_or_init(|| self.durations.get_or_create(&route.labels).clone());
        durations.observe(finished.duration);
        if let Some(first_byte) = finished.upstream.and_then(|upstream| upstream.first_byte) {
            let durations = route.upstream_durations.get_or_init(|| {
                let made = self.upstream_durations.get_or_create(&route.labels);
                made.clone()
            });
            durations.observe(first_byte);
        }
    }

    fn outcome(&self, route: &OneRoute, outcome: Outcome) {
        for place in &route.outcomes {
            let (cached, counter) = place.get_or_init(|| (outcome, self.counter(route, outcome)));
            if *cached == outcome {
                counter.inc();
                return;
            }
        }
        self.counter(route, outcome).inc();
    }

    fn counter(&self, route: &OneRoute, outcome: Outcome) -> Counter {
        let RouteLabels { api, route, stage } = route.labels.clone();
        let Outcome { method, status } = outcome;
        let labels = RequestLabels { api, route, stage, method, status };
        self.requests.get_or_create(&labels).clone()
    }
}

impl OneRoute {
    fn new(labels: RouteLabels) -> Self {
        Self {
            labels,
            outcomes: Default::default(),
            durations: OnceLock::new(),
            upstream_durations: OnceLock::new(),
        }
    }
}

/// The method, if it is one of the usual ones: clients must not invent labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
