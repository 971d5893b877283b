//! Counts what passes, by the clocks of this process; or in common with other gateways.

mod common;
mod in_common;
mod leases;
mod link;
mod outcome;
mod quota;
mod returns;
mod scripts;
mod shared;
mod subscribed;

use std::sync::Arc;
use std::time::Instant;

use portcullis_config::{Gateway, Limit, Plan, SharedLimits};
use portcullis_limits::{
    Charge, Exceeded, LimitReading, Limiter, Now, Receipt, Spec, Standing, Taken,
};
use portcullis_pipeline::{Limits, NoPlan, Uncounted, Untaken};
use portcullis_plugin_host::PluginHost;
use portcullis_state::{CredentialStore, Unsubscribed, now_ms};
use redis::RedisError;
use tokio::runtime::Handle;

use common::Common;
pub(crate) use common::CommonReading;
pub(crate) use quota::CommonUsage;
pub use quota::CommonUsageProblem;
pub use scripts::Forgiven;
use shared::Shared;
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

#[derive(Clone, Copy)]
struct Clock {
    began: Instant,
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
        self.give_back(taken.receipts).await;
        self.give_leased_back(charges, &taken.leased);
    }

    /// What was taken here, or of windows in common; what was taken of buckets in common comes
    /// back by itself.
    async fn give_back(&self, receipts: Vec<Receipt>) {
        self.limiter.give_back(&receipts, self.clock.now());
        self.give_windows_back(&receipts);
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

impl Clock {
    fn now(self) -> Now {
        let ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { ns, unix_ms: now_ms() }
    }
}

/// What this gateway counts by itself: all of a limit, or its share.
fn own_spec(limit: &Limit) -> Spec {
    let mut spec = limit.spec.clone();
    if let Some(sharing) = limit.sharing {
        spec.policy = sharing.share();
    }
    spec
}
