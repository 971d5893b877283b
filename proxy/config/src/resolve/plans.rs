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
            let names = names_of(api);
            for route in &mut api.routes {
                limits.open((&plan, &entry.place), (&names, route), resolver);
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
                let word = match Opened::of(&entry.name) {
                    Opened { stage: None, key: None, .. } => "api",
                    Opened { stage: None, key: Some(_), .. } => "route",
                    Opened { stage: Some(_), key: None, .. } => "stage",
                    Opened { stage: Some(_), key: Some(_), .. } => "stage-route",
                };
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
        (names, route): (&[String], &mut Route),
        resolver: &mut Resolver<'_>,
    ) {
        let Some(plans) = &mut route.limits.plans else { return };
        let of_route = names.iter().map(|name| format!("{name} {}", route.key));
        let of_all = names.iter().cloned();
        let mut narrow: Vec<&Arc<Limit>> = Vec::new();
        let mut is_open = self.routes.is_none();
        for key in of_route.chain(of_all) {
            let mut opened = self.routes.iter().flatten();
            if let Some((_, limit)) = opened.find(|(name, _)| *name == key) {
                is_open = true;
                narrow.extend(limit);
            }
        }
        if !is_open {
            plans.closed.push(Arc::clone(plan));
            return;
        }
        let narrow = narrow.into_iter().chain(&self.own);
        let ladder: Vec<Arc<Limit>> = narrow.chain(&route.limits.ladder).cloned().collect();
        check_ladder(&ladder, (place, route.limits.cost), resolver);
        plans.open.push(RoutePlan { plan: Arc::clone(plan), ladder });
        plans.open.sort_by(|one, other| one.plan.name.cmp(&other.plan.name));
    }
}

/// What plans may open an API by, narrowest first: its stage, and its name.
fn names_of(api: &Api) -> Vec<String> {
    let stage = api.stage.iter().map(|stage| format!("{}/{}", api.name, stage.name));
    stage.chain([api.name.clone()]).collect()
}

/// What a plan opens: `API`, `API/STAGE`, or a route of one.
struct Opened<'k> {
    api: &'k str,
    stage: Option<&'k str>,
    key: Option<&'k str>,
}

impl<'k> Opened<'k> {
    fn of(written: &'k str) -> Self {
        let (name, key) = match written.split_once(' ') {
            None => (written, None),
            Some((name, key)) => (name, Some(key)),
        };
        match name.split_once('/') {
            None => Self { api: name, stage: None, key },
            Some((api, stage)) => Self { api, stage: Some(stage), key },
        }
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
        (None, Some(plan)) if document.whole && all_resolved(document, apis) => {
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

fn all_resolved(document: &Document, apis: &[Api]) -> bool {
    document.apis.entries.iter().all(|entry| apis.iter().any(|api| api.name == entry.name))
}

/// What a plan opens must be there, and want a plan.
fn check_routes(
    written: Option<&Named<document::PlanRoute>>,
    apis: &[Api],
    resolver: &mut Resolver<'_>,
) {
    for entry in written.iter().flat_map(|routes| &routes.entries) {
        let Opened { api: name, stage, key } = Opened::of(&entry.name);
        let of_name: Vec<&Api> = apis.iter().filter(|api| api.name == name).collect();
        if of_name.is_empty() {
            let known: Vec<&str> = apis.iter().map(|api| api.name.as_str()).collect();
            let help = suggest::name(name, &known);
            resolver.problem_with_help(&entry.place, format!("no api is named `{name}`"), &help);
            continue;
        }
        let stage_of = |api: &&Api| api.stage.as_ref().map(|stage| stage.name.clone());
        let is_meant = |api: &&Api| stage.is_none() || stage_of(api).as_deref() == stage;
        let meant: Vec<&Api> = of_name.iter().copied().filter(is_meant).collect();
        if let (true, Some(stage)) = (meant.is_empty(), stage) {
            let known: Vec<String> = of_name.iter().filter_map(stage_of).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let message = format!("api `{name}` has no stage `{stage}`");
            resolver.problem_with_help(&entry.place, message, &suggest::name(stage, &known));
            continue;
        }
        let routes = || meant.iter().flat_map(|api| &api.routes);
        let is_named = |route: &&Route| key.is_none_or(|key| key == route.key);
        let mut named = routes().filter(is_named).peekable();
        if let (None, Some(key)) = (named.peek(), key) {
            let mut known: Vec<&str> = routes().map(|route| route.key.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            let help = suggest::name(key, &known);
            let message = format!("api `{name}` has no route `{key}`");
            resolver.problem_with_help(&entry.place, message, &help);
        } else if named.all(|route| route.limits.plans.is_none()) {
            let help = "write `usage_plan = \"required\"` there, or leave it out here";
            let message = format!("`{}` does not look at plans", entry.name);
            resolver.problem_with_help(&entry.place, message, help);
        }
    }
}
