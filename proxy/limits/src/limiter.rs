//! All limits of a configuration, and charging several of them together.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::Now;
use crate::policy::{Keyed, Spec, Standing, Word};
use crate::receipt::{Permit, Receipt};
use crate::table::{Seat, Table};

/// The limits of a configuration and what has been taken of them.
#[derive(Debug, Default)]
pub struct Limiter {
    limits: Vec<Arc<Held>>,
}

/// One limit and what has been taken of it.
pub(crate) struct Held {
    spec: Spec,
    /// Keys that the table is made for.
    keys: usize,
    words: Words,
}

enum Words {
    One(AtomicU64),
    /// One that no atomic has room for.
    Wide(Mutex<Word>),
    /// Made when the first key comes: few routes of many may have callers.
    Each(OnceLock<Box<Table>>),
}

/// What somebody wants of a limit.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    /// The limit, by its place among the specs.
    pub limit: usize,
    /// Whose share; ignored where everybody shares the limit.
    pub key: &'a [u8],
    /// How much.
    pub cost: u64,
}

/// All that was wanted was there.
#[derive(Debug, Default)]
pub struct Taken {
    /// How each limit stands now, in the order of the charges.
    pub standings: Vec<Standing>,
    /// What stays taken until it is dropped: places in flight.
    pub permits: Vec<Permit>,
    /// What else was taken, and stays taken unless it is given back.
    pub receipts: Vec<Receipt>,
    /// The indices of charges that were taken in common and come back by themselves; none by a
    /// [`Limiter`].
    pub leased: Vec<usize>,
}

/// Some limit had not enough; nothing was taken of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// How each limit stands, in the order of the charges.
    pub standings: Vec<Standing>,
    /// Those that had not enough, in the same order; at least one.
    pub short: Vec<Short>,
}

/// A limit that had not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// The index of the charge.
    pub charge: usize,
    /// Until it would have, in nanoseconds; `None` where time alone does not help.
    pub wait_ns: Option<u64>,
}

/// What is held of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReading {
    /// Where the limit stands.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// Keys of which something is held.
    pub keys: usize,
    /// How often a key found no room of its own.
    pub crowded: u64,
}

impl Limiter {
    /// The limits of a configuration, each with room for this many keys. What was taken of
    /// equal limits of the one before stays taken.
    pub fn new(specs: &[Spec], keys: usize, previous: Option<&Self>) -> Self {
        let limits = specs.iter().map(|spec| {
            let known = previous.and_then(|previous| previous.find(spec, keys));
            known.unwrap_or_else(|| Arc::new(Held::new(spec.clone(), keys)))
        });
        Self { limits: limits.collect() }
    }

    /// Checks every charge, then takes all or nothing.
    ///
    /// # Errors
    ///
    /// Where a limit has not enough.
    pub fn take(&self, charges: &[Charge<'_>], now: Now) -> Result<Taken, Exceeded> {
        if charges.len() > 1 {
            self.check(charges, now)?;
        }
        let (mut receipts, mut permits) = (Vec::with_capacity(charges.len()), Vec::new());
        let mut standings = Vec::with_capacity(charges.len());
        for (index, charge) in charges.iter().enumerate() {
            let Some(held) = self.limits.get(charge.limit) else { continue };
            match held.take((index, charge), now) {
                Ok((receipt, standing)) => {
                    if held.spec.policy.is_in_flight() {
                        permits.push(Permit::new(Arc::clone(held), receipt));
                    } else {
                        receipts.push(receipt);
                    }
                    standings.push(standing);
                }
                Err(short) => {
                    // Somebody was quicker since the check. Permits are given back as they drop.
                    self.give_back(receipts.iter().rev(), now);
                    let short = vec![Short { charge: index, wait_ns: short }];
                    return Err(Exceeded { standings: self.standings(charges, now), short });
                }
            }
        }
        Ok(Taken { standings, permits, receipts, leased: Vec::new() })
    }

    /// Puts back what was taken here, as far as it has not come back by itself.
    ///
    /// Of a window, what is given back was never taken. Of a bucket this is so where it happens
    /// at once; later, tokens have come back for whoever took first. A bucket keeps one number,
    /// which does not tell what others gave back meanwhile, so that what is given back late may
    /// be had twice: in any time, a bucket passes at most its burst, its rate, and what it was
    /// given back of charges from before.
    pub fn give_back<'r>(&self, receipts: impl IntoIterator<Item = &'r Receipt>, now: Now) {
        for receipt in receipts {
            if let Some(held) = self.limits.get(receipt.limit()) {
                held.give_back(*receipt, now);
            }
        }
    }

    /// Checks every charge and takes nothing.
    ///
    /// # Errors
    ///
    /// Where a limit has not enough.
    pub fn check(&self, charges: &[Charge<'_>], now: Now) -> Result<(), Exceeded> {
        let mut short = Vec::new();
        for (index, charge) in charges.iter().enumerate() {
            let Some(held) = self.limits.get(charge.limit) else { continue };
            let policy = &held.spec.policy;
            if let Err(empty) = policy.take(held.word(charge.key, now), charge.cost, now) {
                short.push(Short { charge: index, wait_ns: empty.wait_ns });
            }
        }
        if short.is_empty() {
            return Ok(());
        }
        Err(Exceeded { standings: self.standings(charges, now), short })
    }

    /// What is held of each limit that has keys.
    pub fn readings(&self) -> Vec<LimitReading> {
        let keyed = self.limits.iter().filter_map(|held| match &held.words {
            Words::One(_) | Words::Wide(_) => None,
            Words::Each(table) => Some(LimitReading {
                scope: held.spec.scope.clone(),
                name: held.spec.name.clone(),
                keys: table.get().map_or(0, |table| table.held()),
                crowded: table.get().map_or(0, |table| table.crowded()),
            }),
        });
        keyed.collect()
    }

    /// How the limits stand, in the order of the charges.
    pub fn standings(&self, charges: &[Charge<'_>], now: Now) -> Vec<Standing> {
        let known =
            charges.iter().filter_map(|charge| Some((self.limits.get(charge.limit)?, charge)));
        let standing = |(held, charge): (&Arc<Held>, &Charge<'_>)| {
            held.spec.policy.standing(held.word(charge.key, now), now)
        };
        known.map(standing).collect()
    }

    fn find(&self, spec: &Spec, keys: usize) -> Option<Arc<Held>> {
        self.limits.iter().find(|held| held.spec == *spec && held.keys == keys).cloned()
    }
}

impl Held {
    fn new(spec: Spec, keys: usize) -> Self {
        let words = match spec.keyed {
            Keyed::Shared if spec.policy.fits_an_atomic() => Words::One(AtomicU64::new(0)),
            Keyed::Shared => Words::Wide(Mutex::default()),
            Keyed::PerKey(_) => Words::Each(OnceLock::new()),
        };
        Self { spec, keys, words }
    }

    /// The word of a key as it is.
    fn word(&self, key: &[u8], now: Now) -> Word {
        match &self.words {
            Words::One(word) => Word::of(word.load(Ordering::Relaxed)),
            Words::Wide(word) => *word.lock(),
            Words::Each(table) => {
                let policy = &self.spec.policy;
                let word = |table: &Table| table.with(key, (policy, now), |word, _| *word).1;
                table.get().map_or(Word::default(), |table| word(table))
            }
        }
    }

    /// Takes; an error is how long to wait.
    fn take(
        &self,
        (index, charge): (usize, &Charge<'_>),
        now: Now,
    ) -> Result<(Receipt, Standing), Option<u64>> {
        let policy = &self.spec.policy;
        let cost = charge.cost;
        let (seat, taken) = match &self.words {
            Words::One(word) => {
                let step = |word| Some(policy.take(Word::of(word), cost, now).ok()?.main);
                let before = word.try_update(Ordering::Relaxed, Ordering::Relaxed, step);
                // What it was decides: taking is a function of it.
                let before = before.unwrap_or_else(|refused| refused);
                (Seat::Only, policy.take(Word::of(before), cost, now))
            }
            Words::Wide(word) => {
                let mut word = word.lock();
                let taken = policy.take(*word, cost, now);
                if let Ok(after) = &taken {
                    *word = *after;
                }
                (Seat::Only, taken)
            }
            Words::Each(table) => {
                let table = table.get_or_init(|| Box::new(Table::new(self.keys)));
                table.with(charge.key, (policy, now), |word, now| {
                    let after = policy.take(*word, cost, now)?;
                    *word = after;
                    Ok(after)
                })
            }
        };
        let after = taken.map_err(|empty| empty.wait_ns)?;
        let receipt = Receipt::here((index, charge), (seat, after));
        Ok((receipt, policy.standing(after, now)))
    }

    pub(crate) fn give_back(&self, receipt: Receipt, now: Now) {
        let Some((seat, after)) = receipt.taken_here() else { return };
        let policy = &self.spec.policy;
        let step = |word: Word| policy.give_back(word, (after, receipt.cost()), now);
        match &self.words {
            Words::One(word) => {
                // Always `Some`, so it always succeeds.
                let _before = word.try_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                    Some(step(Word::of(word)).main)
                });
            }
            Words::Wide(word) => {
                let mut word = word.lock();
                *word = step(*word);
            }
            Words::Each(table) => {
                if let Some(table) = table.get() {
                    table.with_seat(seat, |word| *word = step(*word));
                }
            }
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("spec", &self.spec).finish_non_exhaustive()
    }
}
