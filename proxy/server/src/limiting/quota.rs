//! Quotas that several gateways share: counted for a request, and as operators see them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::{Plan, SharedLimits, WhenAway};
use portcullis_limits::{Day, Period, Quota, QuotaSharing, Standing};
use portcullis_pipeline::Uncounted;
use portcullis_state::now_ms;
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, RedisError};

use super::GatewayLimits;
use super::common::{Answer, Common};
use super::leases::{Counting, Want};
use super::link::Link;
use super::scripts::{CommonQuota, Forgiven, account_id};
use super::subscribed::Subscribed;

/// How long operators wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Months that are looked at for usage by day, at the most: no more are kept.
const MONTHS: usize = 15;

impl GatewayLimits {
    /// Where the quota of a plan is counted, and how it is shared; `None` where it is not.
    pub(super) fn common_quota(&self, plan: &Plan) -> Option<(&Arc<Common>, QuotaSharing)> {
        Some((self.common.as_ref()?, plan.quota_sharing?))
    }

    /// How a quota stands, as far as it is known here.
    pub(super) fn standing_in_common(
        &self,
        subscriber: &Subscribed,
        common: &Common,
        (quota, sharing): (Quota, QuotaSharing),
    ) -> Standing {
        let (want, counted) = wanted(subscriber, (quota, sharing));
        let remaining = match common.is_spent(&want, self.clock.now()) {
            true => 0,
            false => {
                let known = common.remaining(&want, self.clock.now());
                known.unwrap_or_else(|| quota.remaining(counted.own)).clamp(1, quota.limit())
            }
        };
        Standing { remaining, wait_ns: Some(counted.ends_in_ns(subscriber.time_ms)) }
    }

    /// Counts a request in common, and here.
    pub(super) async fn count_in_common(
        &self,
        subscriber: &Subscribed,
        common: &Arc<Common>,
        (quota, sharing): (Quota, QuotaSharing),
    ) -> Result<(), Uncounted> {
        let (want, counted) = wanted(subscriber, (quota, sharing));
        let wait_ns = Some(counted.ends_in_ns(subscriber.time_ms));
        let spent = || Uncounted::Spent(Standing { remaining: 0, wait_ns });
        let deadline = tokio::time::Instant::now() + common.timeout();
        let owe = |part| common.quotas().owe(&want, (&counted, part), self.clock.now());
        match (common.take(&want, (|| self.clock.now(), deadline)).await, common.when_away()) {
            (Answer::Taken(_), _) => {}
            (Answer::Short(_), _) => return Err(spent()),
            (Answer::Away, WhenAway::Deny) => return Err(Uncounted::Unavailable),
            (Answer::Away, WhenAway::Allow) => {
                owe(None);
            }
            (Answer::Away, WhenAway::Local) => {
                if !owe(Some(sharing)) {
                    return Err(spent());
                }
            }
        }
        subscriber.count(None).map_err(Uncounted::Spent)
    }
}

/// What a request takes of a quota.
fn wanted(subscriber: &Subscribed, (quota, sharing): (Quota, QuotaSharing)) -> (Want, CommonQuota) {
    let (period, time_ms) = (quota.period(), subscriber.time_ms);
    let counted = CommonQuota {
        account: subscriber.common_id(),
        limit: quota.limit(),
        period,
        today: Day::at(time_ms),
        own: subscriber.subscriber.used(period, time_ms),
        parts: sharing.gateways.saturating_mul(2),
    };
    let counting = Counting::Quota(counted);
    (Want { id: counted.id(), counting, terms: sharing.terms, cost: 1 }, counted)
}

/// What all gateways together counted of shared quotas, as operators see and change it.
pub(crate) struct CommonUsage {
    link: Link,
    redis: MultiplexedConnection,
}

/// Why it cannot be seen or changed.
#[derive(Debug, thiserror::Error)]
#[error("the quota is shared, and the Redis that counts it cannot be asked: {0}")]
pub struct CommonUsageProblem(#[from] RedisError);

impl CommonUsage {
    /// Connects to where shared limits are counted.
    ///
    /// # Errors
    ///
    /// Where Redis does not answer.
    pub(crate) async fn connect(settings: &SharedLimits) -> Result<Self, CommonUsageProblem> {
        let timeout = settings.timeout.max(PATIENCE);
        let link = Link::new(&SharedLimits { timeout, ..settings.clone() })?;
        let redis = link.connect().await?;
        Ok(Self { link, redis })
    }

    /// What counts of the present period: none yet where `None`; fewer than none, where more
    /// were forgiven than made. What gateways have taken ahead counts.
    ///
    /// # Errors
    ///
    /// Where Redis does not answer.
    pub(crate) async fn used(
        &mut self,
        account: &str,
        (quota, today): (Quota, Day),
    ) -> Result<Option<i64>, CommonUsageProblem> {
        let key = self.link.scripts.period(&of_account(account, (quota, today), 0));
        let taken = self.redis.hget(key, "taken").await?;
        Ok(taken.and_then(|taken| taken.parse().ok()))
    }

    /// Requests by day.
    ///
    /// # Errors
    ///
    /// Where Redis does not answer.
    pub(crate) async fn days(
        &mut self,
        account: &str,
        (from, to): (Day, Day),
    ) -> Result<BTreeMap<Day, u64>, CommonUsageProblem> {
        let (mut days, account) = (BTreeMap::new(), account_id(account));
        let mut month = to;
        for _ in 0..MONTHS {
            let key = self.link.scripts.month(&account, month);
            for (day, requests) in self.redis.hgetall(key).await? {
                let (Ok(day), Ok(requests)) = (day.parse(), requests.parse()) else { continue };
                let day = Day::from_number(day);
                if (from..=to).contains(&day) && requests > 0 {
                    days.insert(day, requests);
                }
            }
            let first = Period::Month.first(month);
            if first <= from {
                break;
            }
            month = Day::from_number(first.number().saturating_sub(1));
        }
        Ok(days)
    }

    /// Forgives requests of the present period. `own` is what counts here, where nothing is
    /// counted in common yet.
    ///
    /// # Errors
    ///
    /// Where Redis does not answer.
    pub(crate) async fn forgive(
        &mut self,
        account: &str,
        (quota, today, own): (Quota, Day, i64),
        forgiven: Forgiven,
    ) -> Result<(), CommonUsageProblem> {
        let quota = of_account(account, (quota, today), own);
        let question = self.link.scripts.forgive(&quota, forgiven, now_ms());
        let _left: i64 = question.invoke_async(&mut self.redis).await?;
        Ok(())
    }
}

fn of_account(account: &str, (quota, today): (Quota, Day), own: i64) -> CommonQuota {
    let (limit, period) = (quota.limit(), quota.period());
    CommonQuota { account: account_id(account), limit, period, today, own, parts: 1 }
}
