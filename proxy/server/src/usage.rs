//! What API keys have used, as operators see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_config::{Plan, SharedLimits};
use portcullis_limits::{Day, Period, Quota};
use portcullis_state::{Database, DayUsage, Kind, StateError, now_ms};
use serde::Serialize;

use crate::limiting::CommonUsage;
pub use crate::limiting::{CommonUsageProblem, Forgiven};

/// The requests of an API key, and how its quota stands.
#[derive(Debug, Serialize)]
pub struct Usage {
    /// The key's id.
    id: String,
    /// Its plan.
    plan: Option<String>,
    /// Whose counts these are.
    counted_by: CountedBy,
    /// Its quota, where the plan has one.
    quota: Option<QuotaUsage>,
    /// Requests by day; days without any are left out.
    days: Vec<DayUsage>,
}

/// Whose counts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum CountedBy {
    /// The gateways that have this state directory.
    State,
    /// All gateways that share the quota.
    SharedLimits,
}

/// How a quota stands in its present period.
#[derive(Debug, Serialize)]
struct QuotaUsage {
    limit: u64,
    per: &'static str,
    remaining: u64,
    /// When the next period begins, in milliseconds since 1970.
    resets_at: u64,
}

/// What the state directory knows of a key's usage.
#[derive(Debug)]
pub struct OwnUsage {
    usage: Usage,
    days: (Day, Day),
    shared: Option<SharedQuota>,
}

/// A quota that gateways share, as it stands here.
#[derive(Debug)]
struct SharedQuota {
    account: String,
    quota: Quota,
    today: Day,
    /// What counts here of the present period.
    own: i64,
}

impl OwnUsage {
    /// Reads the usage of a key from one day to another: from the first of this month, and
    /// until today, where none is named.
    ///
    /// # Errors
    ///
    /// When there is no such key.
    pub fn read(
        database: &Database,
        plans: &[Arc<Plan>],
        id: &str,
        (from, to): (Option<Day>, Option<Day>),
    ) -> Result<Self, StateError> {
        let today = Day::at(now_ms());
        let days = (from.unwrap_or_else(|| Period::Month.first(today)), to.unwrap_or(today));
        let counted = database.usage(Kind::ApiKey, id, days)?;
        let credential = database.credential(Kind::ApiKey, id)?;
        let used = database.used(Kind::ApiKey, id, today)?;
        let plan = credential.plan.as_deref().and_then(|name| named(plans, name));
        let quota = plan.and_then(|plan| plan.quota);
        let own = |quota: Quota| used.get(quota.period()).requests;
        let is_shared = plan.is_some_and(|plan| plan.quota_sharing.is_some());
        let shared = quota.filter(|_| is_shared).map(|quota| SharedQuota {
            account: credential.account,
            quota,
            today,
            own: own(quota),
        });
        let quota = quota.map(|quota| QuotaUsage {
            limit: quota.limit(),
            per: quota.period().as_str(),
            remaining: quota.remaining(own(quota)),
            resets_at: quota.period().next(today).begins_ms(),
        });
        let (id, plan) = (credential.id, credential.plan);
        let usage = Usage { id, plan, counted_by: CountedBy::State, quota, days: counted };
        Ok(Self { usage, days, shared })
    }

    /// With what all gateways counted that share the key's quota, if they do.
    ///
    /// # Errors
    ///
    /// When they do, and it cannot be asked.
    pub async fn with_others(
        self,
        settings: Option<&SharedLimits>,
    ) -> Result<Usage, CommonUsageProblem> {
        let Self { mut usage, days, shared } = self;
        let (Some(shared), Some(settings)) = (shared, settings) else { return Ok(usage) };
        let mut common = CommonUsage::connect(settings).await?;
        let used = common.used(&shared.account, (shared.quota, shared.today)).await?;
        if let Some(quota) = &mut usage.quota {
            quota.remaining = shared.quota.remaining(used.unwrap_or(shared.own));
        }
        // Days before it was shared are known here only; of others, all that is here is there.
        let mut of_all = common.days(&shared.account, days).await?;
        for DayUsage { day, requests } in usage.days {
            let counted = of_all.entry(day).or_default();
            *counted = requests.max(*counted);
        }
        usage.days = listed(of_all);
        usage.counted_by = CountedBy::SharedLimits;
        Ok(usage)
    }

    /// Forgives requests where gateways share the key's quota, if they do.
    ///
    /// # Errors
    ///
    /// When they do, and it cannot be asked.
    pub async fn forgive_in_common(
        &self,
        settings: Option<&SharedLimits>,
        forgiven: Forgiven,
    ) -> Result<(), CommonUsageProblem> {
        let (Some(shared), Some(settings)) = (&self.shared, settings) else { return Ok(()) };
        let SharedQuota { account, quota, today, own } = shared;
        let mut common = CommonUsage::connect(settings).await?;
        common.forgive(account, (*quota, *today, *own), forgiven).await
    }
}

fn listed(days: BTreeMap<Day, u64>) -> Vec<DayUsage> {
    days.into_iter().map(|(day, requests)| DayUsage { day, requests }).collect()
}

impl Usage {
    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let plan = self.plan.as_deref().unwrap_or("-");
        let quota = self.quota.as_ref().map(|quota| {
            let until = Day::at(quota.resets_at);
            let QuotaUsage { limit, per, remaining, .. } = quota;
            format!("quota {limit} per {per}, remaining {remaining} until {until}")
        });
        let of_all = match self.counted_by {
            CountedBy::State => "",
            CountedBy::SharedLimits => ", counted by all gateways that share its quota",
        };
        let head = [format!("plan {plan}{of_all}")];
        let days = self.days.iter().map(|day| format!("{}  {}", day.day, day.requests));
        head.into_iter().chain(quota).chain(days).collect()
    }
}

/// Makes the quota of a key's present period whole again.
///
/// # Errors
///
/// When there is no such key, or none of these plans gives it a quota.
pub fn reset(database: &mut Database, plans: &[Arc<Plan>], id: &str) -> Result<(), StateError> {
    let plan = database.credential(Kind::ApiKey, id)?.plan;
    let plan = plan.as_deref().and_then(|name| named(plans, name));
    let Some(quota) = plan.and_then(|plan| plan.quota) else {
        return Err(StateError::Invalid(format!("`{id}` has no plan with a quota")));
    };
    database.reset_usage(Kind::ApiKey, id, (quota.period(), Day::at(now_ms())))
}

/// Adds to what remains of the quota of a key's present period.
///
/// # Errors
///
/// When there is no such key, or this is no number of requests.
pub fn extend(database: &mut Database, id: &str, requests: u64) -> Result<(), StateError> {
    database.extend_usage(Kind::ApiKey, id, (requests, Day::at(now_ms())))
}

fn named<'p>(plans: &'p [Arc<Plan>], name: &str) -> Option<&'p Plan> {
    plans.iter().map(AsRef::as_ref).find(|plan| *plan.name == *name)
}
