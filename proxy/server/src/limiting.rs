//! Counts what passes, by the clock of this process.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use portcullis_config::{Gateway, Limit};
use portcullis_limits::{Charge, Exceeded, LimitReading, Limiter, Now, Receipt, Spec, Taken};
use portcullis_pipeline::Limits;
use portcullis_plugin_host::PluginHost;

/// The limits of a configuration, counted in this process.
pub(crate) struct LocalLimits {
    limiter: Limiter,
    /// The clock of all configurations of the process.
    began: Instant,
}

impl LocalLimits {
    /// The limits of a configuration, with what was taken of equal ones of the last.
    pub(crate) fn new(gateway: &Gateway, plugins: &PluginHost, previous: Option<&Self>) -> Self {
        let spec = |limit: &Arc<Limit>| limit.spec.clone();
        let specs: Vec<Spec> = gateway.throttles.iter().chain(plugins.limits()).map(spec).collect();
        let known = previous.map(|previous| &previous.limiter);
        Self {
            limiter: Limiter::new(&specs, gateway.limits.throttle_keys, known),
            began: previous.map_or_else(Instant::now, |previous| previous.began),
        }
    }

    /// What is held of each limit that has keys.
    pub(crate) fn readings(&self) -> Vec<LimitReading> {
        self.limiter.readings()
    }

    fn now(&self) -> Now {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            ns: u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Limits for LocalLimits {
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
