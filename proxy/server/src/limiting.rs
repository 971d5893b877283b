//! Counts what passes, by the clocks of this process; or in common with other gateways.

mod common;
mod leases;
mod link;
mod quota;
mod returns;
mod scripts;
mod subscribed;

use std::sync::Arc;
use std::time::Instant;

use portcullis_config::{Gateway, Limit, Plan, SharedLimits, WhenAway};
use portcullis_limits::{
    Charge, Exceeded, LimitReading, Limiter, Now, Policy, Receipt, Sharing, Short, Spec, Standing,
    Taken,
};
use portcullis_pipeline::{Limits, NoPlan, Uncounted, Untaken};
use portcullis_plugin_host::PluginHost;
use portcullis_state::{CredentialStore, Unsubscribed, now_ms};
use redis::RedisError;
use ring::digest::{Context, SHA256};
use tokio::runtime::Handle;

pub(crate) use common::CommonReading;
use common::{Answer, Common};
use leases::{Counting, Want};
pub(crate) use quota::CommonUsage;
pub use quota::CommonUsageProblem;
pub use scripts::Forgiven;
use subscribed::Subscribed;

/// The limits of a configuration.
pub(crate) struct GatewayLimits {
    /// Those that are counted here; for those that are shared, this gateway's share, which
    /// counts while nothing else does.
    limiter: Limiter,
    /// How each limit is shared, where it is.
    shared: Vec<Option<Shared>>,
    /// Where shared ones are counted.
    common: Option<Arc<Common>>,
    /// The clock of all configurations of the process.
    clock: Clock,
    credentials: Option<Arc<CredentialStore>>,
}

/// How a limit is shared.
struct Shared {
    sharing: Sharing,
    /// A digest that has seen the limit; a key makes it a name.
    digest: Context,
    /// Until there is a token more, in nanoseconds.
    token_ns: u64,
    burst: u64,
}

#[derive(Clone, Copy)]
struct Clock {
    began: Instant,
}

/// What became of each charge, in order; `None` where it is not known.
struct Outcome(Vec<Option<Fate>>);

#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It is taken, or could be; how its limit stands.
    Taken(Standing),
    /// Its limit has too little, for so many nanoseconds.
    Short(Option<u64>),
    /// Nobody can say, and then it is not to pass.
    Unavailable,
}

impl GatewayLimits {
    /// The limits of a configuration, with what was taken of equal ones of the last.
    ///
    /// # Errors
    ///
    /// Where the authorities of Redis cannot be trusted.
    pub(crate) fn new(
        (gateway, plugins): (&Gateway, &PluginHost),
        credentials: Option<Arc<CredentialStore>>,
        previous: Option<&Self>,
    ) -> Result<Self, RedisError> {
        let limits = || gateway.throttles.iter().chain(plugins.limits());
        let specs: Vec<Spec> = limits().map(|limit| own_spec(limit)).collect();
        let keys = gateway.limits.throttle_keys;
        let began = previous.map_or_else(Instant::now, |previous| previous.clock.began);
        let clock = Clock { began };
        let common = gateway.shared_limits.as_ref().map(|settings| {
            let known = previous.and_then(|previous| previous.common.as_ref());
            Common::new(settings, (keys, clock), known)
        });
        Ok(Self {
            limiter: Limiter::new(&specs, keys, previous.map(|previous| &previous.limiter)),
            shared: limits().map(|limit| Shared::of(limit)).collect(),
            common: common.transpose()?,
            clock,
            credentials,
        })
    }

    /// Connects to where shared limits are counted, and stays connected.
    pub(crate) async fn start(&self, background: &Handle) {
        if let Some(common) = &self.common {
            common.start(background).await;
        }
    }

    /// Gives back what was taken ahead of shared limits: nothing more is asked for.
    pub(crate) async fn stop(&self) {
        if let Some(common) = &self.common {
            common.stop().await;
        }
    }

    /// Where shared limits are counted.
    pub(crate) fn shared_limits(&self) -> Option<&SharedLimits> {
        self.common.as_ref().map(|common| common.settings())
    }

    /// What is held of each limit that has keys.
    pub(crate) fn readings(&self) -> Vec<LimitReading> {
        self.limiter.readings()
    }

    /// How it is with shared limits, where they are configured.
    pub(crate) fn common_reading(&self) -> Option<CommonReading> {
        self.common.as_ref().map(|common| common.reading())
    }

    fn sharing(&self, charge: &Charge<'_>) -> Option<&Shared> {
        self.shared.get(charge.limit)?.as_ref()
    }

    /// Takes every charge or none, some of them in common.
    async fn take_shared(
        &self,
        common: &Arc<Common>,
        charges: &[Charge<'_>],
    ) -> Result<Taken, Untaken> {
        let mut outcome = Outcome(vec![None; charges.len()]);
        let mut here = self.indices(charges, |shared| shared.is_none());
        // Nothing is asked for a request that is refused anyway.
        if let Err(exceeded) = self.limiter.check(&picked(charges, &here), self.clock.now()) {
            outcome.note(&here, &exceeded);
            return Err(self.refused(charges, outcome).into());
        }
        let mut leased = Vec::new();
        let deadline = tokio::time::Instant::now() + common.timeout();
        for at in self.indices(charges, |shared| shared.is_some()) {
            let Some((charge, shared)) = self.shared_at(charges, at) else { continue };
            let want = shared.want(charge);
            let answer = common.take(&want, (|| self.clock.now(), deadline)).await;
            match (answer, common.when_away()) {
                (Answer::Taken(left), _) => {
                    leased.push(at);
                    outcome.set(at, Fate::Taken(shared.standing(left)));
                }
                (Answer::Short(wait_ns), _) => outcome.set(at, Fate::Short(Some(wait_ns))),
                (Answer::Away, WhenAway::Local) => here.push(at),
                (Answer::Away, WhenAway::Deny) => outcome.set(at, Fate::Unavailable),
                (Answer::Away, WhenAway::Allow) => {
                    outcome.set(at, Fate::Taken(shared.standing(shared.burst)));
                }
            }
        }
        let taken = if outcome.is_short() {
            Err(self.refused(charges, outcome).into())
        } else if outcome.is_unavailable() {
            Err(Untaken::Unavailable)
        } else {
            self.take_here(charges, here, outcome).map_err(Untaken::Exceeded)
        };
        match taken {
            Ok(taken) => Ok(Taken { leased, ..taken }),
            Err(untaken) => {
                self.give_leased_back(charges, &leased);
                Err(untaken)
            }
        }
    }

    /// Puts back what was taken of leases for the charges at these places.
    fn give_leased_back(&self, charges: &[Charge<'_>], leased: &[usize]) {
        for at in leased {
            if let (Some((charge, shared)), Some(common)) =
                (self.shared_at(charges, *at), &self.common)
            {
                common.give_back(&shared.want(charge));
            }
        }
    }

    /// Takes what is counted here, when the rest is taken.
    fn take_here(
        &self,
        charges: &[Charge<'_>],
        mut here: Vec<usize>,
        mut outcome: Outcome,
    ) -> Result<Taken, Exceeded> {
        here.sort_unstable();
        match self.limiter.take(&picked(charges, &here), self.clock.now()) {
            Ok(taken) => {
                for (at, standing) in here.iter().zip(taken.standings) {
                    outcome.set(*at, Fate::Taken(standing));
                }
                let receipts = taken.receipts.into_iter();
                let receipts =
                    receipts.filter_map(|it| Some(it.renumbered(*here.get(it.charge())?)));
                let (receipts, permits) = (receipts.collect(), taken.permits);
                let standings = outcome.standings();
                Ok(Taken { standings, permits, receipts, ..Taken::default() })
            }
            Err(exceeded) => {
                outcome.note(&here, &exceeded);
                Err(self.refused(charges, outcome))
            }
        }
    }

    /// Why a request is refused, and how the limits stand that were not asked any more.
    fn refused(&self, charges: &[Charge<'_>], mut outcome: Outcome) -> Exceeded {
        for at in outcome.open() {
            let standing = match (self.shared_at(charges, at), &self.common) {
                (Some((charge, shared)), Some(common)) => {
                    let left = common.remaining(&shared.want(charge));
                    Some(shared.standing(left.unwrap_or(shared.burst)))
                }
                _ => self.limiter.standings(&picked(charges, &[at]), self.clock.now()).pop(),
            };
            if let Some(standing) = standing {
                outcome.set(at, Fate::Taken(standing));
            }
        }
        Exceeded { short: outcome.short(), standings: outcome.standings() }
    }

    fn shared_at<'c>(
        &self,
        charges: &'c [Charge<'c>],
        at: usize,
    ) -> Option<(&'c Charge<'c>, &Shared)> {
        let charge = charges.get(at)?;
        Some((charge, self.sharing(charge)?))
    }

    fn indices(
        &self,
        charges: &[Charge<'_>],
        wanted: impl Fn(Option<&Shared>) -> bool,
    ) -> Vec<usize> {
        let found = charges.iter().enumerate().filter(|(_, charge)| wanted(self.sharing(charge)));
        found.map(|(at, _)| at).collect()
    }
}

impl Limits for GatewayLimits {
    type Subscriber = Subscribed;

    fn subscriber(&self, usage_key: &str) -> Result<Subscribed, NoPlan> {
        let credentials = self.credentials.as_ref().ok_or(NoPlan::UnknownKey)?;
        let time_ms = now_ms();
        match credentials.subscriber(usage_key, time_ms) {
            Ok(subscriber) => Ok(Subscribed::new(subscriber, time_ms)),
            Err(Unsubscribed::UnknownKey) => Err(NoPlan::UnknownKey),
            Err(Unsubscribed::NoPlan) => Err(NoPlan::NoPlan),
        }
    }

    async fn take(&self, charges: &[Charge<'_>]) -> Result<Taken, Untaken> {
        match &self.common {
            Some(common) if charges.iter().any(|charge| self.sharing(charge).is_some()) => {
                // Boxed: few requests have it, and the future of each would hold it.
                Box::pin(self.take_shared(common, charges)).await
            }
            _ => Ok(self.limiter.take(charges, self.clock.now())?),
        }
    }

    async fn undo(&self, charges: &[Charge<'_>], taken: Taken) {
        self.limiter.give_back(&taken.receipts, self.clock.now());
        self.give_leased_back(charges, &taken.leased);
    }

    /// What was taken here; what was taken in common comes back by itself.
    async fn give_back(&self, receipts: Vec<Receipt>) {
        self.limiter.give_back(&receipts, self.clock.now());
    }

    /// Of limits that are counted here; shared ones are only ever taken of.
    async fn check(&self, charges: &[Charge<'_>]) -> Result<(), Exceeded> {
        self.limiter.check(charges, self.clock.now())
    }

    fn standing(&self, subscriber: &Subscribed, plan: &Plan) -> Option<Standing> {
        let quota = plan.quota?;
        Some(match self.common_quota(plan) {
            None => subscriber.standing(quota),
            Some((common, sharing)) => {
                self.standing_in_common(subscriber, common, (quota, sharing))
            }
        })
    }

    async fn count(&self, subscriber: &Subscribed, plan: &Plan) -> Result<(), Uncounted> {
        match (plan.quota, self.common_quota(plan)) {
            (Some(quota), Some((common, sharing))) => {
                Box::pin(self.count_in_common(subscriber, common, (quota, sharing))).await
            }
            (quota, _) => subscriber.count(quota).map_err(Uncounted::Spent),
        }
    }
}

impl Shared {
    fn of(limit: &Limit) -> Option<Self> {
        let sharing = limit.sharing?;
        let bucket = match limit.spec.policy {
            Policy::Bucket(bucket) => bucket,
            Policy::Fixed(_) | Policy::Sliding(_) | Policy::InFlight(_) => return None,
        };
        let mut digest = Context::new(&SHA256);
        let whose = limit.per.as_ref().map(|per| per.to_string()).unwrap_or_default();
        let rate = bucket.rate();
        let how_much = format!("{}/{} {}", rate.count(), rate.period_ns(), bucket.burst());
        for part in [limit.spec.scope.as_str(), &limit.spec.name, &whose, &how_much] {
            // With their lengths, so that no two lists of parts are one.
            digest.update(&part.len().to_be_bytes());
            digest.update(part.as_bytes());
        }
        let token_ns = rate.period_ns().div_ceil(rate.count());
        Some(Self { sharing, digest, token_ns, burst: bucket.burst() })
    }

    fn want(&self, charge: &Charge<'_>) -> Want {
        let mut digest = self.digest.clone();
        digest.update(charge.key);
        let Sharing { common, terms, .. } = self.sharing;
        let counting = Counting::Bucket(common);
        Want { id: scripts::shortened(digest), counting, terms, cost: charge.cost }
    }

    fn standing(&self, remaining: u64) -> Standing {
        let remaining = remaining.min(self.burst);
        let wait_ns = if remaining < self.burst { self.token_ns } else { 0 };
        Standing { remaining, wait_ns: Some(wait_ns) }
    }
}

impl Clock {
    fn now(self) -> Now {
        let ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { ns, unix_ms: now_ms() }
    }
}

impl Outcome {
    fn set(&mut self, at: usize, fate: Fate) {
        if let Some(place) = self.0.get_mut(at) {
            *place = Some(fate);
        }
    }

    /// Takes in what was refused here, of the charges at these places.
    fn note(&mut self, places: &[usize], exceeded: &Exceeded) {
        for (at, standing) in places.iter().zip(&exceeded.standings) {
            self.set(*at, Fate::Taken(*standing));
        }
        for short in &exceeded.short {
            if let Some(at) = places.get(short.charge) {
                self.set(*at, Fate::Short(short.wait_ns));
            }
        }
    }

    /// Those of which nothing is known yet.
    fn open(&self) -> Vec<usize> {
        let open = self.0.iter().enumerate().filter(|(_, fate)| fate.is_none());
        open.map(|(at, _)| at).collect()
    }

    fn is_short(&self) -> bool {
        self.0.iter().any(|fate| matches!(fate, Some(Fate::Short(_))))
    }

    fn is_unavailable(&self) -> bool {
        self.0.iter().any(|fate| matches!(fate, Some(Fate::Unavailable)))
    }

    fn short(&self) -> Vec<Short> {
        let short = self.0.iter().enumerate().filter_map(|(charge, fate)| match fate {
            Some(Fate::Short(wait_ns)) => Some(Short { charge, wait_ns: *wait_ns }),
            _ => None,
        });
        short.collect()
    }

    fn standings(&self) -> Vec<Standing> {
        let standing = |fate: &Option<Fate>| match fate {
            Some(Fate::Taken(standing)) => *standing,
            Some(Fate::Short(wait_ns)) => Standing { remaining: 0, wait_ns: *wait_ns },
            Some(Fate::Unavailable) | None => Standing { remaining: 0, wait_ns: None },
        };
        self.0.iter().map(standing).collect()
    }
}

/// What this gateway counts by itself: all of a limit, or its share.
fn own_spec(limit: &Limit) -> Spec {
    let mut spec = limit.spec.clone();
    if let Some(sharing) = limit.sharing {
        spec.policy = Policy::Bucket(sharing.share);
    }
    spec
}

fn picked<'a>(charges: &[Charge<'a>], places: &[usize]) -> Vec<Charge<'a>> {
    places.iter().filter_map(|at| charges.get(*at).copied()).collect()
}
