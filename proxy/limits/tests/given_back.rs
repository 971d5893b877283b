//! What is given back, against models that remember every charge.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::thread;

use portcullis_limits::{
    Charge, Cycle, FixedWindow, Keyed, Limiter, Now, Policy, Rate, Receipt, SlidingWindow, Spec,
    TokenBucket,
};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const SECOND_MS: u64 = 1000;

/// A limit as the models know it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// So many in so many milliseconds, and a burst.
    Bucket(u64, u64, u64),
    /// So many in each period of so many milliseconds.
    Fixed(u64, u64),
    /// So many in any stretch of so many milliseconds.
    Sliding(u64, u64),
}

/// A charge that nobody has given back: when it was taken, in milliseconds, and what it cost.
type Kept = Vec<(u64, u64)>;

impl Kind {
    fn policy(self) -> Policy {
        match self {
            Self::Bucket(count, period_ms, burst) => {
                let rate = Rate::new(count, period_ms).unwrap();
                Policy::Bucket(TokenBucket::new(rate, burst).unwrap())
            }
            Self::Fixed(limit, ms) => {
                Policy::Fixed(FixedWindow::new(limit, Cycle::Length(ms)).unwrap())
            }
            Self::Sliding(limit, ms) => Policy::Sliding(SlidingWindow::new(limit, ms).unwrap()),
        }
    }

    /// How much there is where only these charges were ever made.
    fn left(self, kept: &Kept, now: u64) -> u64 {
        match self {
            Self::Bucket(count, period_ms, burst) => {
                // In parts of a token: `period_ms` of them, and `count` come with each ms.
                let (mut missing, mut last) = (0, 0);
                for (at, cost) in kept.iter().copied().chain([(now, 0)]) {
                    missing = u64::saturating_sub(missing, (at - last) * count) + cost * period_ms;
                    last = at;
                }
                (burst * period_ms).saturating_sub(missing) / period_ms
            }
            Self::Fixed(limit, ms) => limit - in_period(kept, ms, now / ms),
            Self::Sliding(limit, ms) => {
                let number = now / ms;
                let before = number.checked_sub(1).map_or(0, |last| in_period(kept, ms, last));
                let parts = in_period(kept, ms, number) * ms + before * (ms - now % ms);
                (limit * ms).saturating_sub(parts) / ms
            }
        }
    }
}

fn in_period(kept: &Kept, ms: u64, number: u64) -> u64 {
    kept.iter().filter(|(at, _)| at / ms == number).map(|(_, cost)| cost).sum()
}

fn limiter(kind: Kind, keyed: Keyed) -> Limiter {
    let spec = Spec { scope: "a".into(), name: "a".into(), policy: kind.policy(), keyed };
    Limiter::new(&[spec], 10, None)
}

fn charge(cost: u64) -> [Charge<'static>; 1] {
    [Charge { limit: 0, key: b"k", cost }]
}

fn at(ms: u64) -> Now {
    Now { ns: ms * MS, unix_ms: ms }
}

fn left(limiter: &Limiter, now: u64) -> u64 {
    limiter.standings(&charge(0), at(now)).first().unwrap().remaining
}

fn buckets() -> impl Strategy<Value = Kind> {
    let rates = prop::sample::select(vec![(1, 1000), (3, 1000), (10, 1000), (7, 13), (1, 60_000)]);
    (rates, 1..8_u64).prop_map(|((count, period_ms), burst)| Kind::Bucket(count, period_ms, burst))
}

fn windows() -> impl Strategy<Value = Kind> {
    let lengths = || prop::sample::select(vec![SECOND_MS, 7 * SECOND_MS, 60 * SECOND_MS]);
    prop_oneof![
        (1..8_u64, lengths()).prop_map(|(limit, ms)| Kind::Fixed(limit, ms)),
        (1..8_u64, lengths()).prop_map(|(limit, ms)| Kind::Sliding(limit, ms)),
    ]
}

fn keyed() -> impl Strategy<Value = Keyed> {
    prop::sample::select(vec![Keyed::Shared, Keyed::PerKey("k".into())])
}

fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..50_u64, 0..3_000_u64, 0..90_000_u64]
}

/// What happens next: a pause, and then this.
#[derive(Debug, Clone, Copy)]
enum Step {
    Take(u64),
    /// One of those that are still taken, by its place.
    GiveBack(usize),
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step =
        prop_oneof![(0..5_u64).prop_map(Step::Take), (0..100_usize).prop_map(Step::GiveBack),];
    prop::collection::vec((pause(), step), 1..150)
}

/// What was taken and may yet be given back.
struct Open {
    receipt: Receipt,
    taken_at: u64,
    cost: u64,
}

/// Takes, and says what may be given back.
fn take(limiter: &Limiter, cost: u64, now: u64) -> Option<Open> {
    let receipt = *limiter.take(&charge(cost), at(now)).ok()?.receipts.first()?;
    Some(Open { receipt, taken_at: now, cost })
}

proptest! {
    #[test]
    fn what_is_given_back_at_once_was_never_taken(
        kind in prop_oneof![buckets(), windows()],
        keyed in keyed(),
        start in 0..2_000_000_000_u64,
        steps in prop::collection::vec((pause(), 0..5_u64, any::<bool>()), 1..150),
    ) {
        let (limiter, mut now) = (limiter(kind, keyed), start);
        let mut kept = Kept::new();
        for (pause, cost, stays) in steps {
            now += pause;
            let there = kind.left(&kept, now);
            let taken = take(&limiter, cost, now);
            prop_assert_eq!(taken.is_some(), cost <= there, "{} of {}", cost, there);
            match taken {
                Some(_) if stays => kept.push((now, cost)),
                Some(open) => limiter.give_back([&open.receipt], at(now)),
                None => {}
            }
            prop_assert_eq!(left(&limiter, now), kind.left(&kept, now));
        }
    }

    #[test]
    fn what_a_window_is_given_back_was_never_taken_however_late(
        kind in windows(),
        keyed in keyed(),
        start in 0..2_000_000_000_000_u64,
        steps in steps(),
    ) {
        let (limiter, mut now) = (limiter(kind, keyed), start);
        let (mut kept, mut open) = (Kept::new(), Vec::<Open>::new());
        for (pause, step) in steps {
            now += pause;
            match step {
                Step::Take(cost) => {
                    let there = kind.left(&kept, now);
                    let taken = take(&limiter, cost, now);
                    prop_assert_eq!(taken.is_some(), cost <= there, "{} of {}", cost, there);
                    if let Some(taken) = taken {
                        kept.push((now, cost));
                        open.push(taken);
                    }
                }
                Step::GiveBack(which) if !open.is_empty() => {
                    let back = open.swap_remove(which % open.len());
                    limiter.give_back([&back.receipt], at(now));
                    let same = |it: &(u64, u64)| *it == (back.taken_at, back.cost);
                    let place = kept.iter().position(same).unwrap();
                    kept.remove(place);
                }
                Step::GiveBack(_) => {}
            }
            prop_assert_eq!(left(&limiter, now), kind.left(&kept, now));
        }
    }

    #[test]
    fn a_bucket_is_given_back_what_had_not_come_back(
        kind in buckets(),
        keyed in keyed(),
        steps in steps(),
    ) {
        // Tokens come back for whoever took first: a queue of debts, each with what is left of
        // it. One charge at a time may be given back; the others stay.
        let Kind::Bucket(count, period_ms, burst) = kind else { return Ok(()) };
        let (limiter, mut now) = (limiter(kind, keyed), 0);
        let (mut debts, mut kept): (Vec<(u64, u64)>, Kept) = Default::default();
        let mut open: Option<(Open, usize)> = None;
        for (pause, step) in steps {
            now += pause;
            let mut come = pause * count;
            for (_, debt) in &mut debts {
                let paid = come.min(*debt);
                (come, *debt) = (come - paid, *debt - paid);
            }
            match step {
                Step::Take(cost) => {
                    if let Some(taken) = take(&limiter, cost, now) {
                        debts.push((now, cost * period_ms));
                        kept.push((now, cost));
                        open = open.or(Some((taken, debts.len() - 1)));
                    }
                }
                Step::GiveBack(_) => {
                    if let Some((back, place)) = open.take() {
                        limiter.give_back([&back.receipt], at(now));
                        debts[place].1 = 0;
                        kept.remove(place);
                        // Places in `kept` and in `debts` are the same.
                        debts.remove(place);
                    }
                }
            }
            let missing: u64 = debts.iter().map(|(_, debt)| debt).sum();
            let there = (burst * period_ms - missing) / period_ms;
            prop_assert_eq!(left(&limiter, now), there);
            prop_assert!(there <= kind.left(&kept, now), "more than had it never been taken");
        }
    }

    #[test]
    fn a_bucket_passes_no_more_than_its_limit_and_what_it_was_given_back_late(
        kind in buckets(),
        keyed in keyed(),
        steps in steps(),
    ) {
        let Kind::Bucket(count, period_ms, burst) = kind else { return Ok(()) };
        let (limiter, mut now) = (limiter(kind, keyed), 0);
        let (mut kept, mut open) = (Kept::new(), Vec::<Open>::new());
        // When each was given back, since when it was taken, and what it cost.
        let mut returned: Vec<(u64, u64, u64)> = Vec::new();
        for (pause, step) in steps {
            now += pause;
            match step {
                Step::Take(cost) => open.extend(take(&limiter, cost, now)),
                Step::GiveBack(which) if !open.is_empty() => {
                    let back = open.swap_remove(which % open.len());
                    limiter.give_back([&back.receipt], at(now));
                    returned.push((now, back.taken_at, back.cost));
                }
                Step::GiveBack(_) => {}
            }
            prop_assert!(left(&limiter, now) <= burst);
        }
        kept.extend(open.iter().map(|open| (open.taken_at, open.cost)));
        kept.sort_unstable();
        for (first, (from, _)) in kept.iter().enumerate() {
            let mut sum = 0;
            for (until, cost) in &kept[first..] {
                sum += cost * period_ms;
                let late = returned.iter().filter(|(at, taken_at, _)| {
                    (*from..=*until).contains(at) && taken_at < from
                });
                let late: u64 = late.map(|(_, _, cost)| cost * period_ms).sum();
                let most = burst * period_ms + (until - from) * count + late;
                prop_assert!(sum <= most, "{sum} of {most} from {from} to {until}");
            }
        }
    }
}

#[test]
fn whoever_loses_a_race_leaves_every_limit_as_it_was() {
    let never = |burst| Kind::Bucket(1, 31 * 24 * 3600 * SECOND_MS, burst).policy();
    let spec =
        |name: &str, policy, keyed| Spec { scope: name.into(), name: name.into(), policy, keyed };
    for keyed in [Keyed::Shared, Keyed::PerKey("k".into())] {
        let window = Policy::Fixed(FixedWindow::new(50_000, Cycle::Length(60_000)).unwrap());
        let specs = [
            spec("wide", never(50_000), keyed.clone()),
            spec("window", window, keyed.clone()),
            spec("places", Policy::InFlight(50_000), keyed.clone()),
            spec("narrow", never(10_000), keyed),
        ];
        let limiter = Limiter::new(&specs, 10, None);
        let charges = [0, 1, 2, 3].map(|limit| Charge { limit, key: b"k", cost: 1 });
        let passed: usize = thread::scope(|scope| {
            let take = || {
                let tries = 0..5_000;
                tries.filter(|_| limiter.take(&charges, at(0)).is_ok()).count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });

        assert_eq!(passed, 10_000);
        let left: Vec<u64> =
            limiter.standings(&charges, at(0)).iter().map(|it| it.remaining).collect();
        assert_eq!(left, [40_000, 40_000, 50_000, 0]);
    }
}
