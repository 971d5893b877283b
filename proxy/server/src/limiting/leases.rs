//! What is taken ahead of each key of shared limits, within bounds.

use std::collections::HashMap;

use parking_lot::Mutex;
use portcullis_limits::{
    Ask, CommonBucket, CommonWindow, InCommon, Lease, LeaseTerms, Leased, Now, QuotaSharing,
};
use tokio::sync::watch;

use super::scripts::{Answered, CommonQuota, Told};

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
    /// The epoch of a quota, or period of a window, in which the lease was taken; 0 where it is
    /// not known.
    epoch: u64,
    /// What passed of a quota or window while nobody could be asked.
    owed: u64,
    /// When the period of a window ends, and all that is known of it.
    ends_ns: u64,
}

/// How something is counted in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// As a bucket.
    Bucket(CommonBucket),
    /// As a quota.
    Quota(CommonQuota),
    /// As a window.
    Window(CommonWindow),
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

/// What is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Got {
    /// So many more are left.
    pub(super) left: u64,
    /// The epoch of a quota, or period of a window, in which it was taken.
    pub(super) epoch: u64,
}

/// What became of something that nobody can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    /// It passes, and is noted as a debt of this period.
    Noted(u64),
    /// It passes; there is no place to note it.
    Unnoted,
    /// It is more than this gateway's part of what was left; more comes in so many nanoseconds.
    Short(u64),
}

/// What there is for it.
pub(super) enum Found {
    /// What it costs, which is taken.
    Taken(Got),
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
    /// What is told of a window with it.
    pub(super) told: Told,
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

    /// Takes of a lease, where there is nobody to ask for another.
    pub(super) fn spend(&self, want: &Want, now: Now) -> Option<Got> {
        let mut shard = self.shard(&want.id)?.lock();
        let entry = shard.get_mut(&want.id)?;
        (entry.lease.take(want.cost, now) == Leased::Taken).then(|| entry.got())
    }

    /// How much is left of a key, if something is known of it.
    pub(super) fn remaining(&self, id: &KeyId, now: Now) -> Option<u64> {
        let shard = self.shard(id)?.lock();
        let entry = shard.get(id)?;
        let is_over = matches!(entry.counting, Counting::Window(_)) && entry.ends_ns <= now.ns;
        (!is_over).then(|| entry.lease.remaining())
    }

    /// Puts back what was taken a moment ago, where there is a lease.
    pub(super) fn give_back(&self, want: &Want) -> bool {
        let Some(shard) = self.shard(&want.id) else { return false };
        let mut shard = shard.lock();
        let entry = shard.get_mut(&want.id);
        entry.map(|entry| entry.lease.give_back(want.cost)).is_some()
    }

    /// Takes in an answer.
    pub(super) fn granted(&self, id: &KeyId, flight: &Flight, answered: &Answered) {
        let Some(shard) = self.shard(id) else { return };
        if let Some(entry) = shard.lock().get_mut(id) {
            entry.enter(answered, flight.asked);
            // A lease ends with its period.
            let LeaseTerms { most, life_ns, pause_ns } = entry.terms;
            let life_ns = life_ns.min(answered.lasts_ns);
            let terms = LeaseTerms { most, life_ns, pause_ns: pause_ns.min(life_ns) };
            entry.lease.granted((flight.ask, flight.asked), answered.grant, &terms);
        }
    }

    /// Puts back what was taken of a lease; false where nothing is known of it any more.
    pub(super) fn put_back(&self, taken: &InCommon, cost: u64) -> bool {
        self.with_period(taken, |entry| entry.lease.give_back(cost)).is_some()
    }

    /// Takes back what was noted as a debt, and is not used after all.
    pub(super) fn forgive(&self, taken: &InCommon, cost: u64) {
        self.with_period(taken, |entry| match entry.owed.checked_sub(cost) {
            Some(owed) => entry.owed = owed,
            // Redis was told of it.
            None => entry.lease.give_back(cost),
        });
    }

    fn with_period<R>(&self, taken: &InCommon, step: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let mut shard = self.shard(&taken.id)?.lock();
        shard.get_mut(&taken.id).filter(|entry| entry.epoch == taken.epoch).map(step)
    }

    /// Lets something of a window pass that nobody can be asked about, as a debt: anything, or
    /// what is within this gateway's part of what was left in this period.
    pub(super) fn owe_window(
        &self,
        (want, window): (&Want, &CommonWindow),
        part: impl Fn(u64) -> Option<u64>,
        now: Now,
    ) -> Owed {
        let Some(shard) = self.shard(&want.id) else { return Owed::Unnoted };
        let mut shard = shard.lock();
        if !self.has_room(&mut shard, &want.id, now) {
            return Owed::Unnoted;
        }
        let entry = shard.entry(want.id).or_insert_with(|| Entry::new(want));
        if entry.ends_ns <= now.ns {
            entry.begin_anew((0, now.ns.saturating_add(window.cycle.ends_in_ns(now.unix_ms))));
        }
        let most = entry.lease.heard().and_then(part);
        let owed = entry.owed.saturating_add(want.cost);
        if most.is_some_and(|most| owed > most) {
            return Owed::Short(entry.ends_ns.saturating_sub(now.ns).max(1));
        }
        entry.owed = owed;
        Owed::Noted(entry.epoch)
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
                is_told || entry.is_known(now) || !entry.is_idle(now)
            });
        }
        returns
    }

    /// Takes in what was answered when something was told, or that it could not be.
    pub(super) fn returned(&self, id: &KeyId, told: &Told, answer: Option<(Answered, Now)>) {
        let Some(shard) = self.shard(id) else { return };
        let mut shard = shard.lock();
        let Some(entry) = shard.get_mut(id) else { return };
        match answer {
            // A grant of a later epoch came first.
            Some((answered, _)) if answered.epoch < entry.epoch => {}
            Some((answered, asked)) => {
                entry.enter(&answered, asked);
                entry.lease.hear(answered.grant.left);
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
        let lease = Lease::default();
        Self { lease, terms, flight: None, counting, epoch: 0, owed: 0, ends_ns: 0 }
    }

    fn got(&self) -> Got {
        Got { left: self.lease.remaining(), epoch: self.epoch }
    }

    fn take(&mut self, want: &Want, now: Now) -> (Found, Option<Flight>) {
        let cost = want.cost;
        self.counting = want.counting;
        match self.lease.take(cost, now) {
            Leased::Taken => {
                let ahead = self.lease.runs_low(now) && self.in_flight().is_none();
                let flight = ahead.then(|| self.take_off(1, now));
                (Found::Taken(self.got()), flight.map(|(flight, _)| flight))
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
        let told = match self.counting {
            Counting::Bucket(_) | Counting::Quota(_) => Told::default(),
            Counting::Window(_) => self.told(Unused::Expired, now),
        };
        (Flight { ask, asked: now, told, landed }, landing)
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
            Counting::Window(_) => {
                self.ends_ns <= now.ns || (self.owed == 0 && !self.lease.has_any())
            }
        };
        is_settled && self.in_flight().is_none() && self.lease.is_idle(&self.terms, now)
    }

    /// Whether it is known how much is left of a window: worth keeping, in case that nobody can
    /// be asked later.
    fn is_known(&self, now: Now) -> bool {
        matches!(self.counting, Counting::Window(_))
            && now.ns < self.ends_ns
            && self.lease.heard().is_some()
    }

    /// In another epoch nothing counts that was taken before.
    fn enter(&mut self, answered: &Answered, asked: Now) {
        let ends_ns = asked.ns.saturating_add(answered.lasts_ns);
        if self.epoch == answered.epoch {
            self.ends_ns = ends_ns;
            return;
        }
        match self.counting {
            Counting::Bucket(_) | Counting::Quota(_) => {
                self.lease.drop_all();
                self.epoch = answered.epoch;
            }
            Counting::Window(_) => self.begin_anew((answered.epoch, ends_ns)),
        }
    }

    /// Begins another period of a window, with nothing of the last one.
    fn begin_anew(&mut self, (epoch, ends_ns): (u64, u64)) {
        self.lease.begin_anew();
        (self.epoch, self.ends_ns, self.owed) = (epoch, ends_ns, 0);
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
            Counting::Quota(_) | Counting::Window(_) => expired + held,
        };
        let owed = std::mem::take(&mut self.owed);
        let is_over = matches!(self.counting, Counting::Window(_)) && self.ends_ns <= now.ns;
        Told { back, epoch: self.epoch, owed: if is_over { 0 } else { owed } }
    }
}

#[cfg(test)]
mod tests;
