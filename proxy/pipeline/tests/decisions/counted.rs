//! Limits as the gateway counts them, by a clock that a test moves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_config::Plan;
use portcullis_limits::{
    Charge, Day, Exceeded, Limiter, Meter, Now, Quota, Receipt, Spec, Standing, Taken,
};
use portcullis_pipeline::{Limits, NoPlan, Pipeline, Subscriber, Uncounted, Untaken};

use crate::scripted::Scripted;

/// A pipeline of these tests.
pub(crate) type Tested = Pipeline<Scripted, Counted>;

#[derive(Default)]
pub(crate) struct Counted {
    limiter: Limiter,
    ns: AtomicU64,
    keys: HashMap<&'static str, Key>,
}

/// An API key that is in a plan.
#[derive(Clone)]
pub(crate) struct Key {
    plan: Arc<str>,
    account: &'static str,
    meter: Arc<Meter>,
}

impl Counted {
    pub(crate) fn of(specs: &[Spec]) -> Self {
        Self { limiter: Limiter::new(specs, 100, None), ..Self::default() }
    }

    pub(crate) fn wait_ms(&self, ms: u64) {
        self.ns.fetch_add(ms * 1_000_000, Ordering::Relaxed);
    }

    fn now(&self) -> Now {
        let ns = self.ns.load(Ordering::Relaxed);
        Now { ns, unix_ms: ns / 1_000_000 }
    }
}

impl Counted {
    /// With a key that is counted for an account in a plan.
    pub(crate) fn with_key(mut self, id: &'static str, plan: &str, account: &'static str) -> Self {
        let known = self.keys.values().find(|key| key.account == account);
        let meter = known.map_or_else(Arc::default, |key| Arc::clone(&key.meter));
        self.keys.insert(id, Key { plan: plan.into(), account, meter });
        self
    }

    /// Requests that were counted with a key.
    pub(crate) fn counted(&self, id: &str) -> u64 {
        self.keys[id].meter.unwritten()
    }
}

impl Subscriber for Key {
    fn plan(&self) -> &Arc<str> {
        &self.plan
    }

    fn account(&self) -> &str {
        self.account
    }
}

impl Key {
    fn standing(&self, quota: Quota) -> Standing {
        let standing = self.meter.standing(quota, Day::at(0));
        Standing { remaining: standing.remaining, wait_ns: Some(standing.until_ms * 1_000_000) }
    }
}

impl Limits for Counted {
    type Subscriber = Key;

    fn subscriber(&self, usage_key: &str) -> Result<Key, NoPlan> {
        match self.keys.get(usage_key) {
            None => Err(NoPlan::UnknownKey),
            Some(key) if key.plan.is_empty() => Err(NoPlan::NoPlan),
            Some(key) => Ok(key.clone()),
        }
    }

    async fn take(&self, charges: &[Charge<'_>]) -> Result<Taken, Untaken> {
        Ok(self.limiter.take(charges, self.now())?)
    }

    async fn undo(&self, _: &[Charge<'_>], taken: Taken) {
        self.limiter.give_back(&taken.receipts, self.now());
    }

    async fn give_back(&self, receipts: Vec<Receipt>) {
        self.limiter.give_back(&receipts, self.now());
    }

    async fn check(&self, charges: &[Charge<'_>]) -> Result<(), Exceeded> {
        self.limiter.check(charges, self.now())
    }

    fn standing(&self, key: &Key, plan: &Plan) -> Option<Standing> {
        plan.quota.map(|quota| key.standing(quota))
    }

    async fn count(&self, key: &Key, plan: &Plan) -> Result<(), Uncounted> {
        let counted = key.meter.count(plan.quota, Day::at(0));
        let standing = |_| key.standing(plan.quota.expect("only quotas are spent"));
        counted.map_err(standing).map_err(Uncounted::Spent)
    }
}
