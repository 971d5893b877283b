//! Routes that could never be reached because another takes their requests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Resolver;
use crate::diagnostic::Place;
use crate::gateway::{Api, HostPattern, Route, RouteMatch};
use crate::path::Segment;

/// What tells one route's requests from another's.
#[derive(PartialEq, Eq, Hash)]
struct Reach {
    host: Option<HostPattern>,
    method: Option<http::Method>,
    shape: String,
}

/// Notes each route that matches just what an earlier one does on some host, or whose paths
/// are those of a stage.
pub(super) fn check(apis: &[Api], resolver: &mut Resolver<'_>) {
    for api in apis {
        check_stages(api, apis, resolver);
    }
    let mut taken: HashMap<Reach, Place> = HashMap::new();
    for api in apis {
        for route in &api.routes {
            check_route(api, route, &mut taken, resolver);
        }
    }
}

/// Notes the API's routes that another API's stage takes the requests of: whatever its base
/// path stands before is the stage's.
fn check_stages(api: &Api, apis: &[Api], resolver: &mut Resolver<'_>) {
    let base = |api: &Api| format!("{}/", api.base_path);
    for other in apis.iter().filter(|other| other.is_apart() && other.meets(api)) {
        // Of stages within each other, the longer path's is asked; those of one path are one.
        if api.is_apart() && base(api).starts_with(&base(other)) {
            continue;
        }
        for route in &api.routes {
            let path = match &route.matches {
                RouteMatch::Path { pattern, .. } => format!("{pattern}/"),
                RouteMatch::Default => base(api),
            };
            if path.starts_with(&base(other)) {
                let message = format!("route `{}` is never reached{}", route.key, on(api, other));
                let stage = other.stage.as_ref().map_or("", |stage| stage.name.as_str());
                let help = format!(
                    "what is below `{}` is stage `{stage}` of api `{}`",
                    other.base_path, other.name
                );
                resolver.problem_with_help(&route.place, message, &help);
            }
        }
    }
}

/// The hosts that two APIs share, where one of them has others too.
fn on(api: &Api, other: &Api) -> String {
    let shared: Vec<&HostPattern> =
        api.hosts.iter().filter(|host| other.hosts.contains(host)).collect();
    if shared.len() == api.hosts.len() {
        return String::new();
    }
    let shown = shared.into_iter().map(|host| match host {
        HostPattern::Exact(name) => format!("`{name}`"),
        HostPattern::Wildcard(suffix) => format!("`*.{suffix}`"),
    });
    format!(" on {}", shown.collect::<Vec<_>>().join(", "))
}

fn check_route(
    api: &Api,
    route: &Route,
    taken: &mut HashMap<Reach, Place>,
    resolver: &mut Resolver<'_>,
) {
    let mut hosts: Vec<Option<HostPattern>> = api.hosts.iter().cloned().map(Some).collect();
    if hosts.is_empty() {
        hosts.push(None);
    }
    let mut other = None;
    for host in hosts {
        let (method, shape) = reach(api, route);
        match taken.entry(Reach { host, method, shape }) {
            Entry::Vacant(free) => {
                free.insert(route.place.clone());
            }
            Entry::Occupied(entry) if *entry.get() != route.place => {
                other = Some(entry.get().clone());
            }
            // The API names a host twice.
            Entry::Occupied(_) => {}
        }
    }
    if let Some(other) = other {
        let message = format!("route `{}` is never reached", route.key);
        let help = format!("the one at {other} takes its requests");
        resolver.problem_with_help(&route.place, message, &help);
    }
}

fn reach(api: &Api, route: &Route) -> (Option<http::Method>, String) {
    let (method, pattern) = match &route.matches {
        RouteMatch::Default => return (None, format!("$default {}", api.base_path)),
        RouteMatch::Path { method, pattern } => (method.clone(), pattern),
    };
    let segment = |segment: &Segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Parameter(_) => "/{}".to_owned(),
        Segment::Greedy(_) => "/{+}".to_owned(),
    };
    (method, pattern.segments().iter().map(segment).collect())
}
