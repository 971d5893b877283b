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
use portcullis_limits::{Ask, Now};
use redis::RedisError;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::leases::{Flight, Found, KeyId, Leases, Want};
use super::link::{self, Connection, Link};

/// What a gateway has of the limits that it shares.
pub(crate) struct Common {
    settings: SharedLimits,
    keys: usize,
    link: Arc<Link>,
    leases: Leases,
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
        keys: usize,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, RedisError> {
        let same = |other: &&Arc<Self>| other.settings == *settings && other.keys == keys;
        if let Some(previous) = previous.filter(same) {
            return Ok(Arc::clone(previous));
        }
        Ok(Arc::new(Self {
            settings: settings.clone(),
            keys,
            link: Arc::new(Link::new(settings)?),
            leases: Leases::new(keys),
            counts: Counts::default(),
            background: OnceLock::new(),
        }))
    }

    /// Opens the link, if it can be at once, and keeps it open from then on.
    pub(super) async fn start(&self, background: &Handle) {
        if self.background.set(background.clone()).is_err() {
            return;
        }
        // Why it is not open is logged, and it is tried again.
        let _opened = self.link.renew().await;
        background.spawn(link::keep(Arc::downgrade(&self.link)));
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
                let left = self.leases.spend(want, now());
                break left.map_or(Answer::Away, Answer::Taken);
            };
            let (found, flight) = self.leases.take(want, now());
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
        self.leases.remaining(&want.id)
    }

    /// Puts back what was taken and is not used after all.
    pub(super) fn give_back(&self, want: &Want) {
        self.leases.give_back(want);
    }

    /// What is to be told of it.
    pub(super) fn reading(&self) -> CommonReading {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        CommonReading {
            up: self.link.connection().is_some(),
            away: self.link.losses(),
            leases: self.leases.held(),
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
                common.leases.granted(&want.id, &flight, grant);
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
            Ok(Some(grant)) if grant.tokens > 0 => Answer::Taken(grant.left),
            Ok(Some(grant)) => Answer::Short(grant.wait_ns),
            Ok(None) | Err(_) => Answer::Away,
        }
    }

    async fn ask(
        &self,
        connection: &Arc<Connection>,
        want: &Want,
        ask: Ask,
    ) -> Option<portcullis_limits::Grant> {
        let name = self.name(&want.id);
        let grant = self.link.ask(connection, &name, (&want.sharing.common, ask)).await;
        match grant {
            Some(grant) if grant.tokens > 0 => add(&self.counts.granted),
            Some(_) => add(&self.counts.refused),
            None => add(&self.counts.failed),
        }
        grant
    }

    /// What a bucket is called in Redis.
    fn name(&self, id: &KeyId) -> String {
        format!("{}:limit:{:032x}", self.settings.prefix, u128::from_be_bytes(*id))
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}
