//! Counts what passes, by the clocks of this process.

use std::sync::Arc;
use std::time::Instant;

use portcullis_config::{Gateway, Limit};
use portcullis_limits::{
    Charge, Exceeded, LimitReading, Limiter, Now, Quota, QuotaStanding, Receipt, Spec, Standing,
    Taken,
};
use portcullis_pipeline::{Limits, NoPlan, Subscriber};
use portcullis_plugin_host::PluginHost;
use portcullis_state::{CredentialStore, Unsubscribed, now_ms};

/// The limits of a configuration, counted in this process.
pub(crate) struct LocalLimits {
    limiter: Limiter,
    /// The clock of all configurations of the process.
    began: Instant,
    credentials: Option<Arc<CredentialStore>>,
}

impl LocalLimits {
    /// The limits of a configuration, with what was taken of equal ones of the last.
    pub(crate) fn new(
        (gateway, plugins): (&Gateway, &PluginHost),
        credentials: Option<Arc<CredentialStore>>,
        previous: Option<&Self>,
    ) -> Self {
        let spec = |limit: &Arc<Limit>| limit.spec.clone();
        let specs: Vec<Spec> = gateway.throttles.iter().chain(plugins.limits()).map(spec).collect();
        let known = previous.map(|previous| &previous.limiter);
        Self {
            limiter: Limiter::new(&specs, gateway.limits.throttle_keys, known),
            began: previous.map_or_else(Instant::now, |previous| previous.began),
            credentials,
        }
    }

    /// What is held of each limit that has keys.
    pub(crate) fn readings(&self) -> Vec<LimitReading> {
        self.limiter.readings()
    }

    fn now(&self) -> Now {
        let ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { ns, unix_ms: now_ms() }
    }
}

impl Limits for LocalLimits {
    type Subscriber = Subscribed;

    fn subscriber(&self, usage_key: &str) -> Result<Subscribed, NoPlan> {
        let credentials = self.credentials.as_ref().ok_or(NoPlan::UnknownKey)?;
        let time_ms = now_ms();
        match credentials.subscriber(usage_key, time_ms) {
            Ok(subscriber) => Ok(Subscribed { subscriber, time_ms }),
            Err(Unsubscribed::UnknownKey) => Err(NoPlan::UnknownKey),
            Err(Unsubscribed::NoPlan) => Err(NoPlan::NoPlan),
        }
    }

    async fn take(&self, charges: &[Charge<'_>]) -> Result<Taken, Exceeded> {
        self.limiter.take(charges, self.now())
    }

    async fn give_back(&self, receipts: Vec<Receipt>) {
        self.limiter.give_back(&receipts, self.now());
    }

    async fn check(&self, charges: &[Charge<'_>]) -> Result<(), Exceeded> {
        self.limiter.check(charges, self.now())
    }
}

/// Whoever a request is counted for, at the time when that was asked.
pub(crate) struct Subscribed {
    subscriber: Arc<portcullis_state::Subscriber>,
    time_ms: u64,
}

impl Subscribed {
    fn shown(&self, standing: QuotaStanding) -> Standing {
        let wait_ms = standing.until_ms.saturating_sub(self.time_ms);
        Standing { remaining: standing.remaining, wait_ns: Some(wait_ms.saturating_mul(1_000_000)) }
    }
}

impl Subscriber for Subscribed {
    fn plan(&self) -> &Arc<str> {
        self.subscriber.plan()
    }

    fn account(&self) -> &str {
        self.subscriber.account()
    }

    fn standing(&self, quota: Quota) -> Standing {
        self.shown(self.subscriber.standing(quota, self.time_ms))
    }

    fn count(&self, quota: Option<Quota>) -> Result<(), Standing> {
        self.subscriber.count(quota, self.time_ms).map_err(|spent| self.shown(spent))
    }
}
