//! Which usage plan a request comes with, and what remains of its quota.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_config::{Limit, LimitFields, RouteLimits, RoutePlan};
use portcullis_limits::{Quota, Standing};

use super::fields;
use crate::limits::{Limits, NoPlan, Subscriber, ThrottleKind, Throttled, Uncounted};
use crate::plugins::Identity;
use crate::record::Record;
use crate::rejection::Rejection;

/// A request's plan, which opens its route, and whom it counts for.
pub(super) struct Subscription<'r, S> {
    plan: &'r RoutePlan,
    subscriber: S,
}

/// Finds the plan of a request, where its route wants one.
pub(super) fn subscription<'r, L: Limits>(
    route: &'r RouteLimits,
    identity: Option<&Identity>,
    limits: &L,
    record: &mut Record,
) -> Result<Option<Subscription<'r, L::Subscriber>>, Rejection> {
    let Some(plans) = &route.plans else { return Ok(None) };
    let usage_key = identity.and_then(|identity| identity.usage_key.as_deref());
    let usage_key = usage_key.ok_or(Rejection::NoPlan(NoPlan::NoUsageKey))?;
    let subscriber = limits.subscriber(usage_key).map_err(Rejection::NoPlan)?;
    let name = subscriber.plan();
    record.usage_plan = Some(Arc::clone(name));
    // Few plans, so that looking through them is quick.
    if let Some(plan) = plans.open.iter().find(|open| open.plan.name == *name) {
        return Ok(Some(Subscription { plan, subscriber }));
    }
    let is_known = plans.closed.iter().any(|closed| closed.name == *name);
    Err(Rejection::NoPlan(if is_known { NoPlan::Closed } else { NoPlan::UnknownPlan }))
}

impl<S: Subscriber> Subscription<'_, S> {
    /// All that the request is charged to.
    pub(super) fn ladder(&self) -> &[Arc<Limit>] {
        &self.plan.ladder
    }

    /// Whose share of the plan's limits it takes.
    pub(super) fn account(&self) -> &str {
        self.subscriber.account()
    }

    /// Refuses a request whose quota is spent.
    pub(super) fn check<L: Limits<Subscriber = S>>(
        &self,
        limits: &L,
        route: &RouteLimits,
        record: &mut Record,
    ) -> Result<(), Rejection> {
        match limits.standing(&self.subscriber, &self.plan.plan) {
            Some(standing) if standing.remaining == 0 => Err(self.spent(standing, route, record)),
            _ => Ok(()),
        }
    }

    /// Counts a request that everything else lets pass.
    pub(super) async fn count<L: Limits<Subscriber = S>>(
        &self,
        limits: &L,
        route: &RouteLimits,
        record: &mut Record,
    ) -> Result<(), Rejection> {
        limits.count(&self.subscriber, &self.plan.plan).await.map_err(|uncounted| match uncounted {
            // Somebody was quicker since the check.
            Uncounted::Spent(standing) => self.spent(standing, route, record),
            Uncounted::Unavailable => Rejection::LimitsUnavailable,
        })
    }

    /// What responses tell of the quota.
    pub(super) fn told<L: Limits<Subscriber = S>>(
        &self,
        limits: &L,
    ) -> Option<(String, Quota, Standing)> {
        let plan = &self.plan.plan;
        Some((self.quota_name(), plan.quota?, limits.standing(&self.subscriber, plan)?))
    }

    fn quota_name(&self) -> String {
        format!("plan-{}-quota", self.plan.plan.name)
    }

    fn spent(&self, standing: Standing, route: &RouteLimits, record: &mut Record) -> Rejection {
        let name = self.quota_name();
        let limits = vec![name.clone()];
        record.throttled_by.clone_from(&limits);
        let fields: Vec<(HeaderName, HeaderValue)> = match (route.fields, self.plan.plan.quota) {
            (LimitFields::Refusals | LimitFields::Always, Some(quota)) => {
                fields::fields(&[], &[], Some((name, quota, standing)))
            }
            _ => Vec::new(),
        };
        let wait_ns = standing.wait_ns.unwrap_or_default();
        let retry_after_s = wait_ns.div_ceil(1_000_000_000).max(1);
        let kind = ThrottleKind::Quota;
        Rejection::Throttled(Throttled { kind, limits, retry_after_s, fields })
    }
}
