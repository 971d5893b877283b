//! What is taken ahead of each key of shared limits, within bounds.

use std::collections::HashMap;

use parking_lot::Mutex;
use portcullis_limits::{Ask, CommonBucket, Grant, Lease, LeaseTerms, Leased, Now, QuotaSharing};
use tokio::sync::watch;

use super::scripts::{CommonQuota, Told};

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
    counting: Counting,
    /// The epoch in which the lease was taken, of a quota; 0 where it is not known.
    epoch: u64,
    /// Requests of a quota that passed while nobody could be asked.
    owed: u64,
}

/// How something is counted in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// As a bucket.
    Bucket(CommonBucket),
    /// As a quota.
    Quota(CommonQuota),
}

/// What is to be told of a key: what is given back, and what is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Return {
    pub(super) id: KeyId,
    pub(super) counting: Counting,
    pub(super) told: Told,
}

/// Which tokens are given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unused {
    /// Those that expired.
    Expired,
    /// All, since no more will be used.
    All,
}

/// What somebody wants of a key.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) id: KeyId,
    pub(super) counting: Counting,
    pub(super) terms: LeaseTerms,
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
        if !self.has_room(&mut shard, &want.id, now) {
            return (Found::NoRoom, None);
        }
        shard.entry(want.id).or_insert_with(|| Entry::new(want)).take(want, now)
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

    /// Puts back what was taken a moment ago, where there is a lease.
    pub(super) fn give_back(&self, want: &Want) -> bool {
        let Some(shard) = self.shard(&want.id) else { return false };
        let mut shard = shard.lock();
        let entry = shard.get_mut(&want.id);
        entry.map(|entry| entry.lease.give_back(want.cost)).is_some()
    }

    /// Takes in an answer, and in which epoch it was given.
    pub(super) fn granted(&self, id: &KeyId, flight: &Flight, (grant, epoch): (Grant, u64)) {
        let Some(shard) = self.shard(id) else { return };
        if let Some(entry) = shard.lock().get_mut(id) {
            entry.enter(epoch);
            entry.lease.granted((flight.ask, flight.asked), grant, &entry.terms);
        }
    }

    /// Whether too little is left in common, as far as is known.
    pub(super) fn is_spent(&self, id: &KeyId, now: Now) -> bool {
        let shard = self.shard(id).map(|shard| shard.lock());
        let entry = shard.as_ref().and_then(|shard| shard.get(id));
        entry.is_some_and(|entry| entry.lease.is_spent(now))
    }

    /// Lets a request pass that nobody can be asked about, as a debt: any, or one within this
    /// gateway's part of what was left.
    pub(super) fn owe(
        &self,
        want: &Want,
        (quota, part): (&CommonQuota, Option<QuotaSharing>),
        now: Now,
    ) -> bool {
        let Some(shard) = self.shard(&want.id) else { return false };
        let mut shard = shard.lock();
        let has_room = self.has_room(&mut shard, &want.id, now);
        let entry = has_room.then(|| shard.entry(want.id).or_insert_with(|| Entry::new(want)));
        let heard = entry.as_ref().and_then(|entry| Some((entry.lease.heard()?, entry.owed)));
        let passes = match (part, heard) {
            (None, _) => true,
            (Some(part), Some((left, owed))) => owed < part.part(left),
            (Some(part), None) => {
                i64::try_from(part.part(quota.limit)).is_ok_and(|most| quota.own < most)
            }
        };
        if let (true, Some(entry)) = (passes, entry) {
            entry.owed = entry.owed.saturating_add(1);
        }
        passes
    }

    /// Takes out what is to be told, and forgets keys that nothing is known of.
    pub(super) fn returns(&self, unused: Unused, now: Now) -> Vec<Return> {
        let mut returns = Vec::new();
        for shard in &self.shards {
            shard.lock().retain(|id, entry| {
                let told = entry.told(unused, now);
                let is_told = told.back > 0 || told.owed > 0;
                if is_told {
                    returns.push(Return { id: *id, counting: entry.counting, told });
                }
                is_told || !entry.is_idle(now)
            });
        }
        returns
    }

    /// Takes in what is left in common after something was told, or that it could not be.
    pub(super) fn returned(&self, id: &KeyId, told: &Told, answer: Option<(u64, u64)>) {
        let Some(shard) = self.shard(id) else { return };
        let mut shard = shard.lock();
        let Some(entry) = shard.get_mut(id) else { return };
        match answer {
            Some((left, epoch)) => {
                entry.enter(epoch);
                entry.lease.hear(left);
            }
            // What is given back may have come, so it is not given back twice.
            None => entry.owed = entry.owed.saturating_add(told.owed),
        }
    }

    fn has_room(&self, shard: &mut HashMap<KeyId, Entry>, id: &KeyId, now: Now) -> bool {
        if shard.len() >= self.room && !shard.contains_key(id) {
            shard.retain(|_, entry| !entry.is_idle(now));
        }
        shard.len() < self.room || shard.contains_key(id)
    }

    fn shard(&self, id: &KeyId) -> Option<&Mutex<HashMap<KeyId, Entry>>> {
        self.shards.get(usize::from(id[0]) % SHARDS)
    }
}

impl Entry {
    fn new(want: &Want) -> Self {
        let Want { counting, terms, .. } = *want;
        Self { lease: Lease::default(), terms, flight: None, counting, epoch: 0, owed: 0 }
    }

    fn take(&mut self, want: &Want, now: Now) -> (Found, Option<Flight>) {
        let cost = want.cost;
        self.counting = want.counting;
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
        let is_settled = match self.counting {
            Counting::Bucket(_) => true,
            Counting::Quota(_) => self.owed == 0 && !self.lease.has_any(),
        };
        is_settled && self.in_flight().is_none() && self.lease.is_idle(&self.terms, now)
    }

    /// In another epoch nothing counts that was taken before.
    fn enter(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.lease.drop_all();
            self.epoch = epoch;
        }
    }

    fn told(&mut self, unused: Unused, now: Now) -> Told {
        let expired = self.lease.take_expired(now);
        let held = match unused {
            Unused::Expired => 0,
            Unused::All => self.lease.take_held(now),
        };
        let back = match self.counting {
            // What expired has come back by the rate.
            Counting::Bucket(_) => held,
            Counting::Quota(_) => expired + held,
        };
        Told { back, epoch: self.epoch, owed: std::mem::take(&mut self.owed) }
    }
}
