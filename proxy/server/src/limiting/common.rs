//! Limits that several gateways share: answered from leases, which Redis grants.
//!
//! ```text
//! request ─▶ Leases ── enough ──▶ pass;  runs low: a flight asks for the next one
//!              └─ too little ──▶ a flight asks, the request waits for it ─▶ again
//! flight ── Link ─▶ Redis: one script, atomic ── Grant ─▶ Leases
//! ```
//!
//! Flights are made on the background threads, one for a key at a time. While the link is
//! closed nobody asks and nobody waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_config::{SharedLimits, WhenAway};
use portcullis_limits::{Ask, Grant, Now};
use portcullis_state::now_ms;
use redis::RedisError;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Clock;
use super::leases::{Counting, Flight, Found, Leases, Return, Want};
use super::link::{self, Connection, Link};
use super::returns::Returns;
use super::scripts::{self, Told};

/// What a gateway has of the limits that it shares.
pub(crate) struct Common {
    settings: SharedLimits,
    keys: usize,
    link: Arc<Link>,
    /// Of throttles.
    leases: Arc<Leases>,
    /// Of quotas.
    quotas: Arc<Leases>,
    returns: Arc<Returns>,
    counts: Counts,
    /// Where flights are made; set once the process has it.
    background: OnceLock<Handle>,
}

#[derive(Default)]
struct Counts {
    from_lease: AtomicU64,
    waited: AtomicU64,
    away: AtomicU64,
    granted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// What is read off shared limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommonReading {
    /// Whether Redis answers.
    pub(crate) up: bool,
    /// How often it went away.
    pub(crate) away: u64,
    /// Keys that something is known of.
    pub(crate) leases: usize,
    /// How requests were counted, by what counted them.
    pub(crate) charges: [(&'static str, u64); 3],
    /// What Redis was asked, by what became of it.
    pub(crate) asks: [(&'static str, u64); 3],
}

/// What became of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is taken, and so much is left.
    Taken(u64),
    /// There is too little; it comes in so many nanoseconds.
    Short(u64),
    /// Nobody knows, within the time that there is.
    Away,
}

impl Common {
    /// What these settings say; what stands already where it is the same.
    ///
    /// # Errors
    ///
    /// Where the authorities to trust cannot be.
    pub(super) fn new(
        settings: &SharedLimits,
        (keys, clock): (usize, Clock),
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, RedisError> {
        let same = |other: &&Arc<Self>| other.settings == *settings && other.keys == keys;
        if let Some(previous) = previous.filter(same) {
            return Ok(Arc::clone(previous));
        }
        let link = Arc::new(Link::new(settings)?);
        let (leases, quotas) = (Arc::new(Leases::new(keys)), Arc::new(Leases::new(keys)));
        let returns = Returns::new(Arc::clone(&link), [&leases, &quotas], clock);
        Ok(Arc::new(Self {
            settings: settings.clone(),
            keys,
            link,
            leases,
            quotas,
            returns: Arc::new(returns),
            counts: Counts::default(),
            background: OnceLock::new(),
        }))
    }

    /// Opens the link, if it can be at once, and keeps it open from then on.
    pub(super) async fn start(self: &Arc<Self>, background: &Handle) {
        if self.background.set(background.clone()).is_err() {
            return;
        }
        // Why it is not open is logged, and it is tried again.
        let _opened = self.link.renew().await;
        background.spawn(link::keep(Arc::downgrade(&self.link)));
        let common = Arc::downgrade(self);
        background.spawn(super::returns::keep(move || Some(common.upgrade()?.returns.clone())));
    }

    /// Gives back all that was taken ahead, within the time that there is.
    pub(super) async fn stop(&self) {
        self.returns.all().await;
    }

    /// Where everything is counted, and how.
    pub(super) fn settings(&self) -> &SharedLimits {
        &self.settings
    }

    /// The longest that a request waits.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// What holds while Redis is away.
    pub(super) fn when_away(&self) -> WhenAway {
        self.settings.when_away
    }

    /// Takes what a request costs, of a lease or of one that is asked for.
    pub(super) async fn take(
        self: &Arc<Self>,
        want: &Want,
        (now, deadline): (impl Fn() -> Now, Instant),
    ) -> Answer {
        if want.cost == 0 {
            return Answer::Taken(self.remaining(want).unwrap_or(u64::MAX));
        }
        let mut counted_by = &self.counts.from_lease;
        let answer = loop {
            let Some(connection) = self.link.connection() else {
                let left = self.leases_of(want).spend(want, now());
                break left.map_or(Answer::Away, Answer::Taken);
            };
            let (found, flight) = self.leases_of(want).take(want, now());
            if let Some(flight) = flight {
                self.send(flight, connection.clone(), want);
            }
            match found {
                Found::Taken(left) => break Answer::Taken(left),
                Found::Short(wait_ns) => break Answer::Short(wait_ns),
                Found::NoRoom => {
                    counted_by = &self.counts.waited;
                    break self.take_without_lease(want, &connection, deadline).await;
                }
                Found::Wait(mut landing) => {
                    counted_by = &self.counts.waited;
                    // An error of `changed` is what is waited for: the sender is gone.
                    let waited = tokio::time::timeout_at(deadline, landing.changed()).await;
                    if waited.is_err() {
                        break Answer::Away;
                    }
                }
            }
        };
        match answer {
            Answer::Away => add(&self.counts.away),
            Answer::Taken(_) | Answer::Short(_) => add(counted_by),
        }
        answer
    }

    /// How much is left, if something is known of it.
    pub(super) fn remaining(&self, want: &Want) -> Option<u64> {
        self.leases_of(want).remaining(&want.id)
    }

    /// Whether too little is left, as far as is known.
    pub(super) fn is_spent(&self, want: &Want, now: Now) -> bool {
        self.leases_of(want).is_spent(&want.id, now)
    }

    /// The leases of quotas.
    pub(super) fn quotas(&self) -> &Leases {
        &self.quotas
    }

    fn leases_of(&self, want: &Want) -> &Leases {
        match want.counting {
            Counting::Bucket(_) => &self.leases,
            Counting::Quota(_) => &self.quotas,
        }
    }

    /// Puts back what was taken and is not used after all: where there is no lease, in Redis.
    pub(super) fn give_back(&self, want: &Want) {
        if self.leases.give_back(want) {
            return;
        }
        if let Some(background) = self.background.get() {
            let told = Told { back: want.cost, ..Told::default() };
            let back = Return { id: want.id, counting: want.counting, told };
            let returns = Arc::clone(&self.returns);
            background.spawn(async move { returns.tell_one(&back).await });
        }
    }

    /// What is to be told of it.
    pub(super) fn reading(&self) -> CommonReading {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        CommonReading {
            up: self.link.connection().is_some(),
            away: self.link.losses(),
            leases: self.leases.held() + self.quotas.held(),
            charges: [
                ("lease", read(&counts.from_lease)),
                ("redis", read(&counts.waited)),
                ("away", read(&counts.away)),
            ],
            asks: [
                ("granted", read(&counts.granted)),
                ("refused", read(&counts.refused)),
                ("failed", read(&counts.failed)),
            ],
        }
    }

    /// Asks beside the request, so that the answer counts even where nobody waits any more.
    fn send(self: &Arc<Self>, flight: Flight, connection: Arc<Connection>, want: &Want) {
        let Some(background) = self.background.get() else { return };
        let (common, want) = (Arc::clone(self), *want);
        background.spawn(async move {
            if let Some(grant) = common.ask(&connection, &want, flight.ask).await {
                common.leases_of(&want).granted(&want.id, &flight, grant);
            }
            drop(flight);
        });
    }

    async fn take_without_lease(
        &self,
        want: &Want,
        connection: &Arc<Connection>,
        deadline: Instant,
    ) -> Answer {
        let ask = Ask { need: want.cost, wish: want.cost };
        let asked = self.ask(connection, want, ask);
        match tokio::time::timeout_at(deadline, asked).await {
            Ok(Some((grant, _))) if grant.tokens > 0 => Answer::Taken(grant.left),
            Ok(Some((grant, _))) => Answer::Short(grant.wait_ns),
            Ok(None) | Err(_) => Answer::Away,
        }
    }

    /// Asks for tokens: what is granted, and in which epoch.
    async fn ask(
        &self,
        connection: &Arc<Connection>,
        want: &Want,
        ask: Ask,
    ) -> Option<(Grant, u64)> {
        let scripts = &self.link.scripts;
        let granted = match &want.counting {
            Counting::Bucket(bucket) => {
                let question = scripts.take(&want.id, (bucket, ask, 0));
                let answer = self.link.ask(connection, &question).await;
                answer.map(|answer| (scripts::grant(answer), 0))
            }
            Counting::Quota(quota) => {
                let unix_ms = now_ms();
                let question = scripts.quota(quota, (ask, Told::default()), unix_ms);
                let answer = self.link.ask(connection, &question).await;
                answer.map(|(tokens, left, epoch)| {
                    let wait_ns = if tokens > 0 { 0 } else { quota.ends_in_ns(unix_ms) };
                    (Grant { tokens, left, wait_ns }, epoch)
                })
            }
        };
        match granted {
            Some((grant, _)) if grant.tokens > 0 => add(&self.counts.granted),
            Some(_) => add(&self.counts.refused),
            None => add(&self.counts.failed),
        }
        granted
    }
}

/// What was taken ahead and is not used is given back, so that others have it: at a reload
/// that counts elsewhere, too.
impl Drop for Common {
    fn drop(&mut self) {
        if let Some(background) = self.background.get() {
            let returns = Arc::clone(&self.returns);
            background.spawn(async move { returns.all().await });
        }
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}
