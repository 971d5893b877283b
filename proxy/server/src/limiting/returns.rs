//! What is given back: requests of quotas that were taken ahead and not made in time, and at
//! the end everything. What passed while Redis was away is told on the same way.

use std::sync::Arc;
use std::time::Duration;

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
    windows: Arc<Leases>,
    clock: Clock,
}

impl Returns {
    /// Gives back what these leases, of throttles, of quotas and of windows, have left.
    pub(super) fn new(link: Arc<Link>, leases: [&Arc<Leases>; 3], clock: Clock) -> Self {
        let [leases, quotas, windows] = leases.map(Arc::clone);
        Self { link, leases, quotas, windows, clock }
    }

    /// Gives back what was taken of quotas and windows and not used in time. Tokens of
    /// throttles come back by the rate.
    async fn expired(self: &Arc<Self>) {
        if self.link.connection().is_some() {
            let now = self.clock.now();
            let mut returns = self.quotas.returns(Unused::Expired, now);
            returns.extend(self.windows.returns(Unused::Expired, now));
            self.tell(returns).await;
        }
    }

    /// Gives back everything, as far as Redis takes it in time.
    pub(super) async fn all(self: &Arc<Self>) {
        if self.link.connection().is_none() {
            return;
        }
        let now = self.clock.now();
        let mut returns = self.quotas.returns(Unused::All, now);
        returns.extend(self.windows.returns(Unused::All, now));
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

    /// Tells Redis of one key.
    pub(super) async fn tell_one(&self, Return { id, counting, told }: &Return) {
        let asked = self.clock.now();
        let answered = match self.link.connection() {
            Some(connection) => self.link.put(&connection, (id, counting), (NOTHING, *told)).await,
            None => None,
        };
        let answered = answered.map(|answered| (answered, asked));
        match counting {
            Counting::Bucket(_) => {}
            Counting::Quota(_) => self.quotas.returned(id, told, answered),
            Counting::Window(_) => self.windows.returned(id, told, answered),
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
