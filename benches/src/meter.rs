//! Medians, and the processor time of this thread.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The middle of these values; of an even number, the mean of the middle two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
    let below = values.len().checked_sub(1).map_or(0, |last| last / 2);
    let lower = values.get(below).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

/// The least and the most of these values.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let both = (f64::INFINITY, f64::NEG_INFINITY);
    values.into_iter().fold(both, |(least, most), value| (least.min(value), most.max(value)))
}

/// Processor time that this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    Duration::from_secs(seconds.unwrap_or(0)) + Duration::from_nanos(nanos.unwrap_or(0))
}

/// Bytes as MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([7.0]), 7.0);
        assert!(median([]).is_nan());
        assert_eq!(spread([3.0, -1.0, 2.0]), (-1.0, 3.0));
    }
}
