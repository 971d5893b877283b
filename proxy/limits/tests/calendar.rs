//! Windows of the calendar, against a calendar that counts one day after the other.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::HashMap;
use std::sync::LazyLock;

use portcullis_limits::{
    Charge, Cycle, Day, FixedWindow, Keyed, Limiter, Now, Period, Policy, Receipt, Spec,
};
use proptest::prelude::*;

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Days that the calendar has: to the end of 2401, so with a year of each kind of leap.
const DAYS: usize = 157_785;

/// A date, and the weekday: 0 for Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: u32,
    month: u32,
    day: u32,
    weekday: u32,
}

/// All days from 1970-01-01 on.
static CALENDAR: LazyLock<Vec<Date>> = LazyLock::new(|| {
    // It was a Thursday.
    let first = Date { year: 1970, month: 1, day: 1, weekday: 3 };
    std::iter::successors(Some(first), |date| Some(date.next())).take(DAYS).collect()
});

impl Date {
    fn next(self) -> Self {
        let weekday = (self.weekday + 1) % 7;
        if self.day < self.days_of_month() {
            Self { day: self.day + 1, weekday, ..self }
        } else if self.month < 12 {
            Self { month: self.month + 1, day: 1, weekday, ..self }
        } else {
            Self { year: self.year + 1, month: 1, day: 1, weekday }
        }
    }

    fn days_of_month(self) -> u32 {
        let is_leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match self.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn begins(self, period: Period) -> bool {
        match period {
            Period::Day => true,
            Period::Week => self.weekday == 0,
            Period::Month => self.day == 1,
        }
    }
}

/// The first day of the period that a day is in, and the first one after it, as numbers. The
/// days before the first Monday of 1970 are a week.
fn bounds(period: Period, day: usize) -> (usize, usize) {
    let begins = |day: &usize| CALENDAR.get(*day).is_some_and(|date| date.begins(period));
    let first = (0..=day).rev().find(begins).unwrap_or(0);
    let next = (day + 1..DAYS).find(begins).unwrap();
    (first, next)
}

fn periods() -> impl Strategy<Value = Period> {
    prop::sample::select(Period::ALL.to_vec())
}

/// A moment: anywhere, or around midnight before the first of a month, which is where
/// something can go wrong.
fn starts() -> impl Strategy<Value = u64> {
    let firsts: Vec<u64> = (0_u64..)
        .zip(CALENDAR.iter().take(DAYS - 800))
        .filter(|(_, date)| date.day == 1 && [1, 2, 3, 12].contains(&date.month))
        .map(|(number, _)| number * DAY_MS)
        .filter(|begins| *begins > 0)
        .collect();
    let last = (DAYS as u64 - 800) * DAY_MS;
    prop_oneof![
        0..last,
        (prop::sample::select(firsts), 0..2_000_u64).prop_map(|(at, before)| at - 1_000 + before),
    ]
}

/// From nothing to months, and to the millisecond before and of a midnight.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        4 => 0..DAY_MS,
        2 => (0..40_u64).prop_map(|days| days * DAY_MS),
        1 => (1..40_u64).prop_map(|days| days * DAY_MS - 1),
        1 => 0..9 * DAY_MS,
    ]
}

fn limiter(limit: u64, period: Period, keyed: Keyed) -> Limiter {
    let window = FixedWindow::new(limit, Cycle::Calendar(period)).unwrap();
    let policy = Policy::Fixed(window);
    Limiter::new(&[Spec { scope: "a".into(), name: "a".into(), policy, keyed }], 10, None)
}

fn at(unix_ms: u64) -> Now {
    // The other clock began some time after 1970, and does not matter.
    Now { ns: unix_ms % 1_000, unix_ms }
}

proptest! {
    #[test]
    fn days_are_those_of_the_calendar(number in 0..DAYS - 40) {
        let day = Day::from_number(u32::try_from(number).unwrap());
        let Date { year, month, day: of_month, .. } = CALENDAR[number];
        prop_assert_eq!(day.to_string(), format!("{year:04}-{month:02}-{of_month:02}"));
        prop_assert_eq!(Day::at(number as u64 * DAY_MS), day);
        prop_assert_eq!(Day::at((number + 1) as u64 * DAY_MS - 1), day);
        for period in Period::ALL {
            let (first, next) = bounds(period, number);
            prop_assert_eq!(period.first(day).number() as usize, first);
            prop_assert_eq!(period.next(day).number() as usize, next);
        }
    }

    #[test]
    fn a_window_of_the_calendar_counts_what_its_period_kept(
        limit in 1..8_u64,
        period in periods(),
        keyed in prop::sample::select(vec![Keyed::Shared, Keyed::PerKey("k".into())]),
        start in starts(),
        steps in prop::collection::vec((pause(), 0..5_u64, any::<bool>()), 1..60),
    ) {
        let limiter = limiter(limit, period, keyed);
        let mut used: HashMap<usize, u64> = HashMap::new();
        let mut open: Vec<(usize, u64, Receipt)> = Vec::new();
        let mut now = start;
        for (pause, cost, gives_back) in steps {
            if now + pause >= (DAYS as u64 - 40) * DAY_MS {
                break;
            }
            now += pause;
            let (first, next) = bounds(period, usize::try_from(now / DAY_MS).unwrap());
            if let Some((of, cost, receipt)) = open.pop().filter(|_| gives_back) {
                // It counts no more where it was counted, and nowhere else.
                *used.entry(of).or_default() -= cost;
                limiter.give_back([&receipt], at(now));
            }
            let so_far = used.entry(first).or_default();
            match limiter.take(&[Charge { limit: 0, key: b"k", cost }], at(now)) {
                Ok(taken) => {
                    *so_far += cost;
                    prop_assert!(*so_far <= limit);
                    prop_assert_eq!(taken.standings[0].remaining, limit - *so_far);
                    open.push((first, cost, taken.receipts[0]));
                }
                Err(exceeded) => {
                    prop_assert!(*so_far + cost > limit);
                    let wait = (next as u64 * DAY_MS - now) * 1_000_000;
                    let expected = (cost <= limit).then_some(wait);
                    prop_assert_eq!(exceeded.short[0].wait_ns, expected);
                    prop_assert_eq!(exceeded.standings[0].remaining, limit - *so_far);
                }
            }
        }
    }
}

#[test]
fn a_window_ends_with_the_last_millisecond_of_its_period() {
    for (period, day, length) in [
        (Period::Month, "2024-02-01", 29),
        (Period::Month, "2023-02-01", 28),
        (Period::Month, "2000-02-01", 29),
        (Period::Month, "2100-02-01", 28),
        (Period::Month, "2026-04-01", 30),
        (Period::Month, "2026-12-01", 31),
        (Period::Week, "2026-12-28", 7),
        // Clocks are changed somewhere in this one; a week in UTC is as long as any other.
        (Period::Week, "2026-03-23", 7),
        (Period::Day, "2026-03-29", 1),
        (Period::Day, "2026-10-25", 1),
    ] {
        let limiter = limiter(1, period, Keyed::Shared);
        let begins = day.parse::<Day>().unwrap().begins_ms();
        let passes =
            |unix_ms| limiter.take(&[Charge { limit: 0, key: b"", cost: 1 }], at(unix_ms)).is_ok();
        assert!(passes(begins - 1) && passes(begins), "{day}");
        assert!(!passes(begins + length * DAY_MS - 1), "{day}");
        assert!(passes(begins + length * DAY_MS), "{day}");
    }
}
