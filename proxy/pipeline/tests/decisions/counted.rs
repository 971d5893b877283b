//! Limits as the gateway counts them, by a clock that a test moves.

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_limits::{Charge, Exceeded, Limiter, Now, Receipt, Spec, Taken};
use portcullis_pipeline::{Limits, Pipeline};

use crate::scripted::Scripted;

/// A pipeline of these tests.
pub(crate) type Tested = Pipeline<Scripted, Counted>;

#[derive(Default)]
pub(crate) struct Counted {
    limiter: Limiter,
    ns: AtomicU64,
}

impl Counted {
    pub(crate) fn of(specs: &[Spec]) -> Self {
        Self { limiter: Limiter::new(specs, 100, None), ns: AtomicU64::new(0) }
    }

    pub(crate) fn wait_ms(&self, ms: u64) {
        self.ns.fetch_add(ms * 1_000_000, Ordering::Relaxed);
    }

    fn now(&self) -> Now {
        let ns = self.ns.load(Ordering::Relaxed);
        Now { ns, unix_ms: ns / 1_000_000 }
    }
}

impl Limits for Counted {
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
