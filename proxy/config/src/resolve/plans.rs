//! `[plans.NAME]`, and the routes they open.

use std::sync::Arc;

use portcullis_limits::{Period, Policy, Quota};

use super::limits::{self, Throttles};
use super::{Resolver, check_names};
use crate::diagnostic::Place;
use crate::document::{self, Document};
use crate::gateway::{Api, Limit, LimitKey, Plan, Route, RoutePlan};
use crate::read::{Named, NamedEntry};
use crate::suggest;

/// Resolves every plan, and tells the routes that want one what it says of them.
pub(super) fn plans(
    document: &Document,
    apis: &mut [Api],
    throttles: &mut Throttles,
    resolver: &mut Resolver<'_>,
) -> Vec<Arc<Plan>> {
    check_names("a plan", &document.plans, resolver);
    check_state(document, apis, resolver);
    let mut plans = Vec::new();
    for entry in &document.plans.entries {
        let Some(written) = &entry.value else { continue };
        let plan = Arc::new(plan(&entry.name, written, throttles, resolver));
        let limits = PlanLimits::of(entry, written, throttles, resolver);
        check_routes(written.routes.as_ref(), apis, resolver);
        for api in apis.iter_mut() {
            let name = &api.name;
            for route in &mut api.routes {
                limits.open((&plan, &entry.place), (name, route), resolver);
            }
        }
        plans.push(plan);
    }
    plans
}

fn plan(
    name: &str,
    written: &document::Plan,
    throttles: &Throttles,
    resolver: &mut Resolver<'_>,
) -> Plan {
    let quota = written.quota.as_ref().map(|written| (quota(written), written.shared.as_ref()));
    let quota_sharing =
        quota.and_then(|(quota, shared)| throttles.quota_sharing(shared, quota, resolver));
    Plan { name: name.into(), quota: quota.map(|(quota, _)| quota), quota_sharing }
}

fn quota(written: &document::Quota) -> Quota {
    let period = match written.per {
        document::QuotaPeriod::Day => Period::Day,
        document::QuotaPeriod::Week => Period::Week,
        document::QuotaPeriod::Month => Period::Month,
    };
    Quota::new(written.limit.0.into(), period)
}

/// The limits of a plan.
struct PlanLimits {
    own: Option<Arc<Limit>>,
    /// Those of what it opens, by key; `None` opens everything.
    routes: Option<Vec<(String, Option<Arc<Limit>>)>>,
}

impl PlanLimits {
    fn of(
        entry: &NamedEntry<document::Plan>,
        written: &document::Plan,
        throttles: &mut Throttles,
        resolver: &mut Resolver<'_>,
    ) -> Self {
        let (plan, scope) = (&entry.name, format!("plans.{}", entry.name));
        let mut limit = |scope: String, name: String, written: &document::PlanThrottle| {
            let policy = limits::bucket(&written.rate, written.burst.as_ref(), resolver)?;
            let sharing = throttles.sharing(written.shared.as_ref(), policy, resolver);
            Some(throttles.add(&scope, (name, policy), (Some(LimitKey::Account), sharing)))
        };
        let own = written.throttle.as_ref();
        let own = own.and_then(|own| limit(scope.clone(), format!("plan-{plan}"), own));
        let routes = written.routes.as_ref().map(|routes| {
            let each = routes.entries.iter().map(|entry| {
                let throttle = entry.value.as_ref().and_then(|route| route.throttle.as_ref());
                let word = if entry.name.contains(' ') { "route" } else { "api" };
                let limit = throttle.and_then(|throttle| {
                    let scope = format!("{scope}.routes.\"{}\"", entry.name);
                    limit(scope, format!("plan-{plan}-{word}"), throttle)
                });
                (entry.name.clone(), limit)
            });
            each.collect()
        });
        Self { own, routes }
    }

    /// Opens a route that wants a plan, if this one does.
    fn open(
        &self,
        (plan, place): (&Arc<Plan>, &Place),
        (api, route): (&str, &mut Route),
        resolver: &mut Resolver<'_>,
    ) {
        let Some(plans) = &mut route.limits.plans else { return };
        let own_key = format!("{api} {}", route.key);
        let found = |key: &str| {
            let routes = self.routes.as_ref()?;
            routes.iter().find(|(name, _)| name == key).map(|(_, limit)| limit.as_ref())
        };
        let (of_route, of_api) = (found(&own_key), found(api));
        if self.routes.is_some() && of_route.is_none() && of_api.is_none() {
            plans.closed.push(Arc::clone(plan));
            return;
        }
        let narrow = [of_route.flatten(), of_api.flatten(), self.own.as_ref()];
        let narrow = narrow.into_iter().flatten();
        let ladder: Vec<Arc<Limit>> = narrow.chain(&route.limits.ladder).cloned().collect();
        check_ladder(&ladder, (place, route.limits.cost), resolver);
        plans.open.push(RoutePlan { plan: Arc::clone(plan), ladder });
        plans.open.sort_by(|one, other| one.plan.name.cmp(&other.plan.name));
    }
}

/// Requests that cost more than a plan's bucket holds could never pass, and names of limits
/// that are alike tell clients nothing.
fn check_ladder(ladder: &[Arc<Limit>], (place, cost): (&Place, u64), resolver: &mut Resolver<'_>) {
    for (at, limit) in ladder.iter().enumerate() {
        if limit.per != Some(LimitKey::Account) {
            continue;
        }
        let name = &limit.spec.name;
        if ladder.iter().skip(at + 1).any(|other| other.spec.name == *name) {
            resolver
                .problem(place, format!("another limit is named `{name}`, as one of this plan"));
        }
        if let Policy::Bucket(bucket) = limit.spec.policy
            && bucket.burst() < cost
        {
            let burst = bucket.burst();
            let message = format!(
                "requests of a route that the plan opens cost {cost}, and `{name}` holds {burst}"
            );
            let help = "they would never pass: raise the `burst` or lower the `cost`";
            resolver.problem_with_help(place, message, help);
        }
    }
}

/// Plans are for routes that want them, routes that want them need some, and both a place
/// where keys and their usage are kept.
fn check_state(document: &Document, apis: &[Api], resolver: &mut Resolver<'_>) {
    let mut routes = apis.iter().flat_map(|api| &api.routes);
    let wants = routes.find(|route| route.limits.plans.is_some());
    match (wants, document.plans.entries.first()) {
        (None, Some(plan)) if document.whole && apis.len() == document.apis.entries.len() => {
            let help = "write `usage_plan = \"required\"` on the routes or APIs that want one";
            resolver.problem_with_help(&plan.place, "no route looks at plans", help);
        }
        (Some(route), None) => {
            let help = "define one as `[plans.NAME]`";
            let message = "this route wants a usage plan, and there is none";
            resolver.problem_with_help(&route.place, message, help);
        }
        (Some(route), Some(_)) if document.state.is_none() => {
            let help = "set `state` to the directory that keeps API keys and what they have used";
            let message = "this route wants a usage plan, and nothing says where keys are kept";
            resolver.problem_with_help(&route.place, message, help);
        }
        _ => {}
    }
}

/// What a plan opens must be there, and want a plan.
fn check_routes(
    written: Option<&Named<document::PlanRoute>>,
    apis: &[Api],
    resolver: &mut Resolver<'_>,
) {
    for entry in written.iter().flat_map(|routes| &routes.entries) {
        let (name, key) = match entry.name.split_once(' ') {
            None => (entry.name.as_str(), None),
            Some((name, key)) => (name, Some(key)),
        };
        let Some(api) = apis.iter().find(|api| api.name == name) else {
            let known: Vec<&str> = apis.iter().map(|api| api.name.as_str()).collect();
            let help = suggest::name(name, &known);
            resolver.problem_with_help(&entry.place, format!("no api is named `{name}`"), &help);
            continue;
        };
        let is_named = |route: &&Route| key.is_none_or(|key| key == route.key);
        let named: Vec<&Route> = api.routes.iter().filter(is_named).collect();
        if let (true, Some(key)) = (named.is_empty(), key) {
            let known: Vec<&str> = api.routes.iter().map(|route| route.key.as_str()).collect();
            let help = suggest::name(key, &known);
            let message = format!("api `{name}` has no route `{key}`");
            resolver.problem_with_help(&entry.place, message, &help);
        } else if named.iter().all(|route| route.limits.plans.is_none()) {
            let help = "write `usage_plan = \"required\"` there, or leave it out here";
            let message = format!("`{}` does not look at plans", entry.name);
            resolver.problem_with_help(&entry.place, message, help);
        }
    }
}
