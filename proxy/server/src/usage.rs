//! What API keys have used, as operators see it.

use std::sync::Arc;

use portcullis_config::Plan;
use portcullis_limits::{Day, Period};
use portcullis_state::{Database, DayUsage, Kind, StateError, now_ms};
use serde::Serialize;

/// The requests of an API key, and how its quota stands.
#[derive(Debug, Serialize)]
pub struct Usage {
    /// The key's id.
    id: String,
    /// Its plan.
    plan: Option<String>,
    /// Its quota, where the plan has one.
    quota: Option<QuotaUsage>,
    /// Requests by day; days without any are left out.
    days: Vec<DayUsage>,
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

impl Usage {
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
        let days = database.usage(Kind::ApiKey, id, days)?;
        let credential = database.credential(Kind::ApiKey, id)?;
        let used = database.used(Kind::ApiKey, id, today)?;
        let plan = credential.plan.as_deref().and_then(|name| named(plans, name));
        let quota = plan.and_then(|plan| plan.quota).map(|quota| QuotaUsage {
            limit: quota.limit(),
            per: quota.period().as_str(),
            remaining: quota.remaining(used.get(quota.period()).requests),
            resets_at: quota.period().next(today).begins_ms(),
        });
        Ok(Self { id: credential.id, plan: credential.plan, quota, days })
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let plan = self.plan.as_deref().unwrap_or("-");
        let quota = self.quota.as_ref().map(|quota| {
            let until = Day::at(quota.resets_at);
            let QuotaUsage { limit, per, remaining, .. } = quota;
            format!("quota {limit} per {per}, remaining {remaining} until {until}")
        });
        let head = [format!("plan {plan}")];
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
