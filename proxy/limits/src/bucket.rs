//! The token bucket, kept as one number: the moment at which the bucket will be full
//! again (the generic cell rate algorithm of ITU-T I.371).
//!
//! That moment is counted in units of which a tick of the clock has `per_tick` and a token
//! `per_token`, chosen so that both are whole: no rate is rounded. What is rounded, down
//! and for everybody alike, is the clock, to the finest tick with which the numbers of ten
//! years fit.

use crate::policy::Standing;
use crate::{Now, Rate};

/// Ten years in nanoseconds: longer than a process runs.
const LIFE_NS: u64 = 10 * 366 * 24 * 3600 * 1_000_000_000;
/// What no number of a bucket grows to within a life.
const ROOM: u64 = 1 << 62;
/// Ticks that the clock may be read in, finest first.
const TICKS_NS: [u64; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Tokens that come back at a rate, up to a number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    rate: Rate,
    burst: u64,
    tick_ns: u64,
    per_tick: u64,
    per_token: u64,
}

/// Why there is no such bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BucketProblem {
    /// It would hold nothing.
    #[error("a burst of zero lets nothing pass")]
    NoBurst,
    /// Rate and burst are too far apart, or the rate has too many digits.
    #[error("this rate and burst cannot be counted exactly")]
    Inexact,
}

/// A bucket that has not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Empty {
    /// Until it will have, in nanoseconds; `None` where it never will.
    pub(crate) wait_ns: Option<u64>,
}

impl TokenBucket {
    /// Tokens at this rate, at most so many at once.
    ///
    /// # Errors
    ///
    /// Where the burst is zero or the two cannot be counted exactly.
    pub fn new(rate: Rate, burst: u64) -> Result<Self, BucketProblem> {
        if burst == 0 {
            return Err(BucketProblem::NoBurst);
        }
        TICKS_NS
            .into_iter()
            .filter(|tick_ns| rate.period_ns().is_multiple_of(*tick_ns))
            .find_map(|tick_ns| Self::ticking(rate, burst, tick_ns))
            .ok_or(BucketProblem::Inexact)
    }

    /// With this tick, if the numbers fit.
    fn ticking(rate: Rate, burst: u64, tick_ns: u64) -> Option<Self> {
        let period = rate.period_ns() / tick_ns;
        let common = gcd(rate.count(), period);
        let (per_tick, per_token) = (rate.count() / common, period / common);
        let is_room = |amount: Option<u64>| amount.is_some_and(|amount| amount <= ROOM);
        let fits = is_room(per_tick.checked_mul(LIFE_NS / tick_ns))
            && is_room(per_token.checked_mul(burst));
        fits.then_some(Self { rate, burst, tick_ns, per_tick, per_token })
    }

    /// How fast tokens come back.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// How many there are at most.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// Takes tokens: what the bucket is afterwards, or why they are not to be had.
    pub(crate) fn take(&self, full_at: u64, cost: u64, now: Now) -> Result<u64, Empty> {
        let now = self.units(now);
        let full = now.saturating_add(self.capacity());
        let Some(amount) = cost.checked_mul(self.per_token).filter(|it| *it <= self.capacity())
        else {
            return Err(Empty { wait_ns: None });
        };
        let after = full_at.max(now).saturating_add(amount);
        if after <= full {
            return Ok(after);
        }
        Err(Empty { wait_ns: Some(self.wait_ns(after - full)) })
    }

    /// Puts tokens back that were taken when the bucket became `after_taking`. Never more
    /// than have not come back since by themselves.
    pub(crate) fn give_back(&self, full_at: u64, after_taking: u64, cost: u64, now: Now) -> u64 {
        let amount = cost.saturating_mul(self.per_token);
        full_at.saturating_sub(amount.min(after_taking.saturating_sub(self.units(now))))
    }

    /// How many tokens there are, and how long until there is one more.
    pub(crate) fn standing(&self, full_at: u64, now: Now) -> Standing {
        let now = self.units(now);
        let missing = full_at.saturating_sub(now).min(self.capacity());
        let there = self.capacity() - missing;
        let remaining = there / self.per_token;
        let next = (remaining + 1).saturating_mul(self.per_token).saturating_sub(there);
        let wait_ns = if remaining < self.burst { self.wait_ns(next) } else { 0 };
        Standing { remaining, wait_ns: Some(wait_ns) }
    }

    /// Whether it is as good as new.
    pub(crate) fn is_full(&self, full_at: u64, now: Now) -> bool {
        full_at <= self.units(now)
    }

    fn capacity(&self) -> u64 {
        self.burst * self.per_token
    }

    fn units(&self, now: Now) -> u64 {
        (now.ns / self.tick_ns).saturating_mul(self.per_tick)
    }

    fn wait_ns(&self, units: u64) -> u64 {
        units.div_ceil(self.per_tick).saturating_mul(self.tick_ns)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(count: u64, period_ms: u64, burst: u64) -> Result<TokenBucket, BucketProblem> {
        TokenBucket::new(Rate::new(count, period_ms).unwrap(), burst)
    }

    #[test]
    fn usual_rates_are_counted_by_the_nanosecond() {
        for (count, period_ms) in [(10_000, 1000), (100, 1000), (5, 1000), (1, 60_000), (10, 1)] {
            assert_eq!(bucket(count, period_ms, 5000).unwrap().tick_ns, 1, "{count}/{period_ms}");
        }
    }

    #[test]
    fn odd_rates_are_exact_with_a_coarser_clock() {
        let odd = bucket(999_983, 1000, 1_000_000).unwrap();
        assert_eq!((odd.per_tick, odd.tick_ns), (999_983, 100_000));
        assert!(bucket(999_999_937, 1000, 1_000_000_000).is_ok());
        assert!(bucket(1, 31 * 86_400_000, 1_000_000_000).is_ok());
        assert_eq!(bucket(999_999_937, 31, 1), Err(BucketProblem::Inexact));
        assert_eq!(bucket(1, 1, 0), Err(BucketProblem::NoBurst));
    }

    #[test]
    fn what_is_given_back_late_has_come_back_already() {
        let bucket = bucket(1, 1000, 2).unwrap();
        let at = |s: u64| Now { ns: s * 1_000_000_000, unix_ms: 0 };
        let after = bucket.take(0, 1, at(10)).unwrap();
        assert_eq!(bucket.give_back(after, after, 1, at(10)), bucket.units(at(10)));
        let again = bucket.take(after, 2, at(12)).unwrap();
        assert_eq!(bucket.give_back(again, after, 1, at(12)), again);
    }
}
