//! `take.lua`: tokens of a bucket.

use super::*;

const ID: KeyId = [7; 16];
const KEY: &str = "test:limit:07070707070707070707070707070707";

/// A bucket of fractions: tokens times `period_us`, so that nothing is ever rounded.
#[derive(Clone)]
struct Model {
    tokens: u128,
    last_us: u64,
    count: u128,
    period_us: u128,
    burst: u128,
}

impl Model {
    fn new((count, period_ms, burst): (u64, u64, u64)) -> Self {
        let (count, period_us) = (u128::from(count), u128::from(period_ms * 1000));
        let burst = u128::from(burst);
        Self { tokens: burst * period_us, last_us: 0, count, period_us, burst }
    }

    /// A clock that is set back brings nothing.
    fn at(&self, now_us: u64) -> Self {
        let now_us = now_us.max(self.last_us);
        let gained = u128::from(now_us - self.last_us) * self.count;
        let tokens = (self.tokens + gained).min(self.burst * self.period_us);
        Self { tokens, last_us: now_us, ..*self }
    }

    fn there(&self) -> u64 {
        u64::try_from(self.tokens / self.period_us).unwrap()
    }

    fn put_back(&mut self, tokens: u64) {
        let most = self.burst * self.period_us;
        self.tokens = (self.tokens + u128::from(tokens) * self.period_us).min(most);
    }

    fn full_in_ms(&self) -> u64 {
        let missing = self.burst * self.period_us - self.tokens;
        u64::try_from(missing.div_ceil(self.count * 1000)).unwrap()
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(Ask),
    PutBack(u64),
    /// The clock is set back by so many ticks.
    SetBack(u64),
}

/// Limits as they are configured: of every size, and of which no tick is a round number.
fn limits() -> impl Strategy<Value = (u64, u64, u64)> {
    prop::sample::select(vec![
        (1, 1000, 1),
        (3, 1000, 7),
        (250, 1000, 500),
        (10, 60_000, 20),
        (7, 13, 5),
        (999_983, 1, 7),
        (1_000_000_000, 1000, 1_000_000_000),
        (2, 31 * 86_400_000, 50),
        (1, 31 * 86_400_000, 1_000_000_000),
    ])
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let small = || prop_oneof![0..4_u64, 0..60_u64];
    let step = prop_oneof![
        8 => (small(), small()).prop_map(|(need, more)| {
            Step::Ask(Ask { need, wish: need + more })
        }),
        2 => small().prop_map(Step::PutBack),
        1 => (0..5_000_000_u64).prop_map(Step::SetBack),
    ];
    let pause = prop_oneof![Just(0), 0..50_u64, 0..50_000_u64, 0..90_000_000_u64];
    prop::collection::vec((pause, step), 1..40)
}

#[test]
fn a_bucket_in_redis_decides_as_its_model() {
    check(150, &(limits(), steps()), |bench, (limit, steps)| {
        let (count, period_ms, burst) = limit;
        let bucket = TokenBucket::new(Rate::new(count, period_ms).unwrap(), burst).unwrap();
        let common = Sharing::new(bucket, 1, 1_000_000_000).unwrap().common;
        let (mut model, tick_us) = (Model::new(limit), common.tick_us);
        let mut now_us = BEGIN_US;
        for (pause, step) in steps {
            now_us += pause * tick_us;
            if let Step::SetBack(ticks) = step {
                now_us = now_us.saturating_sub(ticks * tick_us).max(BEGIN_US);
            }
            bench.set_clock(now_us);
            let nothing = Ask { need: 0, wish: 0 };
            let (ask, back) = match step {
                Step::Ask(Ask { need, wish }) => (Ask { need: need.min(burst), wish }, 0),
                Step::PutBack(tokens) => (nothing, tokens),
                Step::SetBack(_) => (nothing, 0),
            };
            let (tokens, left, wait_us, unreadable) =
                bench.ask(|scripts| scripts.take(&ID, (&common, ask, back)));
            let mut after = model.at(now_us);
            after.put_back(back);
            let there = after.there();
            prop_assert_eq!(unreadable, "");
            prop_assert_eq!(tokens, if there < ask.need { 0 } else { ask.wish.min(there) });
            prop_assert_eq!(left, there - tokens);
            if there < ask.need {
                let later = after.at(after.last_us + wait_us);
                prop_assert!(later.there() >= ask.need, "the wait is too short");
                let sooner = after.at(after.last_us + wait_us - tick_us);
                prop_assert!(sooner.there() < ask.need, "the wait is too long");
                continue;
            }
            prop_assert_eq!(wait_us, 0);
            after.tokens -= u128::from(tokens) * after.period_us;
            model = after;
            // Kept until it is full, and for a second more; a minute for a busy machine.
            let kept_ms: u64 = bench.say(&["PTTL", KEY]);
            let full_in_ms = model.full_in_ms().min(1_000_000_000_000_000) + GRACE_MS;
            let expected = full_in_ms - 60_000..=full_in_ms + 1_002;
            prop_assert!(expected.contains(&kept_ms), "{kept_ms} is not in {expected:?}");
        }
        Ok(())
    });
}

#[test]
fn what_is_no_bucket_is_told_of_and_counts_as_none() {
    let values = ["", "many", "12", "1 2 3", "-5 3", "1.5 2", "nan nan", "0x10 1", "1 2\n"];
    check(60, &prop::sample::select(values.to_vec()), |bench, value| {
        let bucket = CommonBucket { tick_us: US, per_tick: 1, per_token: 10, capacity: 50 };
        bench.say::<()>(&["SET", KEY, value]);
        let mut ask =
            |need, wish| bench.ask(|scripts| scripts.take(&ID, (&bucket, Ask { need, wish }, 0)));
        prop_assert_eq!(ask(6, 6), (0, 5, 10 * US, KEY.to_owned()));
        prop_assert_eq!(ask(1, 2), (2, 3, 0, KEY.to_owned()));
        prop_assert_eq!(ask(1, 1), (1, 2, 0, String::new()));
        Ok(())
    });
}

#[test]
fn a_bucket_that_is_emptier_than_empty_is_empty() {
    check(1, &Just(()), |bench, ()| {
        let bucket = CommonBucket { tick_us: US, per_tick: 1, per_token: 10, capacity: 50 };
        bench.say::<()>(&["SET", KEY, &format!("99999999999999999999 {}", BEGIN_US / US)]);
        let ask = Ask { need: 1, wish: 1 };
        let answer = bench.ask(|scripts| scripts.take(&ID, (&bucket, ask, 0)));
        prop_assert_eq!(answer, (0, 0, 10 * US, String::new()));
        Ok(())
    });
}
