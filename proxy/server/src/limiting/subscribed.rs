//! Whoever a request of a usage plan is counted for.

use std::sync::Arc;

use portcullis_limits::{Quota, QuotaStanding, Standing};
use portcullis_pipeline::Subscriber;

/// Whoever a request is counted for, at the time when that was asked.
pub(crate) struct Subscribed {
    pub(super) subscriber: Arc<portcullis_state::Subscriber>,
    pub(super) time_ms: u64,
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
