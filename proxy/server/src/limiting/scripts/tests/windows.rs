//! `window.lua`: windows, as a gateway alone counts them.

use portcullis_limits::{
    Charge, FixedWindow, Keyed, Limiter, Now, Policy, PolicySharing, SlidingWindow, Spec,
};

use super::*;

const ID: KeyId = [7; 16];
const KEY: &str = "test:window:07070707070707070707070707070707";
const NOTHING: Ask = Ask { need: 0, wish: 0 };

/// Tokens, tokens left, the period, milliseconds until it ends, milliseconds to wait; and the
/// key that could not be read.
type WindowAnswer = ((u64, u64, u64, u64, u64), String);

fn policies() -> impl Strategy<Value = Policy> {
    let limits = || prop::sample::select(vec![1_u64, 7, 40, 100_000, FixedWindow::MOST]);
    let lengths = || prop::sample::select(vec![1_000_u64, 7_000, 86_400_000, 31 * 86_400_000]);
    let cycles = prop_oneof![
        lengths().prop_map(Cycle::Length),
        prop::sample::select(Period::ALL.to_vec()).prop_map(Cycle::Calendar),
    ];
    prop_oneof![
        (limits(), cycles).prop_map(|(limit, cycle)| fixed(limit, cycle)),
        (limits(), lengths()).prop_map(|(limit, length)| sliding(limit, length)),
    ]
}

fn fixed(limit: u64, cycle: Cycle) -> Policy {
    Policy::Fixed(FixedWindow::new(limit, cycle).unwrap())
}

fn sliding(limit: u64, length_ms: u64) -> Policy {
    Policy::Sliding(SlidingWindow::new(limit, length_ms).unwrap())
}

fn common(policy: Policy) -> CommonWindow {
    match PolicySharing::new(policy, 1, 1).unwrap() {
        // So that all that is wished for is granted.
        PolicySharing::Window(sharing) => CommonWindow { parts: 1, ..sharing.common },
        PolicySharing::Bucket(_) => panic!("{policy:?}"),
    }
}

/// A pause by parts of a period, how much is taken by parts of the limit, or the clock set back.
#[derive(Debug, Clone, Copy)]
enum Step {
    Take { pause: u64, cost: u64 },
    SetBack(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![4 => Just(0), 8 => 0..400_u64, 1 => 0..2_500_u64];
    let take = (pause, 0..700_u64).prop_map(|(pause, cost)| Step::Take { pause, cost });
    let back = (0..300_u64).prop_map(Step::SetBack);
    prop::collection::vec(prop_oneof![9 => take, 1 => back], 1..60)
}

#[test]
fn a_window_in_redis_counts_as_one_of_a_gateway_alone() {
    // By how much the asker's clock is behind, and then ahead: less than a day.
    let skews = 0..2 * DAY_MS - 1;
    check(250, &(policies(), skews, steps()), |bench, (policy, skew_ms, steps)| {
        let window = common(policy);
        let spec = Spec { scope: "a".into(), name: "a".into(), policy, keyed: Keyed::Shared };
        let alone = Limiter::new(&[spec], 1, None);
        let (mut unix_ms, mut latest_ms) = (BEGIN_US / 1000, 0);
        for step in steps {
            let part = |thousandths: u64| window.cycle.longest_ms() / 1000 * thousandths;
            let cost = match step {
                Step::SetBack(thousandths) => {
                    unix_ms -= part(thousandths);
                    1
                }
                Step::Take { pause, cost } => {
                    unix_ms += part(pause);
                    (window.limit * cost).div_ceil(1000).max(1)
                }
            };
            bench.set_clock(unix_ms * 1000 + 999);
            let (ask, asker_ms) = (Ask { need: cost, wish: cost }, unix_ms + skew_ms + 1 - DAY_MS);
            let (counts, unreadable): WindowAnswer = bench
                .ask_for(|scripts| scripts.window(&ID, (&window, ask, Told::default()), asker_ms));
            let charge = [Charge { limit: 0, key: b"", cost }];
            let now = Now { ns: 0, unix_ms };
            let (granted, left, _, _, wait_ms) = counts;
            match alone.take(&charge, now) {
                Ok(taken) => {
                    prop_assert_eq!((granted, left), (cost, taken.standings[0].remaining));
                }
                Err(exceeded) => {
                    prop_assert_eq!((granted, left), (0, exceeded.standings[0].remaining));
                    if unix_ms >= latest_ms {
                        prop_assert_eq!(exceeded.short[0].wait_ns, Some(wait_ms * MS_NS));
                    }
                }
            }
            prop_assert_eq!(unreadable, "");
            latest_ms = latest_ms.max(unix_ms);
        }
        Ok(())
    });
}

#[test]
fn what_is_put_back_or_owed_counts_in_its_period_only() {
    check(1, &Just(()), |bench, ()| {
        let unix_ms = BEGIN_US / 1000;
        for (policy, late) in [(fixed(10, Cycle::Length(1000)), 6), (sliding(10, 1000), 4)] {
            bench.say::<()>(&["FLUSHALL"]);
            let window = common(policy);
            let mut ask = |unix_ms: u64, ask: Ask, told: Told| {
                bench.set_clock(unix_ms * 1000);
                let answer: WindowAnswer =
                    bench.ask_for(|scripts| scripts.window(&ID, (&window, ask, told), unix_ms));
                answer.0
            };
            let all = Ask { need: 1, wish: 10 };
            let (_, _, epoch, ends_ms, _) = ask(unix_ms, all, Told::default());
            prop_assert_eq!((epoch, ends_ms), (unix_ms, 1000));
            let told = Told { back: 4, epoch, owed: 0 };
            prop_assert_eq!(ask(unix_ms + 10, NOTHING, told).1, 4);
            let told = Told { back: 0, epoch, owed: 3 };
            prop_assert_eq!(ask(unix_ms + 20, NOTHING, told).1, 1);

            // Half of the next period is over, and four are owed in it.
            let told = Told { back: 5, epoch, owed: 4 };
            prop_assert_eq!(ask(unix_ms + 1500, NOTHING, told).1, late);
            let told = Told { back: 3, epoch: epoch + 1000, owed: 0 };
            prop_assert_eq!(ask(unix_ms + 1500, NOTHING, told).1, late + 3);
            // Of a period that is long over nothing comes back.
            let told = Told { back: 9, epoch, owed: 0 };
            prop_assert_eq!(ask(unix_ms + 3000, all, told).0, 10);
        }
        Ok(())
    });
}

#[test]
fn less_is_granted_at_a_time_as_it_runs_out() {
    check(1, &Just(()), |bench, ()| {
        let window = CommonWindow { parts: 4, ..common(fixed(100, Cycle::Length(1000))) };
        let mut grant = |need| {
            let ask = Ask { need, wish: 50 };
            let answer: WindowAnswer = bench.ask_for(|scripts| {
                scripts.window(&ID, (&window, ask, Told::default()), BEGIN_US / 1000)
            });
            answer.0.0
        };
        prop_assert_eq!([1, 1, 40, 1, 20].map(&mut grant), [25, 18, 40, 4, 0]);
        Ok(())
    });
}

#[test]
fn what_is_no_window_is_told_of_and_begins_anew() {
    let values = ["", "window", "1 2", "-5 3 1", "1.5 2 3", "nan nan nan", "1 2 3\n"];
    check(30, &prop::sample::select(values.to_vec()), |bench, value| {
        let window = common(sliding(10, 1000));
        bench.say::<()>(&["SET", KEY, value]);
        let mut ask = || -> WindowAnswer {
            let question = (&window, Ask { need: 1, wish: 1 }, Told::default());
            bench.ask_for(|scripts| scripts.window(&ID, question, BEGIN_US / 1000))
        };
        let (counts, unreadable) = ask();
        prop_assert_eq!((counts.0, counts.1, unreadable), (1, 9, KEY.to_owned()));
        let (counts, unreadable) = ask();
        prop_assert_eq!((counts.0, counts.1, unreadable), (1, 8, String::new()));
        Ok(())
    });
}
