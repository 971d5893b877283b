//! Which usage plan a request comes with, and what remains of its quota.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_config::{Limit, LimitFields, RouteLimits, RoutePlan};
use portcullis_limits::{Quota, Standing};

use super::fields;
use crate::limits::{Limits, NoPlan, Subscriber, ThrottleKind, Throttled};
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
    pub(super) fn check(&self, route: &RouteLimits, record: &mut Record) -> Result<(), Rejection> {
        let Some(quota) = self.plan.plan.quota else { return Ok(()) };
        let standing = self.subscriber.standing(quota);
        if standing.remaining > 0 {
            return Ok(());
        }
        Err(self.spent((quota, standing), route, record))
    }

    /// Counts a request that everything else lets pass.
    pub(super) fn count(&self, route: &RouteLimits, record: &mut Record) -> Result<(), Rejection> {
        let quota = self.plan.plan.quota;
        match (self.subscriber.count(quota), quota) {
            // Somebody was quicker since the check.
            (Err(standing), Some(quota)) => Err(self.spent((quota, standing), route, record)),
            _ => Ok(()),
        }
    }

    /// What responses tell of the quota.
    pub(super) fn told(&self) -> Option<(String, Quota, Standing)> {
        let quota = self.plan.plan.quota?;
        Some((self.quota_name(), quota, self.subscriber.standing(quota)))
    }

    fn quota_name(&self) -> String {
        format!("plan-{}-quota", self.plan.plan.name)
    }

    fn spent(
        &self,
        (quota, standing): (Quota, Standing),
        route: &RouteLimits,
        record: &mut Record,
    ) -> Rejection {
        let name = self.quota_name();
        let limits = vec![name.clone()];
        record.throttled_by.clone_from(&limits);
        let fields: Vec<(HeaderName, HeaderValue)> = match route.fields {
            LimitFields::Never => Vec::new(),
            LimitFields::Refusals | LimitFields::Always => {
                fields::fields(&[], &[], Some((name, quota, standing)))
            }
        };
        let wait_ns = standing.wait_ns.unwrap_or_default();
        let retry_after_s = wait_ns.div_ceil(1_000_000_000).max(1);
        let kind = ThrottleKind::Quota;
        Rejection::Throttled(Throttled { kind, limits, retry_after_s, fields })
    }
}
