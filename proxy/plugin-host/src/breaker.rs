//! Takes a plugin that keeps failing out of the path, and lets it back by probes.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts faults in a row; open, it lets one call through after each pause.
#[derive(Debug)]
pub(crate) struct Breaker {
    started: Instant,
    after: u32,
    pause: Duration,
    faults: AtomicU32,
    /// Milliseconds since `started` at which the next probe may go; 0 while closed.
    probe_at: AtomicU64,
    opened: AtomicU64,
}

impl Breaker {
    /// Opens after this many faults in a row; never, if 0.
    pub(crate) fn new(after: u32, pause: Duration, now: Instant) -> Self {
        Self {
            started: now,
            after,
            pause,
            faults: AtomicU32::new(0),
            probe_at: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        }
    }

    /// Whether a call may go: always while closed, one in each pause while open.
    pub(crate) fn lets_through(&self, now: Instant) -> bool {
        let probe_at = self.probe_at.load(Ordering::Acquire);
        if probe_at == 0 {
            return true;
        }
        let now = self.millis(now);
        // The one that moves the next probe away is the probe.
        now >= probe_at
            && self
                .probe_at
                .compare_exchange(
                    probe_at,
                    now + self.pause_ms(),
                    Ordering::AcqRel,
                    Ordering::Acquire,
                )
                .is_ok()
    }

    /// A call came back with an answer.
    pub(crate) fn answered(&self) {
        if self.faults.load(Ordering::Relaxed) != 0 {
            self.faults.store(0, Ordering::Relaxed);
            self.probe_at.store(0, Ordering::Release);
        }
    }

    /// A call came back with a fault.
    pub(crate) fn faulted(&self, now: Instant) {
        let faults = self.faults.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if self.after != 0 && faults >= self.after {
            let next = self.millis(now) + self.pause_ms();
            if self.probe_at.swap(next, Ordering::AcqRel) == 0 {
                self.opened.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether it is open, and how often it has opened.
    pub(crate) fn is_open(&self) -> bool {
        self.probe_at.load(Ordering::Relaxed) != 0
    }

    /// How often it has opened.
    pub(crate) fn times_opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    fn pause_ms(&self) -> u64 {
        u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX / 2).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_faults_in_a_row_and_probes_once_a_pause() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let breaker = Breaker::new(3, Duration::from_millis(100), start);

        breaker.faulted(at(1));
        breaker.faulted(at(2));
        breaker.answered();
        breaker.faulted(at(3));
        breaker.faulted(at(4));
        assert!(breaker.lets_through(at(5)), "two faults in a row are not three");
        breaker.faulted(at(6));

        assert!(!breaker.lets_through(at(7)));
        assert!(breaker.lets_through(at(106)), "the probe");
        assert!(!breaker.lets_through(at(107)), "only one probe");
        breaker.answered();
        assert!(breaker.lets_through(at(108)));
        assert_eq!(breaker.times_opened(), 1);
    }

    #[test]
    fn zero_never_opens() {
        let start = Instant::now();
        let breaker = Breaker::new(0, Duration::from_secs(1), start);

        for _ in 0..100 {
            breaker.faulted(start);
        }

        assert!(breaker.lets_through(start));
    }
}
