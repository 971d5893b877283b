//! Several gateways that share a bucket by leases, under a virtual clock, against what the
//! documentation promises.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use portcullis_limits::{
    Ask, CommonBucket, Grant, Lease, Leased, Now, Rate, Sharing, SharingProblem, TokenBucket,
};
use proptest::prelude::*;

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;

fn sharing(
    (count, period_ms, burst): (u64, u64, u64),
    gateways: u64,
    life_ns: u64,
) -> Result<Sharing, SharingProblem> {
    let rate = Rate::new(count, period_ms).unwrap();
    Sharing::new(TokenBucket::new(rate, burst).unwrap(), gateways, life_ns)
}

/// The bucket in common as Redis counts it, with the same steps.
#[derive(Default)]
struct Common {
    missing: u64,
    at: u64,
}

impl Common {
    fn take(&mut self, bucket: &CommonBucket, ask: Ask, now: Now) -> Grant {
        let ticks = now.ns / US / bucket.tick_us;
        let back = (ticks - self.at).saturating_mul(bucket.per_tick);
        self.missing = self.missing.saturating_sub(back);
        self.at = ticks;
        let there = (bucket.capacity - self.missing) / bucket.per_token;
        if there < ask.need {
            let lacking = ask.need * bucket.per_token - (bucket.capacity - self.missing);
            let wait_us = lacking.div_ceil(bucket.per_tick) * bucket.tick_us;
            return Grant { tokens: 0, left: there, wait_ns: wait_us * US };
        }
        let tokens = ask.wish.min(there);
        self.missing += tokens * bucket.per_token;
        Grant { tokens, left: there - tokens, wait_ns: 0 }
    }
}

/// A gateway with at most one thing asked at a time.
#[derive(Default)]
struct Gateway {
    lease: Lease,
    asked: Option<(Ask, Now, Grant, u64)>,
}

impl Gateway {
    /// Whether a request passes; those that would wait are refused.
    fn passes(
        &mut self,
        common: &mut Common,
        sharing: &Sharing,
        (cost, now, trip): (u64, Now, u64),
    ) -> bool {
        if let Some((ask, asked, grant, until)) = self.asked.filter(|asked| asked.3 <= now.ns) {
            assert!(until <= now.ns);
            self.lease.granted((ask, asked), grant, &sharing.terms);
            self.asked = None;
        }
        let leased = self.lease.take(cost, now);
        let need = match leased {
            Leased::Taken => self.lease.runs_low(now).then_some(1),
            Leased::Ask => Some(cost),
            Leased::Short { wait_ns } => {
                assert!(wait_ns > 0);
                None
            }
        };
        if let Some(need) = need.filter(|_| self.asked.is_none()) {
            let ask = self.lease.ask(need, &sharing.terms, now);
            assert!(ask.wish <= sharing.terms.most.max(need));
            let grant = common.take(&sharing.common, ask, now);
            self.asked = Some((ask, now, grant, now.ns + trip));
        }
        leased == Leased::Taken
    }
}

fn at(ns: u64) -> Now {
    Now { ns, unix_ms: 0 }
}

proptest! {
    #[test]
    fn all_gateways_together_pass_what_is_promised(
        limit in (1_u64..200, prop::sample::select(vec![250_u64, 1000, 60_000]), 1_u64..100),
        life_ms in 10_u64..2000,
        requests in prop::collection::vec((0_usize..3, 1_u64..4, 0_u64..40_000, 0_u64..5), 1..400),
    ) {
        let sharing = sharing(limit, 3, life_ms * MS).unwrap();
        let (count, period_ms, burst) = limit;
        let mut common = Common::default();
        let mut gateways: [Gateway; 3] = Default::default();
        let (mut now, mut passed): (u64, Vec<(u64, u64)>) = (0, Vec::new());
        for (gateway, cost, pause_us, trip_ms) in requests {
            now += pause_us * US;
            let request = (cost, at(now), trip_ms * MS);
            if gateways[gateway].passes(&mut common, &sharing, request) {
                passed.push((now, cost));
            }
        }
        let comes_in = |ns: u64| u128::from(ns) * u128::from(count) / u128::from(period_ms * MS);
        for (first, (from, _)) in passed.iter().enumerate() {
            let mut sum = 0;
            for (until, cost) in &passed[first..] {
                sum += u128::from(*cost);
                // From the beginning nothing was taken ahead before.
                let ahead = if first == 0 { *from } else { life_ms * MS };
                let most = u128::from(burst) + comes_in(until - from + ahead) + 1;
                prop_assert!(sum <= most, "{sum} of {most} from {from} to {until}");
            }
        }
    }
}

#[test]
fn one_gateway_that_is_busy_gets_the_whole_rate_and_asks_rarely() {
    let sharing = sharing((1000, 1000, 1000), 2, 1_000 * MS).unwrap();
    let (mut common, mut gateway) = (Common::default(), Gateway::default());
    let (mut passed, mut asks, mut last) = (0, 0, None);

    for ms in 0..10_000_u64 {
        let request = (1, at(ms * MS), MS / 2);
        passed += u64::from(gateway.passes(&mut common, &sharing, request));
        let asked = gateway.asked.map(|asked| asked.1);
        asks += u64::from(asked.is_some() && asked != last);
        last = asked;
    }

    assert!(passed >= 9_980, "{passed}");
    assert!(asks <= 120, "{asks}");
}

#[test]
fn a_share_is_a_part_of_rate_and_burst() {
    let part = |limit, gateways| {
        let share = sharing(limit, gateways, 1_000 * MS).unwrap().share;
        (share.rate().to_string(), share.burst())
    };
    assert_eq!(part((100, 1000, 200), 4), ("25/s".into(), 50));
    assert_eq!(part((100, 1000, 10), 3), ("100/3s".into(), 4));
    assert_eq!(part((1, 60_000, 1), 5), ("1/5m".into(), 1));
    let month = 31 * 24 * 3600 * 1000;
    assert!(matches!(sharing((1, month, 1), 2, MS), Err(SharingProblem::Rate(_))));
    assert_eq!(sharing((1, month, 1_000_000_000), 1, MS).unwrap().common.tick_us, 1_000_000);
    assert_eq!(sharing((1, month - 1, 10_000_000), 1, MS), Err(SharingProblem::Inexact));
}

#[test]
fn what_is_unused_expires_and_is_not_asked_for_again() {
    let sharing = sharing((100, 1000, 100), 1, 1_000 * MS).unwrap();
    let (mut common, mut gateway) = (Common::default(), Gateway::default());
    let at = |ms: u64| at(ms * MS);
    for ms in 0..20 {
        gateway.passes(&mut common, &sharing, (1, at(ms), 0));
    }
    assert!(!gateway.lease.is_idle(&sharing.terms, at(500)));
    assert!(gateway.lease.is_idle(&sharing.terms, at(3_000)));

    assert_eq!(gateway.lease.take(1, at(3_000)), Leased::Ask);
    assert_eq!(gateway.lease.ask(1, &sharing.terms, at(3_000)), Ask { need: 1, wish: 1 });
}
