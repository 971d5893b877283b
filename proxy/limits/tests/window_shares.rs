//! How windows are shared: what a lease has, what a share is, and when periods begin.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

use portcullis_limits::{
    Ask, Cycle, Day, FixedWindow, Grant, Lease, LeaseTerms, Leased, Now, Period, Policy,
    PolicySharing, Rate, SharingProblem, SlidingWindow, TokenBucket, WindowSharing,
};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const DAY_MS: u64 = 86_400_000;

fn fixed(limit: u64, cycle: Cycle) -> Policy {
    Policy::Fixed(FixedWindow::new(limit, cycle).unwrap())
}

fn sliding(limit: u64, length_ms: u64) -> Policy {
    Policy::Sliding(SlidingWindow::new(limit, length_ms).unwrap())
}

fn window(policy: Policy, gateways: u64, life_ms: u64) -> WindowSharing {
    match PolicySharing::new(policy, gateways, life_ms * MS).unwrap() {
        PolicySharing::Window(sharing) => sharing,
        PolicySharing::Bucket(_) => panic!("{policy:?}"),
    }
}

#[test]
fn a_lease_has_what_passes_in_its_life_or_a_hundredth() {
    let most = |policy, gateways, life_ms| window(policy, gateways, life_ms).terms.most;
    let month = Cycle::Calendar(Period::Month);
    assert_eq!(most(fixed(60, Cycle::Length(60_000)), 2, 1_000), 1);
    assert_eq!(most(fixed(100_000, month), 2, 1_000), 500, "a hundredth");
    assert_eq!(most(sliding(60_000, 60_000), 2, 1_000), 500, "in a second");
    assert_eq!(most(sliding(1_000, 1_000), 2, 1_000), 125, "an eighth of all");
    assert_eq!(most(fixed(1, month), 9, 60_000), 1);
    let terms = window(fixed(60, month), 2, 1_600).terms;
    assert_eq!((terms.life_ns, terms.pause_ns), (1_600 * MS, 100 * MS));
}

#[test]
fn a_share_is_a_part_of_the_same_window() {
    let day = Cycle::Calendar(Period::Day);
    let sharing = window(fixed(10, day), 3, 1_000);
    assert_eq!(sharing.share, fixed(4, day));
    assert_eq!([0, 1, 3, 10].map(|left| sharing.part(left)), [0, 1, 1, 4]);
    let sharing = window(sliding(9, 5_000), 3, 1_000);
    assert_eq!(sharing.share, sliding(3, 5_000));
    assert!(sharing.common.slides);

    let bucket = TokenBucket::new(Rate::new(10, 1_000).unwrap(), 10).unwrap();
    let shared = PolicySharing::new(Policy::Bucket(bucket), 2, MS).unwrap();
    assert!(matches!(shared.share(), Policy::Bucket(share) if share.burst() == 5));
    let flight = PolicySharing::new(Policy::InFlight(5), 2, MS);
    assert_eq!(flight, Err(SharingProblem::InFlight));
}

proptest! {
    #[test]
    fn periods_begin_where_the_last_one_ended(unix_ms in 10 * DAY_MS..4_000_000_000_000) {
        for period in Period::ALL {
            let cycle = Cycle::Calendar(period);
            let [before, begins, next, after] = cycle.begins_around(unix_ms);
            let first = period.first(Day::at(unix_ms));
            prop_assert_eq!(begins, first.begins_ms());
            prop_assert_eq!(next, period.next(first).begins_ms());
            prop_assert_eq!(after, period.next(Day::at(next)).begins_ms());
            prop_assert_eq!(before, period.first(Day::at(begins - 1)).begins_ms());
            prop_assert_eq!(cycle.ends_in_ns(unix_ms), (next - unix_ms) * MS);
        }
        let [before, begins, next, after] = Cycle::Length(7_000).begins_around(unix_ms);
        prop_assert_eq!(begins, unix_ms / 7_000 * 7_000);
        prop_assert_eq!([next - begins, after - next, begins - before], [7_000; 3]);
    }

    #[test]
    fn nothing_is_lost_of_a_lease(
        steps in prop::collection::vec((0_u64..300, 0_u8..4, 1_u64..5), 1..80),
    ) {
        let terms = LeaseTerms { most: 20, life_ns: 1_000 * MS, pause_ns: MS };
        let (mut lease, mut ms) = (Lease::default(), 0);
        let (mut granted, mut used, mut told) = (0, 0, 0);
        for (pause, step, cost) in steps {
            ms += pause;
            let now = Now { ns: ms * MS, unix_ms: 0 };
            match step {
                0 => {
                    let ask = Ask { need: cost, wish: 4 * cost };
                    lease.granted((ask, now), Grant { tokens: 4 * cost, left: 9, wait_ns: 0 }, &terms);
                    granted += 4 * cost;
                }
                1 => used += if lease.take(cost, now) == Leased::Taken { cost } else { 0 },
                2 => {
                    let back = cost.min(used);
                    lease.give_back(back);
                    used -= back;
                }
                _ => told += lease.take_expired(now),
            }
        }
        let now = Now { ns: ms * MS, unix_ms: 0 };
        let held = lease.take_expired(now) + lease.take_held(now);
        prop_assert_eq!(granted, used + told + held);
        prop_assert!(!lease.has_any());
        lease.begin_anew();
        prop_assert_eq!(lease.heard(), None);
    }
}
