//! What counting a request against its limits costs: with few keys and with many, from one thread
//! and from two.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};
use portcullis_limits::{Charge, Keyed, Limiter, Now, Policy, Rate, Spec, TokenBucket};

use crate::Effort;
use crate::meter::{median, mib, thread_cpu};
use crate::process::own_rss_bytes;
use crate::table::Table;

/// Checks of a thread in a round; as many as there are keys, so that each comes once.
const CHECKS: u64 = MANY;
const MANY: u64 = 1_000_000;
/// A stride that has no factor in common with any number of keys here: no order a cache would like.
const STRIDE: u64 = 7_919;

/// Which limits are charged, and by how many keys.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    ladder: &'static [Width],
    keys: u64,
}

/// Who shares a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Own,
    All,
}

const LADDER: &[Width] = &[Width::Own, Width::All, Width::All];
const CASES: [Case; 5] = [
    Case { name: "a limit for all", ladder: &[Width::All], keys: 1 },
    Case { name: "a limit per key, 1 key", ladder: &[Width::Own], keys: 1 },
    Case { name: "a limit per key, 1,000,000 keys", ladder: &[Width::Own], keys: MANY },
    Case { name: "three limits, 1 key", ladder: LADDER, keys: 1 },
    Case { name: "three limits, 1,000,000 keys", ladder: LADDER, keys: MANY },
];

/// Measures each case alone, then from two threads at once.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let mut alone = Table::new(&["a check of", "ns", "keys held"]);
    let head = ["million checks a second", "1 thread", "2, same keys", "2 : 1", "2, distinct keys"];
    let mut together = Table::new(&head);
    // Kept, so that none has the memory of the one before.
    let (mut limiters, mut million) = (Vec::new(), None);
    for case in CASES {
        let before = own_rss_bytes()?;
        let limiter = limiter(case)?;
        let time = || one(&limiter, case, 0);
        let ns = median((0..=effort.rounds).map(|_| time()).collect::<Result<Vec<_>>>()?);
        let held: usize = limiter.readings().iter().map(|reading| reading.keys).sum();
        let grown = own_rss_bytes()?.saturating_sub(before);
        million = million.or((held as u64 == MANY).then_some(grown));
        alone.row(case.name, [format!("{ns:.0}"), held.to_string()]);
        let rate = |threads, apart| -> Result<f64> {
            let rounds = (0..effort.rounds).map(|_| several(&limiter, case, (threads, apart)));
            Ok(median(rounds.collect::<Result<Vec<_>>>()?))
        };
        let (single, double) = (rate(1, 0)?, rate(2, 0)?);
        let apart = rate(2, MANY)?;
        let ratio = format!("{:.2} ×", double / single);
        together.row(
            case.name,
            [format!("{single:.2}"), format!("{double:.2}"), ratio, format!("{apart:.2}")],
        );
        limiters.push(limiter);
    }
    let million = mib(million.unwrap_or_default());
    println!("{alone}\n{together}\nThe first million keys took {million:.0} MiB.\n");
    Ok(())
}

/// Limits of which nothing comes back meanwhile, so that every key is held, and which never refuse.
fn limiter(case: Case) -> Result<Limiter> {
    let bucket = TokenBucket::new(Rate::new(1, 86_400_000)?, 1_000_000_000)?;
    let spec = |(at, width): (usize, &Width)| Spec {
        scope: at.to_string(),
        name: at.to_string(),
        policy: Policy::Bucket(bucket),
        keyed: match width {
            Width::Own => Keyed::PerKey("address".into()),
            Width::All => Keyed::Shared,
        },
    };
    let specs: Vec<Spec> = case.ladder.iter().enumerate().map(spec).collect();
    // Twice the keys: the second thread may have keys of its own.
    Ok(Limiter::new(&specs, 2 * MANY as usize, None))
}

/// Nanoseconds of processor time that a check takes.
fn one(limiter: &Limiter, case: Case, first: u64) -> Result<f64> {
    let before = thread_cpu();
    let refused = check(limiter, case, first);
    let spent = thread_cpu() - before;
    ensure!(refused == 0, "{}: {refused} were refused", case.name);
    Ok(spent.as_secs_f64() * 1e9 / CHECKS as f64)
}

/// Millions of checks a second, of all threads together; each thread's keys begin this far after
/// those of the one before.
fn several(limiter: &Limiter, case: Case, (threads, apart): (u64, u64)) -> Result<f64> {
    let barrier = Barrier::new(threads as usize);
    let began = Instant::now();
    let refused: u64 = thread::scope(|scope| {
        let work = |thread: u64| {
            let barrier = &barrier;
            move || {
                barrier.wait();
                check(limiter, case, thread * apart)
            }
        };
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(CHECKS)).sum()
    });
    let seconds = began.elapsed().as_secs_f64();
    ensure!(refused == 0, "{}: {refused} were refused", case.name);
    Ok((threads * CHECKS) as f64 / seconds / 1e6)
}

/// Charges every key, with the clock read for each as the gateway does; how many were refused.
fn check(limiter: &Limiter, case: Case, first: u64) -> u64 {
    let began = Instant::now();
    let mut refused = 0;
    for turn in 0..CHECKS {
        let key = (first + turn.wrapping_mul(STRIDE) % case.keys).to_le_bytes();
        let charge = |limit| Charge { limit, key: &key, cost: 1 };
        let charges = [charge(0), charge(1), charge(2)];
        let charges = charges.get(..case.ladder.len()).unwrap_or_default();
        let ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let now = Now { ns, unix_ms: ns / 1_000_000 };
        refused += u64::from(black_box(limiter.take(black_box(charges), now)).is_err());
    }
    refused
}
