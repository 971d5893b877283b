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
use portcullis_limits::{Ask, CommonWindow, InCommon, Now, TakenOf, WindowSharing};
use redis::RedisError;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Clock;
use super::leases::{Counting, Flight, Found, Got, Leases, Owed, Return, Want};
use super::link::{self, Connection, Link};
use super::returns::Returns;
use super::scripts::{Answered, Told};

/// What a gateway has of the limits that it shares.
pub(crate) struct Common {
    settings: SharedLimits,
    keys: usize,
    link: Arc<Link>,
    /// Of throttles.
    leases: Arc<Leases>,
    /// Of quotas.
    quotas: Arc<Leases>,
    /// Of windows.
    windows: Arc<Leases>,
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
    /// It is taken.
    Taken(Got),
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
        let [leases, quotas, windows] = [(); 3].map(|()| Arc::new(Leases::new(keys)));
        let returns = Returns::new(Arc::clone(&link), [&leases, &quotas, &windows], clock);
        Ok(Arc::new(Self {
            settings: settings.clone(),
            keys,
            link,
            leases,
            quotas,
            windows,
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
            let left = self.remaining(want, now()).unwrap_or(u64::MAX);
            return Answer::Taken(Got { left, epoch: 0 });
        }
        let mut counted_by = &self.counts.from_lease;
        let answer = loop {
            let Some(connection) = self.link.connection() else {
                let got = self.leases_of(want).spend(want, now());
                break got.map_or(Answer::Away, Answer::Taken);
            };
            let (found, flight) = self.leases_of(want).take(want, now());
            if let Some(flight) = flight {
                self.send(flight, connection.clone(), want);
            }
            match found {
                Found::Taken(got) => break Answer::Taken(got),
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
    pub(super) fn remaining(&self, want: &Want, now: Now) -> Option<u64> {
        self.leases_of(want).remaining(&want.id, now)
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
            Counting::Window(_) => &self.windows,
        }
    }

    /// Puts back what was taken of a bucket and is not used after all: where there is no lease,
    /// in Redis.
    pub(super) fn give_back(&self, want: &Want) {
        if self.leases.give_back(want) {
            return;
        }
        let told = Told { back: want.cost, ..Told::default() };
        self.tell_later(Return { id: want.id, counting: want.counting, told });
    }

    /// Tells Redis beside the request.
    fn tell_later(&self, told: Return) {
        if let Some(background) = self.background.get() {
            let returns = Arc::clone(&self.returns);
            background.spawn(async move { returns.tell_one(&told).await });
        }
    }

    /// Lets something of a window pass while nobody can be asked about it, if what holds then
    /// does.
    pub(super) fn owe(&self, want: &Want, sharing: &WindowSharing, now: Now) -> Owed {
        let is_local = self.settings.when_away == WhenAway::Local;
        let part = |left| is_local.then(|| sharing.part(left));
        self.windows.owe_window((want, &sharing.common), part, now)
    }

    /// Puts back what was taken of a window and is not used after all.
    pub(super) fn put_back(&self, taken: &InCommon, (window, cost): (CommonWindow, u64)) {
        match taken.of {
            TakenOf::Debt => self.windows.forgive(taken, cost),
            TakenOf::Lease if self.windows.put_back(taken, cost) => {}
            // Nothing is held of the key: Redis is told at once.
            TakenOf::Lease => {
                let told = Told { back: cost, epoch: taken.epoch, owed: 0 };
                self.tell_later(Return { id: taken.id, counting: Counting::Window(window), told });
            }
        }
    }

    /// What is to be told of it.
    pub(super) fn reading(&self) -> CommonReading {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        CommonReading {
            up: self.link.connection().is_some(),
            away: self.link.losses(),
            leases: self.leases.held() + self.quotas.held() + self.windows.held(),
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
            let leases = common.leases_of(&want);
            match common.ask(&connection, &want, (flight.ask, flight.told)).await {
                Some(answered) => leases.granted(&want.id, &flight, &answered),
                None => leases.returned(&want.id, &flight.told, None),
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
        let asked = self.ask(connection, want, (ask, Told::default()));
        match tokio::time::timeout_at(deadline, asked).await {
            Ok(Some(Answered { grant, epoch, .. })) if grant.tokens > 0 => {
                Answer::Taken(Got { left: grant.left, epoch })
            }
            Ok(Some(Answered { grant, .. })) => Answer::Short(grant.wait_ns),
            Ok(None) | Err(_) => Answer::Away,
        }
    }

    /// Asks for tokens, and tells what is to be told.
    async fn ask(
        &self,
        connection: &Arc<Connection>,
        want: &Want,
        (ask, told): (Ask, Told),
    ) -> Option<Answered> {
        let answered = self.link.put(connection, (&want.id, &want.counting), (ask, told)).await;
        match answered {
            Some(Answered { grant, .. }) if grant.tokens > 0 => add(&self.counts.granted),
            Some(_) => add(&self.counts.refused),
            None => add(&self.counts.failed),
        }
        answered
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
