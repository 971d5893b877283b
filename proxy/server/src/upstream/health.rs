//! Whether an address is well: what probes said (active) and what requests met (passive).

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pingora::{Error, ErrorSource, ErrorType};
use portcullis_config::HealthCheck;

/// Failures in a row that take an address out.
const FAILURES_UNTIL_EJECTED: u32 = 3;
/// How long the first ejection lasts; each further one twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// How long an ejection lasts at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// What a request met at its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response head, whatever its status.
    Answered,
    /// No connection, TLS included.
    ConnectFailed,
    /// A connection, but no progress in time.
    TimedOut,
}

impl Outcome {
    /// What an error of Pingora says about the endpoint; `None` where it says nothing,
    /// as when the client went away.
    pub(crate) fn of_error(error: &Error) -> Option<Self> {
        match error.etype() {
            ErrorType::ConnectTimedout
            | ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::TLSHandshakeFailure
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::HandshakeError
            | ErrorType::InvalidCert => Some(Self::ConnectFailed),
            ErrorType::ReadTimedout | ErrorType::WriteTimedout
                if *error.esource() == ErrorSource::Upstream =>
            {
                Some(Self::TimedOut)
            }
            // Pingora's type, and most of its variants are about other things.
            _ => None,
        }
    }
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// A 2xx answer in time.
    Passed,
    /// Anything else.
    Failed,
}

/// The health of one address. Atomics only: requests read and report it concurrently,
/// and a lost race costs one count.
#[derive(Debug)]
pub(super) struct Health {
    base: Instant,
    /// What probes concluded; addresses are believed until a probe says otherwise.
    probed_healthy: AtomicBool,
    /// Probes in a row that contradict `probed_healthy`.
    contradictions: AtomicU32,
    /// Failed requests in a row.
    failures: AtomicU32,
    /// Ejections since the last answer.
    ejections: AtomicU32,
    /// The end of the last ejection, in milliseconds after `base`.
    ejected_until_ms: AtomicU64,
}

impl Health {
    /// The health of an address nothing is known about.
    pub(super) fn unknown(now: Instant) -> Self {
        Self {
            base: now,
            probed_healthy: AtomicBool::new(true),
            contradictions: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            ejected_until_ms: AtomicU64::new(0),
        }
    }

    /// Whether a request may go to an address with `active` requests under way.
    ///
    /// One whose pause is over is tried by one request at a time until it answers.
    pub(super) fn admits(&self, now: Instant, active: usize) -> bool {
        self.is_healthy(now) && (active == 0 || self.ejections.load(Ordering::Relaxed) == 0)
    }

    /// Whether probes find the address well and no ejection lasts.
    pub(super) fn is_healthy(&self, now: Instant) -> bool {
        self.probed_healthy.load(Ordering::Relaxed) && !self.is_ejected(now)
    }

    /// Takes in what a request met. `Some` is the pause of an ejection that begins now.
    pub(super) fn report(&self, outcome: Outcome, now: Instant) -> Option<Duration> {
        match outcome {
            Outcome::Answered => {
                self.forget_failures();
                None
            }
            Outcome::ConnectFailed | Outcome::TimedOut => self.count_failure(now),
        }
    }

    /// Takes in what a probe found. `Some` is a verdict that changed: healthy or not.
    pub(super) fn probed(&self, probe: Probe, check: &HealthCheck) -> Option<bool> {
        let believed = self.probed_healthy.load(Ordering::Relaxed);
        let passed = probe == Probe::Passed;
        if passed == believed {
            self.contradictions.store(0, Ordering::Relaxed);
            return None;
        }
        let needed = if passed { check.healthy_after } else { check.unhealthy_after };
        if self.contradictions.fetch_add(1, Ordering::Relaxed) + 1 < needed {
            return None;
        }
        self.contradictions.store(0, Ordering::Relaxed);
        self.probed_healthy.store(passed, Ordering::Relaxed);
        Some(passed)
    }

    /// Reads before it writes, so that a healthy address's cache line stays shared.
    fn forget_failures(&self) {
        for count in [&self.failures, &self.ejections] {
            if count.load(Ordering::Relaxed) != 0 {
                count.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Requests that were under way when the address was ejected fail later; they
    /// prolong nothing. After its pause one more failure ejects it again.
    fn count_failure(&self, now: Instant) -> Option<Duration> {
        if self.is_ejected(now) {
            return None;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let ejections = self.ejections.load(Ordering::Relaxed);
        if failures < FAILURES_UNTIL_EJECTED && ejections == 0 {
            return None;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << ejections.min(16)).min(LONGEST_PAUSE);
        let before = self.ejected_until_ms.load(Ordering::Relaxed);
        self.ejected_until_ms
            .compare_exchange(
                before,
                self.since_base(now + pause),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .ok()?;
        self.failures.store(0, Ordering::Relaxed);
        self.ejections.store(ejections.saturating_add(1), Ordering::Relaxed);
        Some(pause)
    }

    fn is_ejected(&self, now: Instant) -> bool {
        let until = self.ejected_until_ms.load(Ordering::Relaxed);
        until != 0 && self.since_base(now) < until
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
    fn each_ejection_lasts_longer_and_an_answer_forgives() {
        let mut now = Instant::now();
        let health = Health::unknown(now);
        let fail = |now| health.report(Outcome::ConnectFailed, now);

        assert_eq!(fail(now), None);
        assert_eq!(fail(now), None);
        assert_eq!(fail(now), Some(Duration::from_secs(2)));
        assert_eq!(fail(now), None);
        assert!(!health.admits(now, 0));

        now += Duration::from_secs(2);
        assert!(health.admits(now, 0));
        assert!(!health.admits(now, 1));
        assert_eq!(fail(now), Some(Duration::from_secs(4)));

        now += Duration::from_secs(4);
        health.report(Outcome::Answered, now);
        assert!(health.admits(now, 1));
        assert_eq!(fail(now), None);
    }

    #[test]
    fn a_verdict_changes_after_as_many_probes_as_the_check_says() {
        let check = HealthCheck {
            path: "/".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
        };
        let health = Health::unknown(Instant::now());
        let verdicts = [Probe::Failed, Probe::Failed, Probe::Passed, Probe::Failed, Probe::Failed]
            .map(|probe| health.probed(probe, &check));

        assert_eq!(verdicts, [None; 5]);
        assert_eq!(health.probed(Probe::Failed, &check), Some(false));
        assert_eq!(health.probed(Probe::Passed, &check), None);
        assert_eq!(health.probed(Probe::Passed, &check), Some(true));
    }
}
