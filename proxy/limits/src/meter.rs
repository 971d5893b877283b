//! How many requests somebody has made: in this period, for quotas, and since they were
//! last written down.
//!
//! Requests count in four words of their own and wait for nobody. Whoever writes them down
//! takes what is not yet written ([`Meter::take_unwritten`]) and tells what was found
//! written since ([`Meter::settle`]), by others too.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::period::{Day, Period};

/// Bits of a word that count; those above them are a day.
const COUNT_BITS: u32 = 40;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// So many requests in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    limit: u64,
    period: Period,
}

impl Quota {
    /// The most that a quota counts to.
    pub const MOST: u64 = 100_000_000_000;

    /// So many in a period; [`Self::MOST`] at the most.
    pub fn new(limit: u64, period: Period) -> Self {
        Self { limit: limit.min(Self::MOST), period }
    }

    /// How many.
    pub fn limit(self) -> u64 {
        self.limit
    }

    /// In which period.
    pub fn period(self) -> Period {
        self.period
    }

    /// What remains after so many, of which forgiven ones were taken off.
    pub fn remaining(self, used: i64) -> u64 {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        u64::try_from(limit.saturating_sub(used)).unwrap_or(0)
    }
}

/// How a quota stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaStanding {
    /// What remains of it.
    pub remaining: u64,
    /// When the next period begins, in milliseconds since 1970.
    pub until_ms: u64,
}

/// Requests of somebody.
#[derive(Debug)]
pub struct Meter {
    periods: PerPeriod<AtomicU64>,
    /// Not yet written down: those of even days, those of odd days.
    unwritten: (AtomicU64, AtomicU64),
}

/// Something of each period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerPeriod<T> {
    /// Of the day.
    pub day: T,
    /// Of the week.
    pub week: T,
    /// Of the month.
    pub month: T,
}

/// Requests from a day on: of that day, or of the period that it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The day.
    pub day: Day,
    /// Requests; fewer than none, where more were forgiven than made.
    pub requests: i64,
}

impl<T> PerPeriod<T> {
    /// What this makes of each.
    pub fn of(mut make: impl FnMut(Period) -> T) -> Self {
        Self { day: make(Period::Day), week: make(Period::Week), month: make(Period::Month) }
    }

    /// That of one.
    pub fn get(&self, period: Period) -> &T {
        match period {
            Period::Day => &self.day,
            Period::Week => &self.week,
            Period::Month => &self.month,
        }
    }
}

impl Counted {
    /// None yet.
    pub fn none(day: Day) -> Self {
        Self { day, requests: 0 }
    }

    /// With so many more, that came in a period which begins on this day. A later period
    /// begins anew; what comes late for an earlier one counts here.
    #[must_use]
    pub fn plus(self, first: Day, requests: i64) -> Self {
        if first > self.day {
            return Self { day: first, requests };
        }
        Self { day: self.day, requests: self.requests.saturating_add(requests) }
    }

    fn of_word(word: u64) -> Self {
        let day = Day::from_number(u32::try_from(word >> COUNT_BITS).unwrap_or(u32::MAX));
        // The topmost of the counting bits is the sign.
        let requests = (word << (u64::BITS - COUNT_BITS)).cast_signed() >> (u64::BITS - COUNT_BITS);
        Self { day, requests }
    }

    fn word(self) -> u64 {
        let most = 1_i64 << (COUNT_BITS - 1);
        let requests = self.requests.clamp(-most, most - 1).cast_unsigned() & COUNT_MASK;
        u64::from(self.day.number()) << COUNT_BITS | requests
    }
}

impl Default for Meter {
    fn default() -> Self {
        let none = || AtomicU64::new(0);
        Self { periods: PerPeriod::of(|_| none()), unwritten: (none(), none()) }
    }
}

impl Meter {
    /// How a quota stands on a day.
    pub fn standing(&self, quota: Quota, today: Day) -> QuotaStanding {
        let period = quota.period;
        let now = self.counted(period, today);
        QuotaStanding {
            remaining: quota.remaining(now.requests),
            until_ms: period.next(now.day).begins_ms(),
        }
    }

    /// Requests that count in the period that a day is in; fewer than none, where more were
    /// forgiven than made.
    pub fn used(&self, period: Period, today: Day) -> i64 {
        self.counted(period, today).requests
    }

    fn counted(&self, period: Period, today: Day) -> Counted {
        let now = Counted::of_word(self.periods.get(period).load(Ordering::Relaxed));
        now.plus(period.first(today), 0)
    }

    /// Counts a request, where its quota has room. A clock that goes back opens no quota
    /// anew: the request counts where the last ones did.
    ///
    /// # Errors
    ///
    /// Where the quota is spent; the request is not counted.
    pub fn count(&self, quota: Option<Quota>, today: Day) -> Result<(), QuotaStanding> {
        if let Some(quota) = quota {
            let first = quota.period.first(today);
            let step = |word| {
                let now = Counted::of_word(word).plus(first, 0);
                (quota.remaining(now.requests) > 0).then(|| now.plus(first, 1).word())
            };
            let word = self.periods.get(quota.period);
            if word.try_update(Ordering::Relaxed, Ordering::Relaxed, step).is_err() {
                return Err(self.standing(quota, today));
            }
        }
        for period in Period::ALL {
            if quota.is_none_or(|quota| quota.period != period) {
                let first = period.first(today);
                change(self.periods.get(period), |now| now.plus(first, 1));
            }
        }
        self.add_unwritten(Counted { day: today, requests: 1 });
        Ok(())
    }

    /// Takes what is not yet written down.
    pub fn take_unwritten(&self) -> impl Iterator<Item = Counted> {
        let take = |word: &AtomicU64| {
            let is_none = Counted::of_word(word.load(Ordering::Relaxed)).requests == 0;
            (!is_none).then(|| Counted::of_word(word.swap(0, Ordering::Relaxed)))
        };
        [take(&self.unwritten.0), take(&self.unwritten.1)].into_iter().flatten()
    }

    /// Takes note of what is not written down, perhaps still.
    pub fn add_unwritten(&self, requests: Counted) {
        let Counted { day, requests } = requests;
        let is_even = day.number().is_multiple_of(2);
        let word = if is_even { &self.unwritten.0 } else { &self.unwritten.1 };
        change(word, |now| now.plus(day, 0).joined(now, requests));
    }

    /// How many requests are not yet written down.
    pub fn unwritten(&self) -> u64 {
        let count = |word: &AtomicU64| Counted::of_word(word.load(Ordering::Relaxed)).requests;
        u64::try_from(count(&self.unwritten.0).saturating_add(count(&self.unwritten.1)))
            .unwrap_or(0)
    }

    /// The first day of each period that requests count in now.
    pub fn counting(&self) -> PerPeriod<Day> {
        let first = |word: &AtomicU64| Counted::of_word(word.load(Ordering::Relaxed)).day;
        PerPeriod::of(|period| first(self.periods.get(period)))
    }

    /// Takes over what is written of the periods now, where this much of it was counted here
    /// or known before. `counting` was asked before the clock was: a period later than the
    /// clock's shows that the clock went back, and is left.
    pub fn settle(
        &self,
        known: &PerPeriod<Counted>,
        found: &PerPeriod<Counted>,
        counting: &PerPeriod<Day>,
    ) {
        for period in Period::ALL {
            let (known, found) = (known.get(period), found.get(period));
            let before = if known.day == found.day { known.requests } else { 0 };
            let others = found.requests.saturating_sub(before);
            change(self.periods.get(period), |now| {
                let went_back = now.day > found.day && now.day == *counting.get(period);
                if now.day < found.day {
                    *found
                } else if went_back {
                    let unwritten = i64::try_from(self.unwritten()).unwrap_or(i64::MAX);
                    found.plus(found.day, unwritten)
                } else if now.day == found.day {
                    now.plus(now.day, others)
                } else {
                    now
                }
            });
        }
    }
}

impl Counted {
    /// With requests that were there before and new ones, whatever their days: none is lost.
    fn joined(self, before: Self, requests: i64) -> Self {
        Self { day: self.day, requests: before.requests.saturating_add(requests) }
    }
}

fn change(word: &AtomicU64, step: impl Fn(Counted) -> Counted) {
    // Always `Some`, so it always succeeds.
    let _before = word.try_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
        Some(step(Counted::of_word(word)).word())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn statuses(meter: &Meter, quota: Quota, days: &[&str]) -> Vec<bool> {
        days.iter().map(|text| meter.count(Some(quota), day(text)).is_ok()).collect()
    }

    /// What is found written on a day, if all of it is of that day.
    fn written(text: &str, requests: i64) -> PerPeriod<Counted> {
        PerPeriod::of(|period| Counted { day: period.first(day(text)), requests })
    }

    #[test]
    fn words_hold_what_they_are_given() {
        for requests in [0, 1, -1, 99_999_999_999, -99_999_999_999] {
            for number in [0, 1, 20_786, 2_932_896] {
                let counted = Counted { day: Day::from_number(number), requests };
                assert_eq!(Counted::of_word(counted.word()), counted);
            }
        }
    }

    #[test]
    fn a_quota_is_open_again_with_its_next_period() {
        let meter = Meter::default();
        let quota = |period| Quota::new(2, period);
        let days = ["2026-11-28", "2026-11-29", "2026-11-29", "2026-11-30", "2026-11-30"];
        assert_eq!(statuses(&meter, quota(Period::Week), &days), [true, true, false, true, true]);
        let spent = meter.count(Some(quota(Period::Month)), day("2026-11-30")).unwrap_err();
        assert_eq!(spent.remaining, 0, "the month counts on under a quota by week");
        assert_eq!(spent.until_ms, day("2026-12-01").begins_ms());
        assert_eq!(
            statuses(&meter, quota(Period::Day), &["2026-11-30", "2026-12-01"]),
            [false, true]
        );
        assert_eq!(meter.unwritten(), 5, "refusals count for nothing");
    }

    #[test]
    fn a_clock_that_goes_back_opens_nothing_anew() {
        let meter = Meter::default();
        let quota = Quota::new(2, Period::Day);
        let days = ["2026-11-29", "2026-11-30", "2026-11-29", "2026-11-30", "2026-11-29"];
        assert_eq!(statuses(&meter, quota, &days), [true, true, true, false, false]);
        let taken: Vec<Counted> = meter.take_unwritten().collect();
        let expected = [("2026-11-29", 2), ("2026-11-30", 1)];
        let expected = expected.map(|(text, requests)| Counted { day: day(text), requests });
        assert_eq!(taken, expected);

        // Those who write it down see that the clock is back.
        let counting = meter.counting();
        meter.settle(&written("2026-11-29", 2), &written("2026-11-29", 2), &counting);
        assert_eq!(meter.standing(quota, day("2026-11-29")).remaining, 0);
        assert_eq!(meter.standing(quota, day("2026-11-30")).remaining, 2);
    }

    #[test]
    fn what_others_wrote_counts_too() {
        let meter = Meter::default();
        let (quota, today) = (Quota::new(10, Period::Month), "2026-11-29");
        meter.settle(&written("1970-01-01", 0), &written(today, 3), &meter.counting());
        assert_eq!(statuses(&meter, quota, &[today, today]), [true, true]);
        assert_eq!(meter.take_unwritten().count(), 1);
        // Two are written, one came meanwhile, others wrote four.
        assert_eq!(statuses(&meter, quota, &[today]), [true]);
        meter.settle(&written(today, 5), &written(today, 9), &meter.counting());
        assert_eq!(meter.standing(quota, day(today)).remaining, 0);
        // Somebody has forgiven twelve.
        meter.settle(&written(today, 9), &written(today, -3), &meter.counting());
        assert_eq!(meter.standing(quota, day(today)).remaining, 12);
    }

    #[test]
    fn a_period_that_began_while_it_was_written_is_left_alone() {
        let meter = Meter::default();
        let counting = meter.counting();
        assert!(meter.count(None, day("2026-12-01")).is_ok());
        meter.settle(&written("2026-11-30", 7), &written("2026-11-30", 7), &counting);
        let quota = Quota::new(10, Period::Month);
        assert_eq!(meter.standing(quota, day("2026-12-01")).remaining, 9);
    }

    #[test]
    fn what_could_not_be_written_stays_though_days_pass() {
        let meter = Meter::default();
        for text in ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-03"] {
            meter.count(None, day(text)).unwrap();
        }
        let taken: Vec<Counted> = meter.take_unwritten().collect();
        assert_eq!(taken.iter().map(|counted| counted.requests).sum::<i64>(), 4);
        assert_eq!(meter.unwritten(), 0);
        taken.into_iter().for_each(|counted| meter.add_unwritten(counted));
        assert_eq!(meter.unwritten(), 4);
    }

    #[test]
    fn exactly_the_quota_passes_however_many_count_at_once() {
        let meter = Meter::default();
        let quota = Quota::new(1_000, Period::Month);
        let today = day("2026-11-29");
        let passed: usize = std::thread::scope(|scope| {
            let count = || (0..500).filter(|_| meter.count(Some(quota), today).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((passed, meter.unwritten()), (1_000, 1_000));
    }
}
