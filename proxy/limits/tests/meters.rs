//! Meters of several gateways with one book, against a model that remembers every request.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;

use portcullis_limits::{Counted, Day, Meter, PerPeriod, Period, Quota};
use proptest::prelude::*;

/// 2023-11-01: five months from here have a leap day, the end of a year and weeks in two
/// months.
const START: u32 = 19_662;

fn periods() -> impl Strategy<Value = Period> {
    prop::sample::select(Period::ALL.to_vec())
}

fn day(after: u32) -> Day {
    Day::from_number(START + after)
}

/// Requests by day, as they are written down.
#[derive(Default)]
struct Book(BTreeMap<Day, i64>);

impl Book {
    fn add(&mut self, Counted { day, requests }: Counted) {
        *self.0.entry(day).or_default() += requests;
    }

    /// Those of the period that a day is in, up to its end.
    fn of(&self, period: Period, today: Day) -> i64 {
        self.0.range(period.first(today)..period.next(today)).map(|(_, requests)| requests).sum()
    }

    fn found(&self, today: Day) -> PerPeriod<Counted> {
        PerPeriod::of(|period| Counted {
            day: period.first(today),
            requests: self.of(period, today),
        })
    }
}

/// A gateway's meter, and what it knows of the book.
struct Gateway {
    meter: Meter,
    known: PerPeriod<Counted>,
}

impl Gateway {
    fn new(book: &Book, today: Day) -> Self {
        let (meter, known) = (Meter::default(), book.found(today));
        let none = PerPeriod::of(|period| Counted::none(period.first(today)));
        meter.settle(&none, &known, &meter.counting());
        Self { meter, known }
    }

    /// Writes down what is new, and takes over what others wrote; `between` is asked while it
    /// is under way.
    fn synchronize(&mut self, book: &mut Book, today: Day, between: impl FnOnce(&Meter)) {
        let unwritten: Vec<Counted> = self.meter.take_unwritten().collect();
        let counting = self.meter.counting();
        for counted in &unwritten {
            book.add(*counted);
            self.known = PerPeriod::of(|period| {
                let (known, first) = (*self.known.get(period), period.first(counted.day));
                if first < known.day { known } else { known.plus(first, counted.requests) }
            });
        }
        let found = book.found(today);
        between(&self.meter);
        self.meter.settle(&self.known, &found, &counting);
        self.known = found;
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many requests come to a gateway, under a quota or none.
    Requests(usize, usize, Option<Quota>),
    /// A gateway writes, while so many requests come to it.
    Synchronize(usize, usize),
    /// What was to be written could not be.
    Fail(usize),
    /// Requests of a day are forgiven by somebody else, who writes that down.
    Forgive(i64),
    /// Days pass.
    Days(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let quotas = (0..30_u64, periods()).prop_map(|(limit, period)| Quota::new(limit, period));
    let step = prop_oneof![
        6 => (0..2_usize, 0..8_usize, prop::option::of(quotas))
            .prop_map(|(gateway, count, quota)| Step::Requests(gateway, count, quota)),
        4 => (0..2_usize, 0..3_usize)
            .prop_map(|(gateway, meanwhile)| Step::Synchronize(gateway, meanwhile)),
        1 => (0..2_usize).prop_map(Step::Fail),
        1 => (1..20_i64).prop_map(Step::Forgive),
        2 => prop_oneof![Just(1), 0..9_u32, 0..40_u32].prop_map(Step::Days),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn a_meter_counts_as_its_model(
        start in 0..400_u32,
        steps in prop::collection::vec(
            (prop_oneof![Just(0), Just(1), 0..40_u32], 0..12_u64, periods(), any::<bool>()),
            1..120,
        ),
    ) {
        let (meter, mut today) = (Meter::default(), start);
        let mut all: Vec<Day> = Vec::new();
        for (days, limit, period, has_quota) in steps {
            today += days;
            let now = day(today);
            let used = |period: Period| {
                let same = |other: &&Day| period.first(**other) == period.first(now);
                i64::try_from(all.iter().filter(same).count()).unwrap()
            };
            for period in Period::ALL {
                prop_assert_eq!(meter.used(period, now), used(period));
            }
            let quota = Quota::new(limit, period);
            let remaining = limit.saturating_sub(used(period).try_into().unwrap());
            let standing = meter.standing(quota, now);
            prop_assert_eq!(standing.remaining, remaining);
            prop_assert_eq!(standing.until_ms, period.next(now).begins_ms());
            let counted = meter.count(has_quota.then_some(quota), now);
            prop_assert_eq!(counted.is_ok(), !has_quota || remaining > 0);
            if counted.is_ok() {
                all.push(now);
            }
            prop_assert_eq!(meter.unwritten(), all.len() as u64);
        }
        let taken: i64 = meter.take_unwritten().map(|counted| counted.requests).sum();
        prop_assert_eq!(taken, i64::try_from(all.len()).unwrap());
    }

    #[test]
    fn no_request_is_lost_or_counted_twice_however_gateways_write(
        start in 0..400_u32,
        steps in steps(),
    ) {
        let (mut book, mut today) = (Book::default(), start);
        let mut gateways = [0, 1].map(|_| Gateway::new(&book, day(today)));
        // What should be in the book once all is written.
        let mut truth = Book::default();
        // Whether something unwritten may be of yesterday: meters tell two days apart.
        let mut is_late = false;
        for step in steps {
            let now = day(today);
            match step {
                Step::Requests(at, count, quota) => {
                    for _ in 0..count {
                        if gateways[at].meter.count(quota, now).is_ok() {
                            truth.add(Counted { day: now, requests: 1 });
                        }
                    }
                }
                Step::Synchronize(at, meanwhile) => {
                    let more = |meter: &Meter| {
                        for _ in 0..meanwhile {
                            assert!(meter.count(None, now).is_ok());
                            truth.add(Counted { day: now, requests: 1 });
                        }
                    };
                    gateways[at].synchronize(&mut book, now, more);
                    for period in Period::ALL {
                        let meter = &gateways[at].meter;
                        let expected = book.of(period, now) + meanwhile as i64;
                        prop_assert_eq!(meter.used(period, now), expected);
                    }
                }
                Step::Fail(at) => {
                    let meter = &gateways[at].meter;
                    let before = meter.unwritten();
                    let unwritten: Vec<Counted> = meter.take_unwritten().collect();
                    unwritten.into_iter().for_each(|counted| meter.add_unwritten(counted));
                    prop_assert_eq!(meter.unwritten(), before);
                }
                Step::Forgive(requests) => {
                    let forgiven = Counted { day: now, requests: -requests };
                    book.add(forgiven);
                    truth.add(forgiven);
                }
                Step::Days(days) => {
                    if is_late || days > 1 {
                        for gateway in &mut gateways {
                            gateway.synchronize(&mut book, now, |_| ());
                        }
                    }
                    is_late = days == 1;
                    today += days;
                }
            }
            let unwritten: u64 = gateways.iter().map(|gateway| gateway.meter.unwritten()).sum();
            let (written, all) = (book.0.values().sum::<i64>(), truth.0.values().sum::<i64>());
            prop_assert_eq!(written + i64::try_from(unwritten).unwrap(), all);
        }
        let now = day(today);
        for round in 0..2 {
            for gateway in &mut gateways {
                gateway.synchronize(&mut book, now, |_| ());
                for period in Period::ALL.into_iter().filter(|_| round == 1) {
                    prop_assert_eq!(gateway.meter.used(period, now), truth.of(period, now));
                }
            }
        }
    }
}
