//! Limits as commands show them.

use portcullis_config::{Limit, LimitKey, RouteLimits, RoutePlan};
use portcullis_limits::Policy;

/// A line for each limit of a route, in the order they are asked.
pub(super) fn shown(limits: &RouteLimits) -> Vec<String> {
    let failed = limits.failed_authorizations.iter().map(|limit| one(limit));
    let plans = limits.plans.iter().flat_map(|plans| &plans.open).flat_map(plan);
    failed.chain(plans).chain(limits.ladder.iter().map(|limit| one(limit))).collect()
}

/// A line for the plan, and one for each limit of its own.
fn plan(route: &RoutePlan) -> Vec<String> {
    let name = &route.plan.name;
    let line = match route.plan.quota {
        None => format!("usage plan {name}"),
        Some(quota) => {
            let (limit, period) = (quota.limit(), quota.period().as_str());
            let shared = if route.plan.quota_sharing.is_some() { ", shared" } else { "" };
            format!("usage plan {name}: {limit} per {period}{shared}")
        }
    };
    let own = route.ladder.iter().filter(|limit| limit.per == Some(LimitKey::Account));
    std::iter::once(line).chain(own.map(|limit| one(limit))).collect()
}

fn one(limit: &Limit) -> String {
    let Limit { spec, per, sharing, .. } = limit;
    let how_much = match spec.policy {
        Policy::Bucket(bucket) => format!("{}, burst {}", bucket.rate(), bucket.burst()),
        Policy::Fixed(window) => format!("{} in each {}", window.limit(), window.cycle()),
        Policy::Sliding(window) => {
            format!("{} in any {} s", window.limit(), window.length_ms() / 1000)
        }
        Policy::InFlight(limit) => format!("{limit} in flight"),
    };
    let whose = match per {
        None => String::new(),
        Some(per) => format!(" per {per}"),
    };
    let shared = if sharing.is_some() { ", shared" } else { "" };
    format!("{}: {how_much}{whose}{shared}", spec.name)
}
