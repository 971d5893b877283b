//! What is held of each key of a limit, within bounds.
//!
//! A key belongs to one group of at most [`SLOTS`] slots, by a hash that nobody outside
//! can foresee. A slot whose word is as good as new is taken by the next key that needs
//! one: forgetting it loses nothing. A word that is charged is never forgotten, whoever
//! comes; keys that find no slot share one word among them until there is room again.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::Now;
use crate::policy::{Policy, Word};

/// Slots of a group.
const SLOTS: usize = 32;
/// Keys for which a group is made: half of what it holds, for hashes are uneven.
const KEYS_PER_GROUP: usize = SLOTS / 2;

/// The words of the keys of one limit.
#[derive(Debug)]
pub(crate) struct Table {
    groups: Box<[Mutex<Group>]>,
    /// The word of those that found no slot.
    shared: Mutex<Word>,
    hashes: (RandomState, RandomState),
    held: AtomicUsize,
    crowded: AtomicU64,
}

#[derive(Debug, Default)]
struct Group {
    /// The latest moment anybody came: what was forgotten then was full then, and would
    /// not have been for somebody whose clock was read before.
    latest: Option<Now>,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    mark: u64,
    word: Word,
}

/// Where the word of a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seat {
    /// The limit's only one.
    Only,
    /// In a slot of this group, under this mark.
    Slot {
        /// The group.
        group: usize,
        /// The mark.
        mark: u64,
    },
    /// With those that found no slot.
    Shared,
}

impl Table {
    /// A table for at least about this many keys, and never for more than twice as
    /// many.
    pub(crate) fn new(keys: usize) -> Self {
        let groups = keys.div_ceil(KEYS_PER_GROUP).max(1);
        Self {
            groups: (0..groups).map(|_| Mutex::default()).collect(),
            shared: Mutex::default(),
            hashes: (RandomState::new(), RandomState::new()),
            held: AtomicUsize::new(0),
            crowded: AtomicU64::new(0),
        }
    }

    /// How many words are held, some of them perhaps as good as new.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How often a key found no slot.
    pub(crate) fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Lets `step` change the word of a key.
    pub(crate) fn with<R>(
        &self,
        key: &[u8],
        (policy, now): (&Policy, Now),
        step: impl FnOnce(&mut Word, Now) -> R,
    ) -> (Seat, R) {
        let mark = self.hashes.1.hash_one(key);
        let index = self.group_of(key);
        let Some(group) = self.groups.get(index) else {
            return (Seat::Shared, step(&mut Word::default(), now));
        };
        let mut group = group.lock();
        let now = group.latest.map_or(now, |latest| latest.or_later(now));
        group.latest = Some(now);
        let slots = &mut group.slots;
        let seat = Seat::Slot { group: index, mark };
        if let Some(slot) = slots.iter_mut().find(|slot| slot.mark == mark) {
            return (seat, step(&mut slot.word, now));
        }
        if slots.len() == SLOTS {
            let before = slots.len();
            slots.retain(|slot| !policy.is_idle(slot.word, now));
            self.held.fetch_sub(before - slots.len(), Ordering::Relaxed);
        }
        if slots.len() == SLOTS {
            drop(group);
            self.crowded.fetch_add(1, Ordering::Relaxed);
            return (Seat::Shared, step(&mut self.shared.lock(), now));
        }
        let mut word = Word::default();
        let result = step(&mut word, now);
        if !policy.is_idle(word, now) {
            slots.push(Slot { mark, word });
            self.held.fetch_add(1, Ordering::Relaxed);
        }
        (seat, result)
    }

    /// Lets `step` change the word in a seat; one that was forgotten is as good as new, and
    /// stays so.
    pub(crate) fn with_seat(&self, seat: Seat, step: impl FnOnce(&mut Word)) {
        match seat {
            Seat::Only => {}
            Seat::Shared => step(&mut self.shared.lock()),
            Seat::Slot { group, mark } => {
                let Some(group) = self.groups.get(group) else { return };
                let slots = &mut group.lock().slots;
                if let Some(slot) = slots.iter_mut().find(|slot| slot.mark == mark) {
                    step(&mut slot.word);
                }
            }
        }
    }

    fn group_of(&self, key: &[u8]) -> usize {
        let hash = u128::from(self.hashes.0.hash_one(key));
        let scaled = (hash * self.groups.len() as u128) >> 64;
        usize::try_from(scaled).unwrap_or_default()
    }
}
