//! What is taken ahead of each key of shared limits, within bounds.

use std::collections::HashMap;

use parking_lot::Mutex;
use portcullis_limits::{Ask, Grant, Lease, LeaseTerms, Leased, Now, Sharing};
use tokio::sync::watch;

/// Parts of the table, with a lock each.
const SHARDS: usize = 64;

/// What a key of a limit is known by, here and in Redis: a hash of both.
pub(super) type KeyId = [u8; 16];

/// The leases of all shared limits.
pub(super) struct Leases {
    shards: [Mutex<HashMap<KeyId, Entry>>; SHARDS],
    /// Keys that a shard has room for.
    room: usize,
}

struct Entry {
    lease: Lease,
    terms: LeaseTerms,
    /// Ends when the answer to what was asked last has come, or never will.
    flight: Option<watch::Receiver<()>>,
}

/// What somebody wants of a key.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) id: KeyId,
    pub(super) sharing: Sharing,
    pub(super) cost: u64,
}

/// What there is for it.
pub(super) enum Found {
    /// What it costs, which is taken; so many more are left.
    Taken(u64),
    /// Too little, here and in common; it comes in so many nanoseconds.
    Short(u64),
    /// An answer is on its way: look again when this changes or ends.
    Wait(watch::Receiver<()>),
    /// No place to keep a lease.
    NoRoom,
}

/// Something to ask the bucket in common; whoever waits for it wakes when this is dropped.
pub(super) struct Flight {
    pub(super) ask: Ask,
    pub(super) asked: Now,
    #[expect(dead_code, reason = "it is there to be dropped")]
    landed: watch::Sender<()>,
}

impl Leases {
    /// Leases for at most about so many keys.
    pub(super) fn new(keys: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, room: keys.div_ceil(SHARDS).max(1) }
    }

    /// How many keys something is known of.
    pub(super) fn held(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Takes of a lease, and says what is to be asked now: one thing for a key at a time.
    pub(super) fn take(&self, want: &Want, now: Now) -> (Found, Option<Flight>) {
        let Some(shard) = self.shard(&want.id) else { return (Found::NoRoom, None) };
        let mut shard = shard.lock();
        if shard.len() >= self.room && !shard.contains_key(&want.id) {
            shard.retain(|_, entry| !entry.is_idle(now));
            if shard.len() >= self.room {
                return (Found::NoRoom, None);
            }
        }
        shard.entry(want.id).or_insert_with(|| Entry::new(want.sharing.terms)).take(want.cost, now)
    }

    /// Takes of a lease, where there is nobody to ask for another: what is left afterwards.
    pub(super) fn spend(&self, want: &Want, now: Now) -> Option<u64> {
        let mut shard = self.shard(&want.id)?.lock();
        let lease = &mut shard.get_mut(&want.id)?.lease;
        (lease.take(want.cost, now) == Leased::Taken).then(|| lease.remaining())
    }

    /// How much is left of a key, if something is known of it.
    pub(super) fn remaining(&self, id: &KeyId) -> Option<u64> {
        Some(self.shard(id)?.lock().get(id)?.lease.remaining())
    }

    /// Puts back what was taken a moment ago.
    pub(super) fn give_back(&self, want: &Want) {
        let Some(shard) = self.shard(&want.id) else { return };
        if let Some(entry) = shard.lock().get_mut(&want.id) {
            entry.lease.give_back(want.cost);
        }
    }

    /// Takes in an answer.
    pub(super) fn granted(&self, id: &KeyId, flight: &Flight, grant: Grant) {
        let Some(shard) = self.shard(id) else { return };
        if let Some(entry) = shard.lock().get_mut(id) {
            entry.lease.granted((flight.ask, flight.asked), grant, &entry.terms);
        }
    }

    fn shard(&self, id: &KeyId) -> Option<&Mutex<HashMap<KeyId, Entry>>> {
        self.shards.get(usize::from(id[0]) % SHARDS)
    }
}

impl Entry {
    fn new(terms: LeaseTerms) -> Self {
        Self { lease: Lease::default(), terms, flight: None }
    }

    fn take(&mut self, cost: u64, now: Now) -> (Found, Option<Flight>) {
        match self.lease.take(cost, now) {
            Leased::Taken => {
                let ahead = self.lease.runs_low(now) && self.in_flight().is_none();
                let flight = ahead.then(|| self.take_off(1, now));
                (Found::Taken(self.lease.remaining()), flight.map(|(flight, _)| flight))
            }
            Leased::Short { wait_ns } => (Found::Short(wait_ns), None),
            Leased::Ask => {
                if let Some(landing) = self.in_flight() {
                    self.lease.want(cost);
                    return (Found::Wait(landing), None);
                }
                let (flight, landing) = self.take_off(cost, now);
                (Found::Wait(landing), Some(flight))
            }
        }
    }

    fn take_off(&mut self, need: u64, now: Now) -> (Flight, watch::Receiver<()>) {
        let ask = self.lease.ask(need, &self.terms, now);
        let (landed, landing) = watch::channel(());
        self.flight = Some(landing.clone());
        (Flight { ask, asked: now, landed }, landing)
    }

    fn in_flight(&mut self) -> Option<watch::Receiver<()>> {
        // An error: the sender is gone, and the flight over.
        self.flight.take_if(|landing| landing.has_changed().is_err());
        self.flight.clone()
    }

    fn is_idle(&mut self, now: Now) -> bool {
        self.in_flight().is_none() && self.lease.is_idle(&self.terms, now)
    }
}
