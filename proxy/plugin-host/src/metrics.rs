//! What one plugin use did, counted without locks and read without touching the
//! request path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_pipeline::PluginFault;

use crate::instance::Configured;

/// Upper bounds of the duration histogram, in microseconds.
const BUCKETS_US: [u64; 12] =
    [2, 5, 10, 20, 50, 100, 250, 1_000, 5_000, 25_000, 100_000, 1_000_000];

/// The codes of faults, in the order they are counted.
const FAULTS: [&str; 10] = [
    "trap",
    "wall-time",
    "cpu-time",
    "memory",
    "output",
    "bad-answer",
    "busy",
    "unavailable",
    "breaker-open",
    "start",
];

/// The decisions a plugin's answers come down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecisionKind {
    /// It let the request go on.
    Allowed,
    /// It refused or answered it.
    Refused,
    /// An earlier answer was used.
    Cached,
}

/// Counters of one plugin use.
#[derive(Debug, Default)]
pub(crate) struct UseMetrics {
    allowed: AtomicU64,
    refused: AtomicU64,
    cached: AtomicU64,
    faults: [AtomicU64; FAULTS.len()],
    buckets: [AtomicU64; BUCKETS_US.len()],
    calls: AtomicU64,
    nanos: AtomicU64,
    started_from_image: AtomicU64,
    started_per_instance: AtomicU64,
    memory_high_water: AtomicU64,
    bytes_read: AtomicU64,
}

/// A reading of the counters of one plugin use.
#[derive(Debug, Clone, PartialEq)]
pub struct UseReading {
    /// The use's name in the configuration.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Decisions by kind: `allowed`, `refused`, `cached`.
    pub decisions: Vec<(&'static str, u64)>,
    /// Faults by code.
    pub faults: Vec<(&'static str, u64)>,
    /// Calls at most as long as each bound in seconds, cumulative.
    pub duration_buckets: Vec<(f64, u64)>,
    /// Calls made, and the seconds they took in all.
    pub duration: (u64, f64),
    /// Instances started: from a configured image, and configured one by one.
    pub instances_started: (u64, u64),
    /// What there is of its configured image.
    pub image: ImageState,
    /// The most linear memory an instance has had, in bytes.
    pub memory_high_water: u64,
    /// Bytes of requests and responses passed to the plugin.
    pub bytes_read: u64,
    /// Log lines written and dropped.
    pub log_lines: (u64, u64),
    /// What the breaker did.
    pub breaker: BreakerReading,
    /// HTTP requests it has sent.
    pub http_calls: u64,
    /// HTTP requests of it that were refused: not granted, or too many.
    pub http_refused: u64,
}

/// What there is of a plugin use's configured image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImageState {
    /// None, and none will come: each instance is configured for itself.
    #[default]
    None,
    /// It is being made, or waits for that.
    Pending,
    /// Fresh instances start from it.
    Ready,
}

/// What the breaker of a plugin use did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BreakerReading {
    /// Whether the use is out of the path.
    pub is_open: bool,
    /// How often it was taken out of the path.
    pub times_opened: u64,
    /// How often a client alone was refused.
    pub clients_refused: u64,
}

impl UseMetrics {
    pub(crate) fn decided(&self, kind: DecisionKind) {
        let counter = match kind {
            DecisionKind::Allowed => &self.allowed,
            DecisionKind::Refused => &self.refused,
            DecisionKind::Cached => &self.cached,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn faulted(&self, fault: &PluginFault) {
        let at = FAULTS.iter().position(|code| *code == fault.code());
        if let Some(counter) = at.and_then(|at| self.faults.get(at)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn called(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BUCKETS_US.iter().position(|bound| micros <= *bound);
        if let Some(bucket) = at.and_then(|at| self.buckets.get(at)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn started(&self, configured: Configured) {
        let counter = match configured {
            Configured::InImage => &self.started_from_image,
            Configured::PerInstance => &self.started_per_instance,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn memory(&self, high_water: usize) {
        let high_water = high_water as u64;
        // Reading first keeps the line shared between cores while nothing grows.
        if self.memory_high_water.load(Ordering::Relaxed) < high_water {
            self.memory_high_water.fetch_max(high_water, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Reads the counters; what the metrics do not know is for the caller to fill in.
    pub(crate) fn reading(&self, name: &str, plugin: &str) -> UseReading {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut so_far = 0;
        let buckets = BUCKETS_US.iter().zip(&self.buckets).map(|(bound, bucket)| {
            so_far += get(bucket);
            (Duration::from_micros(*bound).as_secs_f64(), so_far)
        });
        UseReading {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            decisions: vec![
                ("allowed", get(&self.allowed)),
                ("refused", get(&self.refused)),
                ("cached", get(&self.cached)),
            ],
            faults: FAULTS
                .iter()
                .zip(&self.faults)
                .map(|(code, counter)| (*code, get(counter)))
                .collect(),
            duration_buckets: buckets.collect(),
            duration: (get(&self.calls), Duration::from_nanos(get(&self.nanos)).as_secs_f64()),
            instances_started: (get(&self.started_from_image), get(&self.started_per_instance)),
            image: ImageState::None,
            memory_high_water: get(&self.memory_high_water),
            bytes_read: get(&self.bytes_read),
            log_lines: (0, 0),
            breaker: BreakerReading::default(),
            http_calls: 0,
            http_refused: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_counter() {
        let faults = [
            PluginFault::Trap(String::new()),
            PluginFault::WallTime,
            PluginFault::CpuTime,
            PluginFault::Memory,
            PluginFault::Output { limit: 1 },
            PluginFault::BadAnswer(String::new()),
            PluginFault::Unavailable(String::new()),
            PluginFault::Busy,
            PluginFault::BreakerOpen,
            PluginFault::Start(String::new()),
        ];
        let metrics = UseMetrics::default();

        faults.iter().for_each(|fault| metrics.faulted(fault));

        assert!(metrics.reading("a", "b").faults.iter().all(|(_, count)| *count == 1));
    }
}
