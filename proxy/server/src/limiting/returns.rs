//! What is given back: requests of quotas that were taken ahead and not made in time, and at
//! the end everything. What passed while Redis was away is told on the same way.

use std::sync::Arc;
use std::time::Duration;

use portcullis_state::now_ms;
use tokio::task::JoinSet;

use super::Clock;
use super::leases::{Counting, Leases, Return, Unused};
use super::link::Link;
use portcullis_limits::Ask;

/// How often it is looked what there is to give back.
const EVERY: Duration = Duration::from_millis(500);
/// How long giving everything back may take.
const AT_THE_END: Duration = Duration::from_secs(2);
/// Questions that are under way at the same time.
const AT_ONCE: usize = 128;
/// Nothing is asked for.
const NOTHING: Ask = Ask { need: 0, wish: 0 };

/// Gives back what leases have left.
pub(super) struct Returns {
    link: Arc<Link>,
    leases: Arc<Leases>,
    quotas: Arc<Leases>,
    clock: Clock,
}

impl Returns {
    /// Gives back what these leases, of throttles and of quotas, have left.
    pub(super) fn new(link: Arc<Link>, [leases, quotas]: [&Arc<Leases>; 2], clock: Clock) -> Self {
        Self { link, leases: Arc::clone(leases), quotas: Arc::clone(quotas), clock }
    }

    /// Gives back requests of quotas that were taken and not made in time. Tokens of
    /// throttles come back by the rate.
    async fn expired(self: &Arc<Self>) {
        if self.link.connection().is_some() {
            self.tell(self.quotas.returns(Unused::Expired, self.clock.now())).await;
        }
    }

    /// Gives back everything, as far as Redis takes it in time.
    pub(super) async fn all(self: &Arc<Self>) {
        if self.link.connection().is_none() {
            return;
        }
        let now = self.clock.now();
        let mut returns = self.quotas.returns(Unused::All, now);
        returns.extend(self.leases.returns(Unused::All, now));
        // What is late is lost: nobody waits for it.
        let _late = tokio::time::timeout(AT_THE_END, self.tell(returns)).await;
    }

    async fn tell(self: &Arc<Self>, returns: Vec<Return>) {
        let mut under_way = JoinSet::new();
        for each in returns {
            if under_way.len() >= AT_ONCE {
                under_way.join_next().await;
            }
            let own = Arc::clone(self);
            under_way.spawn(async move { own.tell_one(&each).await });
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Tells Redis one of them.
    pub(super) async fn tell_one(&self, Return { id, counting, told }: &Return) {
        let Some(connection) = self.link.connection() else {
            self.quotas.returned(id, told, None);
            return;
        };
        let scripts = &self.link.scripts;
        match counting {
            Counting::Bucket(bucket) => {
                let question = scripts.take(id, (bucket, NOTHING, told.back));
                let _left = self.link.ask(&connection, &question).await;
            }
            Counting::Quota(quota) => {
                let question = scripts.quota(quota, (NOTHING, *told), now_ms());
                let answer = self.link.ask(&connection, &question).await;
                let answer = answer.map(|(_, left, epoch)| (left, epoch));
                self.quotas.returned(id, told, answer);
            }
        }
    }
}

/// Gives back what expires, for as long as there is somebody to do it for.
pub(super) async fn keep(returns: impl Fn() -> Option<Arc<Returns>>) {
    while let Some(returns) = returns() {
        returns.expired().await;
        drop(returns);
        tokio::time::sleep(EVERY).await;
    }
}
