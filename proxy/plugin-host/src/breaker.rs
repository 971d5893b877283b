//! Takes a plugin that keeps failing out of the path, and lets it back by probes.
//!
//! A fault may be the plugin's, or of one client's requests alone, and from one call nobody
//! can tell. So faults count by client: who meets them in a row is refused for a while, and
//! nobody else is. The whole use is taken out only when several clients meet them and for a
//! while nobody has got an answer. A plugin that fails always is still called only a few
//! times, whoever asks.

mod client;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use client::ClientId;

/// Clients that must meet faults before others are refused, and clients that may probe in
/// one pause: fewer can neither close a use to others nor keep it closed.
const CLIENTS: usize = 3;
/// Clients whose faults are remembered at once.
const REMEMBERED: usize = 1024;

/// Counts faults in a row, by client and together; open, it lets few calls through.
#[derive(Debug)]
pub(crate) struct Breaker {
    started: Instant,
    after: u32,
    pause_ms: u64,
    /// When the last answer came, and 0 before the first.
    answered_at: AtomicU64,
    /// Whether there is anything in `troubles` to look at.
    is_troubled: AtomicBool,
    troubles: Mutex<Troubles>,
    opened: AtomicU64,
    clients_refused: AtomicU64,
}

/// What is known of faults.
#[derive(Debug, Default)]
struct Troubles {
    clients: HashMap<ClientId, Faults>,
    /// How probes go, while the whole use is out of the path.
    open: Option<Probes>,
    /// When clients are to be forgotten next.
    forget_at: u64,
}

/// The faults that a client met in a row.
#[derive(Debug, Clone, Copy)]
struct Faults {
    count: u32,
    last: u64,
    /// When its next probe may go, once it has met too many.
    probe_at: u64,
}

/// Probes of a use that is out of the path.
#[derive(Debug)]
struct Probes {
    /// When the next ones may go.
    next: u64,
    /// Who may not go before: those that went, or everybody.
    gone: Option<Vec<ClientId>>,
}

impl Breaker {
    /// Opens after this many faults in a row; never, if 0.
    pub(crate) fn new(after: u32, pause: Duration, now: Instant) -> Self {
        Self {
            started: now,
            after,
            pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX / 4).max(1),
            answered_at: AtomicU64::new(0),
            is_troubled: AtomicBool::new(false),
            troubles: Mutex::default(),
            opened: AtomicU64::new(0),
            clients_refused: AtomicU64::new(0),
        }
    }

    /// Whether a call for a client may go.
    pub(crate) fn lets_through(&self, client: ClientId, now: Instant) -> bool {
        if !self.is_troubled.load(Ordering::Acquire) {
            return true;
        }
        let now = self.millis(now);
        let mut troubles = self.troubles();
        if let Some(probes) = &mut troubles.open {
            return probes.lets_through(client, now, self.pause_ms);
        }
        if now >= troubles.forget_at {
            troubles.forget_at = now + self.pause_ms;
            self.forget(&mut troubles, now);
        }
        let Some(faults) = troubles.clients.get_mut(&client) else { return true };
        if faults.count < self.after {
            return true;
        }
        let may_go = now >= faults.probe_at;
        if may_go {
            faults.probe_at = now + self.pause_ms;
        }
        may_go
    }

    /// A call for a client came back with an answer.
    pub(crate) fn answered(&self, client: ClientId, now: Instant) {
        let now = self.millis(now);
        // Written only now and then, so that the line stays shared between cores.
        let before = self.answered_at.load(Ordering::Relaxed);
        if before == 0 || now.saturating_sub(before) > self.pause_ms / 16 {
            self.answered_at.store(now, Ordering::Relaxed);
        }
        if self.is_troubled.load(Ordering::Acquire) {
            self.answered_at.store(now, Ordering::Relaxed);
            let mut troubles = self.troubles();
            troubles.open = None;
            troubles.clients.remove(&client);
            self.is_troubled.store(!troubles.clients.is_empty(), Ordering::Release);
        }
    }

    /// Forgets clients that have met no fault for a while.
    fn forget(&self, troubles: &mut Troubles, now: u64) {
        troubles.clients.retain(|_, faults| !self.is_over(faults, now));
        let is_troubled = troubles.open.is_some() || !troubles.clients.is_empty();
        self.is_troubled.store(is_troubled, Ordering::Release);
    }

    /// Whether a client's last fault is so long ago that its next one begins a new row: longer
    /// than one that goes on calling is refused.
    fn is_over(&self, faults: &Faults, now: u64) -> bool {
        now >= faults.last.saturating_add(self.pause_ms.saturating_mul(2))
    }

    /// A call for a client came back with a fault.
    pub(crate) fn faulted(&self, client: ClientId, now: Instant) {
        if self.after == 0 {
            return;
        }
        let now = self.millis(now);
        let mut troubles = self.troubles();
        if troubles.clients.len() >= REMEMBERED && !troubles.clients.contains_key(&client) {
            self.forget(&mut troubles, now);
        }
        if troubles.clients.len() < REMEMBERED || troubles.clients.contains_key(&client) {
            self.note(client, &mut troubles, now);
        }
        if troubles.open.is_none() && self.nobody_is_answered(&troubles, now) {
            troubles.open = Some(Probes { next: now + self.pause_ms, gone: None });
            self.opened.fetch_add(1, Ordering::Relaxed);
        }
        self.is_troubled.store(true, Ordering::Release);
    }

    fn note(&self, client: ClientId, troubles: &mut Troubles, now: u64) {
        let fresh = Faults { count: 0, last: now, probe_at: 0 };
        let faults = troubles.clients.entry(client).or_insert(fresh);
        if self.is_over(faults, now) {
            *faults = fresh;
        }
        faults.count = faults.count.saturating_add(1);
        faults.last = now;
        if faults.count >= self.after {
            faults.probe_at = now + self.pause_ms;
            if faults.count == self.after {
                self.clients_refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether enough faults of enough clients came, and no answer for a pause.
    fn nobody_is_answered(&self, troubles: &Troubles, now: u64) -> bool {
        let answered_at = self.answered_at.load(Ordering::Relaxed);
        if answered_at != 0 && now < answered_at.saturating_add(self.pause_ms) {
            return false;
        }
        let since = now.saturating_sub(self.pause_ms);
        let recent = troubles.clients.values().filter(|faults| faults.last >= since);
        let (clients, faults) = recent.fold((0, 0_u32), |(clients, sum), faults| {
            (clients + 1, sum.saturating_add(faults.count))
        });
        clients >= CLIENTS && faults >= self.after
    }

    /// Whether the whole use is out of the path.
    pub(crate) fn is_open(&self) -> bool {
        self.is_troubled.load(Ordering::Acquire) && self.troubles().open.is_some()
    }

    /// How often the whole use was taken out of the path.
    pub(crate) fn times_opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// How often a client was refused by itself.
    pub(crate) fn clients_refused(&self) -> u64 {
        self.clients_refused.load(Ordering::Relaxed)
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the start; never 0, which stands for never.
    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.started).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX / 4).saturating_add(1)
    }
}

impl Probes {
    /// One call for each of a few clients in each pause.
    fn lets_through(&mut self, client: ClientId, now: u64, pause_ms: u64) -> bool {
        if now >= self.next {
            self.next = now + pause_ms;
            self.gone = Some(vec![client]);
            return true;
        }
        match &mut self.gone {
            Some(gone) if gone.len() < CLIENTS && !gone.contains(&client) => {
                gone.push(client);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
