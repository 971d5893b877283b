//! Windows against models that remember every request.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use portcullis_limits::{
    Charge, Cycle, FixedWindow, Keyed, Limiter, Now, Period, Policy, SlidingWindow, Spec,
    WindowProblem,
};
use proptest::prelude::*;

const DAY_MS: u64 = 24 * 3600 * 1000;

fn limiter(policy: Policy, keyed: Keyed) -> Limiter {
    Limiter::new(&[Spec { scope: "a".into(), name: "a".into(), policy, keyed }], 10, None)
}

fn fixed(limit: u64, cycle: Cycle) -> Policy {
    Policy::Fixed(FixedWindow::new(limit, cycle).unwrap())
}

fn sliding(limit: u64, length_ms: u64) -> Policy {
    Policy::Sliding(SlidingWindow::new(limit, length_ms).unwrap())
}

fn keyed() -> impl Strategy<Value = Keyed> {
    prop::sample::select(vec![Keyed::Shared, Keyed::PerKey("k".into())])
}

fn charge(cost: u64) -> [Charge<'static>; 1] {
    [Charge { limit: 0, key: b"k", cost }]
}

fn at(unix_ms: u64) -> Now {
    Now { ns: unix_ms * 1_000_000, unix_ms }
}

/// Pauses, and costs.
fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let pause = prop_oneof![Just(0), 0..50_u64, 0..3_000_u64, 0..90_000_u64];
    prop::collection::vec((pause, 0..5_u64), 1..150)
}

proptest! {
    #[test]
    fn a_fixed_window_counts_what_its_period_took(
        limit in 1..8_u64,
        length in prop::sample::select(vec![1_000_u64, 7_000, 60_000]),
        keyed in keyed(),
        start in 0..2_000_000_000_000_u64,
        steps in steps(),
    ) {
        let limiter = limiter(fixed(limit, Cycle::Length(length)), keyed);
        let mut taken: Vec<(u64, u64)> = Vec::new();
        let mut now = start;
        for (pause, cost) in steps {
            now += pause;
            let used = |at: u64| {
                let same = |(moment, _): &&(u64, u64)| moment / length == at / length;
                taken.iter().filter(same).map(|(_, cost)| cost).sum::<u64>()
            };
            match limiter.take(&charge(cost), at(now)) {
                Ok(standing) => {
                    prop_assert!(used(now) + cost <= limit);
                    prop_assert_eq!(standing.standings[0].remaining, limit - used(now) - cost);
                    taken.push((now, cost));
                }
                Err(exceeded) => {
                    prop_assert!(used(now) + cost > limit);
                    match exceeded.short[0].wait_ns {
                        None => prop_assert!(cost > limit),
                        Some(wait) => {
                            let later = now + wait / 1_000_000;
                            prop_assert!(later % length == 0 && later > now);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_sliding_window_admits_no_more_than_its_two_periods_say(
        limit in 1..8_u64,
        length in prop::sample::select(vec![1_000_u64, 7_000, 60_000]),
        keyed in keyed(),
        start in 0..2_000_000_000_000_u64,
        steps in steps(),
    ) {
        let limiter = limiter(sliding(limit, length), keyed);
        let mut taken: Vec<(u64, u64)> = Vec::new();
        let mut now = start;
        for (pause, cost) in steps {
            now += pause;
            // By fractions of the length, so that nothing is rounded.
            let used = |at: u64| {
                let of = |number: u64| {
                    let same = |(moment, _): &&(u64, u64)| moment / length == number;
                    taken.iter().filter(same).map(|(_, cost)| cost).sum::<u64>()
                };
                let number = at / length;
                let before = number.checked_sub(1).map_or(0, of);
                of(number) * length + before * (length - at % length)
            };
            let fits = |at: u64| used(at) + cost * length <= limit * length;
            match limiter.take(&charge(cost), at(now)) {
                Ok(_) => {
                    prop_assert!(fits(now), "taken, and should not be");
                    taken.push((now, cost));
                }
                Err(exceeded) => {
                    prop_assert!(!fits(now), "refused, and should not be");
                    match exceeded.short[0].wait_ns {
                        None => prop_assert!(cost > limit),
                        Some(wait) => {
                            let later = now + wait / 1_000_000;
                            prop_assert!(fits(later), "the wait is too short");
                            prop_assert!(!fits(later - 1), "it is too long");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_clock_that_is_set_back_opens_no_second_window() {
    for policy in [fixed(2, Cycle::Calendar(Period::Day)), sliding(2, 3_600_000)] {
        let limiter = limiter(policy, Keyed::Shared);
        let moment = 1_709_208_000_000;
        assert!(limiter.take(&charge(2), at(moment)).is_ok());
        assert!(limiter.take(&charge(1), at(moment - 2 * DAY_MS)).is_err(), "{policy:?}");
        assert!(limiter.take(&charge(1), at(moment + 2 * DAY_MS)).is_ok(), "{policy:?}");
    }
}

#[test]
fn what_cannot_be_a_window_is_refused() {
    let day = Cycle::Calendar(Period::Day);
    assert_eq!(FixedWindow::new(0, day), Err(WindowProblem::NoLimit));
    assert_eq!(FixedWindow::new(1 << 32, day), Err(WindowProblem::TooMany));
    assert_eq!(FixedWindow::new(1, Cycle::Length(999)), Err(WindowProblem::Length));
    assert_eq!(SlidingWindow::new(1, 32 * DAY_MS), Err(WindowProblem::Length));
    assert!(SlidingWindow::new(u64::from(u32::MAX), 31 * DAY_MS).is_ok());
}
