//! Whoever a request of a usage plan is counted for.

use std::sync::{Arc, OnceLock};

use portcullis_limits::{Quota, QuotaStanding, Standing};
use portcullis_pipeline::Subscriber;

use super::leases::KeyId;
use super::scripts;

/// Whoever a request is counted for, at the time when that was asked.
pub(crate) struct Subscribed {
    pub(super) subscriber: Arc<portcullis_state::Subscriber>,
    pub(super) time_ms: u64,
    /// What the account is called where gateways share its quota, once that is asked.
    common_id: OnceLock<KeyId>,
}

impl Subscribed {
    /// Somebody, now.
    pub(super) fn new(subscriber: Arc<portcullis_state::Subscriber>, time_ms: u64) -> Self {
        Self { subscriber, time_ms, common_id: OnceLock::new() }
    }

    /// What the account is called where gateways share its quota.
    pub(super) fn common_id(&self) -> KeyId {
        *self.common_id.get_or_init(|| scripts::account_id(self.subscriber.account()))
    }

    /// How a quota stands that is counted here.
    pub(super) fn standing(&self, quota: Quota) -> Standing {
        self.shown(self.subscriber.standing(quota, self.time_ms))
    }

    /// Counts a request, where its quota has room.
    pub(super) fn count(&self, quota: Option<Quota>) -> Result<(), Standing> {
        self.subscriber.count(quota, self.time_ms).map_err(|spent| self.shown(spent))
    }

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
}
