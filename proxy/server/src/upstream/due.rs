//! When something is to be done next, shared between configurations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The moment something is due. Due at once when new.
#[derive(Debug)]
pub(super) struct Due {
    base: Instant,
    after_ms: AtomicU64,
}

impl Due {
    pub(super) fn at(base: Instant) -> Self {
        Self { base, after_ms: AtomicU64::new(0) }
    }

    /// Whether the moment has come. Only one caller is told so; for the others it is
    /// put off by `hold`, in case that one never calls [`set`](Self::set).
    pub(super) fn take(&self, now: Instant, hold: Duration) -> bool {
        let due = self.after_ms.load(Ordering::Relaxed);
        let next = self.since_base(now + hold);
        due <= self.since_base(now)
            && self
                .after_ms
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Makes it due at `moment`.
    pub(super) fn set(&self, moment: Instant) {
        self.after_ms.store(self.since_base(moment), Ordering::Relaxed);
    }

    fn since_base(&self, moment: Instant) -> u64 {
        let elapsed = moment.saturating_duration_since(self.base);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_caller_is_told_that_the_moment_has_come() {
        let start = Instant::now();
        let due = Due::at(start);

        assert!(due.take(start, Duration::from_secs(5)));
        assert!(!due.take(start, Duration::from_secs(5)));

        due.set(start + Duration::from_secs(1));
        assert!(!due.take(start + Duration::from_millis(999), Duration::from_secs(5)));
        assert!(due.take(start + Duration::from_secs(1), Duration::from_secs(5)));
    }
}
