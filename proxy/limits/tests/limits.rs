//! Limits against models that are too simple to be wrong.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use portcullis_limits::{Charge, Keyed, Limiter, Now, Policy, Rate, Spec, TokenBucket};
use proptest::prelude::*;

const MS: u64 = 1_000_000;

fn spec(scope: &str, policy: Policy, keyed: Keyed) -> Spec {
    Spec { scope: scope.into(), name: scope.into(), policy, keyed }
}

fn bucket((count, period_ms): (u64, u64), burst: u64) -> Policy {
    let rate = Rate::new(count, period_ms).unwrap();
    Policy::Bucket(TokenBucket::new(rate, burst).unwrap())
}

fn per_key() -> Keyed {
    Keyed::PerKey("k".into())
}

fn charge(limit: usize, key: &[u8], cost: u64) -> Charge<'_> {
    Charge { limit, key, cost }
}

fn at(ns: u64) -> Now {
    Now { ns, unix_ms: ns / MS }
}

/// A bucket of fractions: tokens times `period_ns`, so that nothing is ever rounded.
struct Model {
    tokens: u128,
    last_ns: u64,
    count: u128,
    period_ns: u128,
    burst: u128,
}

impl Model {
    fn new((count, period_ms): (u64, u64), burst: u64) -> Self {
        let (count, period_ns) = (u128::from(count), u128::from(period_ms * MS));
        let burst = u128::from(burst);
        Self { tokens: burst * period_ns, last_ns: 0, count, period_ns, burst }
    }

    fn refill(&mut self, ns: u64) {
        let gained = u128::from(ns - self.last_ns) * self.count;
        self.tokens = (self.tokens + gained).min(self.burst * self.period_ns);
        self.last_ns = ns;
    }

    fn has(&mut self, cost: u64, ns: u64) -> bool {
        self.refill(ns);
        self.tokens >= u128::from(cost) * self.period_ns
    }

    fn take(&mut self, cost: u64, ns: u64) -> bool {
        let has = self.has(cost, ns);
        if has {
            self.tokens -= u128::from(cost) * self.period_ns;
        }
        has
    }

    fn remaining(&self) -> u64 {
        u64::try_from(self.tokens / self.period_ns).unwrap()
    }
}

/// Rates that are counted by the nanosecond, so that the model's clock is the bucket's.
fn rates() -> impl Strategy<Value = (u64, u64)> {
    prop::sample::select(vec![
        (1, 1000),
        (3, 1000),
        (7, 1000),
        (10, 1000),
        (250, 1000),
        (10_000, 1000),
        (1_000_000, 1000),
        (100, 60_000),
        (1, 86_400_000),
        (13, 7),
    ])
}

/// Pauses from none to minutes, and costs.
fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let pause = prop_oneof![Just(0), 0..2000_u64, 0..50 * MS, 0..400_000 * MS];
    prop::collection::vec((pause, 0..7_u64), 1..120)
}

proptest! {
    #[test]
    fn a_bucket_decides_as_its_model(
        rate in rates(),
        burst in 1..6_u64,
        keyed in prop::sample::select(vec![Keyed::Shared, per_key()]),
        steps in steps(),
    ) {
        let limiter = Limiter::new(&[spec("a", bucket(rate, burst), keyed)], 10, None);
        let mut model = Model::new(rate, burst);
        let mut ns = 0;
        for (pause, cost) in steps {
            ns += pause;
            let taken = limiter.take(&[charge(0, b"k", cost)], at(ns));
            let expected = model.take(cost, ns);
            match taken {
                Ok(taken) => {
                    prop_assert!(expected, "taken, and should not be");
                    prop_assert_eq!(taken.standings[0].remaining, model.remaining());
                }
                Err(exceeded) => {
                    prop_assert!(!expected, "refused, and should not be");
                    prop_assert_eq!(exceeded.standings[0].remaining, model.remaining());
                    match exceeded.short[0].wait_ns {
                        None => prop_assert!(cost > burst),
                        Some(wait) => {
                            let mut later = Model { ..model };
                            prop_assert!(later.has(cost, ns + wait), "the wait is too short");
                            let mut sooner = Model { ..model };
                            prop_assert!(!sooner.has(cost, ns + wait - 1), "it is too long");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn several_limits_are_charged_together_or_not_at_all(
        rates in prop::collection::vec((rates(), 1..6_u64), 3),
        steps in prop::collection::vec((0..300 * MS, 0..4_u64, 0..3_u8), 1..80),
    ) {
        let specs: Vec<Spec> = rates
            .iter()
            .enumerate()
            .map(|(at, (rate, burst))| {
                let keyed = if at == 0 { per_key() } else { Keyed::Shared };
                spec(&at.to_string(), bucket(*rate, *burst), keyed)
            })
            .collect();
        let limiter = Limiter::new(&specs, 10, None);
        let mut narrow: HashMap<u8, Model> = HashMap::new();
        let mut wide: Vec<Model> =
            rates[1..].iter().map(|(rate, burst)| Model::new(*rate, *burst)).collect();
        let mut ns = 0;
        for (pause, cost, key) in steps {
            ns += pause;
            let key_bytes = [key];
            let charges: Vec<Charge<'_>> =
                (0..3).map(|limit| charge(limit, &key_bytes, cost)).collect();
            let own = narrow.entry(key).or_insert_with(|| Model::new(rates[0].0, rates[0].1));
            let mut all: Vec<&mut Model> = std::iter::once(own).chain(&mut wide).collect();
            let has: Vec<bool> = all.iter_mut().map(|model| model.has(cost, ns)).collect();
            let expected = has.iter().all(|has| *has);
            match limiter.take(&charges, at(ns)) {
                Ok(_) => prop_assert!(expected),
                Err(exceeded) => {
                    let short: Vec<usize> = exceeded.short.iter().map(|it| it.charge).collect();
                    let missing: Vec<usize> = (0..3).filter(|at| !has[*at]).collect();
                    prop_assert_eq!(short, missing);
                }
            }
            if expected {
                all.iter_mut().for_each(|model| assert!(model.take(cost, ns)));
            }
        }
    }

    #[test]
    fn places_in_flight_are_counted_and_come_back(
        limit in 1..5_u64,
        steps in prop::collection::vec((any::<bool>(), 0..3_u8), 1..100),
    ) {
        let limiter =
            Limiter::new(&[spec("a", Policy::InFlight(limit), per_key())], 10, None);
        let mut held: HashMap<u8, Vec<_>> = HashMap::new();
        for (come, key) in steps {
            let own = held.entry(key).or_default();
            if come {
                match limiter.take(&[charge(0, &[key], 1)], at(0)) {
                    Ok(taken) => own.extend(taken.permits),
                    Err(_) => prop_assert_eq!(own.len() as u64, limit),
                }
                prop_assert!(own.len() as u64 <= limit);
            } else {
                own.pop();
            }
        }
    }
}

/// Takes from as many threads as there are keys (or, with one key, from four), by a clock
/// that moves as they work, and counts what each key was given.
fn race(keys: usize, rate: (u64, u64), burst: u64) -> (Vec<u64>, u64) {
    let shared = if keys == 1 { Keyed::Shared } else { per_key() };
    let wide = spec("wide", bucket((1_000_000, 1), 1_000_000_000), Keyed::Shared);
    let limiter = Limiter::new(&[spec("a", bucket(rate, burst), shared), wide], 100, None);
    let clock = AtomicU64::new(0);
    let given: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for thread in 0..4_usize {
            let (limiter, clock, given, barrier) = (&limiter, &clock, &given, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..20_000_usize {
                    let ns = clock.fetch_add(50, Ordering::Relaxed);
                    let key = (thread + round) % keys;
                    let key_bytes = key.to_le_bytes();
                    let charges = [charge(0, &key_bytes, 1), charge(1, b"", 1)];
                    let taken = limiter.take(&charges, at(ns)).is_ok();
                    if let Some(given) = given.get(key) {
                        given.fetch_add(u64::from(taken), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let given = given.into_iter().map(AtomicU64::into_inner).collect();
    (given, clock.into_inner())
}

#[test]
fn threads_never_get_more_than_the_limit_and_leave_nothing() {
    for keys in [1, 3] {
        // 100,000/s and 4 ms in all: 400 and the burst.
        let (given, ns) = race(keys, (100_000, 1000), 50);
        let most = 50 + ns / 10_000;
        for given in given {
            assert!(given <= most, "{given} of {most}");
            assert!(given >= most - 2, "{given} of {most}");
        }
    }
}

#[test]
fn charged_keys_are_not_forgotten_and_strangers_share_what_is_left() {
    let limit = spec("a", bucket((1, 1000), 2), per_key());
    let limiter = Limiter::new(&[limit], 64, None);
    let take = |key: u64, ns| limiter.take(&[charge(0, &key.to_le_bytes(), 1)], at(ns)).is_ok();
    assert!(take(0, 0) && take(0, 0) && !take(0, 0));

    let admitted = (1..100_000).filter(|key| take(*key, 1)).count();

    assert!(!take(0, 2), "what the first key had taken was forgotten");
    let reading = &limiter.readings()[0];
    assert!((64..=128).contains(&reading.keys), "{reading:?}");
    assert!(admitted <= reading.keys + 1, "{admitted} strangers, {reading:?}");
    assert!(reading.crowded > 90_000);

    // All are full again: there is room, and nothing was lost.
    assert!(take(200_000, 3_000 * MS) && take(200_000, 3_000 * MS) && !take(200_000, 3_000 * MS));
    assert!(take(0, 3_000 * MS) && take(0, 3_000 * MS) && !take(0, 3_000 * MS));
}

#[test]
fn random_keys_that_come_and_go_leave_room() {
    let limiter = Limiter::new(&[spec("a", bucket((1000, 1000), 5), per_key())], 1_000, None);
    let take = |key: u64, ns| limiter.take(&[charge(0, &key.to_le_bytes(), 1)], at(ns)).is_ok();

    // Each is full again after a millisecond, in which a hundred others come.
    let admitted = (0..100_000_u64).filter(|key| take(*key, key * MS / 100)).count();

    assert_eq!(admitted, 100_000);
    assert_eq!(limiter.readings()[0].crowded, 0);
}

#[test]
fn a_new_configuration_keeps_what_was_taken_of_equal_limits() {
    let (old, new) = (bucket((1, 1000), 1), bucket((2, 1000), 1));
    let first = Limiter::new(
        &[
            spec("kept", old, Keyed::Shared),
            spec("changed", old, Keyed::Shared),
            spec("flight", Policy::InFlight(1), per_key()),
        ],
        10,
        None,
    );
    let taken = first.take(&[0, 1, 2].map(|limit| charge(limit, b"k", 1)), at(0)).unwrap();
    let second = Limiter::new(
        &[
            spec("flight", Policy::InFlight(1), per_key()),
            spec("changed", new, Keyed::Shared),
            spec("kept", old, Keyed::Shared),
        ],
        10,
        Some(&first),
    );
    drop(first);

    assert!(second.take(&[charge(2, b"", 1)], at(0)).is_err());
    assert!(second.take(&[charge(1, b"", 1)], at(0)).is_ok());
    assert!(second.take(&[charge(0, b"k", 1)], at(0)).is_err());
    drop(taken);
    assert!(second.take(&[charge(0, b"k", 1)], at(0)).is_ok());
}
