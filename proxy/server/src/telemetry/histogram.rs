//! A histogram of durations without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds in seconds.
const BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How long things took.
#[derive(Debug, Clone, Default)]
pub(super) struct Latencies(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    within: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Latencies {
    /// Adds one.
    pub(super) fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        self.0.within.get(at).unwrap_or(&self.0.beyond).fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for Latencies {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = self.0.within.iter().map(|count| count.load(Ordering::Relaxed));
        let mut buckets: Vec<(f64, u64)> = BOUNDS.into_iter().zip(counts).collect();
        buckets.push((f64::INFINITY, self.0.beyond.load(Ordering::Relaxed)));
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds =
            Duration::from_nanos(self.0.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Latencies {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_buckets() {
        let latencies = Latencies::default();
        for micros in [1, 500, 501, 60_000_000] {
            latencies.observe(Duration::from_micros(micros));
        }
        let count = |at: usize| latencies.0.within[at].load(Ordering::Relaxed);
        assert_eq!((count(0), count(1), latencies.0.beyond.load(Ordering::Relaxed)), (2, 1, 1));
    }
}
