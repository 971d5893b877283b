//! `[apis.NAME.stages.STAGE]`: an API becomes one API for each of its stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::limits::{BeforeRoutes, Ladder, Throttles};
use super::names::Names;
use super::{Resolver, api, route};
use crate::diagnostic::Place;
use crate::document::{self, Text};
use crate::gateway::{Api, HostPattern, Integration, Route, RouteMatch, Stage, Upstream};
use crate::read::{Named, NamedEntry};
use crate::suggest;

/// The name of the stage that a path says nothing of, as on AWS.
const DEFAULT: &str = "$default";

/// Values that a stage may have, and bytes that each may have: AWS has 100 of 2,048.
const MOST_VALUES: usize = 100;
const VALUE_BYTES: usize = 2_048;

/// A stage with what it says of its API.
struct Served<'d> {
    entry: &'d NamedEntry<document::Stage>,
    written: &'d document::Stage,
    stage: Arc<Stage>,
    hosts: Option<Vec<HostPattern>>,
    upstreams: Vec<Instead<'d>>,
}

/// An upstream that answers in the place of another.
struct Instead<'d> {
    place: &'d Place,
    of: &'d str,
    upstream: Option<Arc<Upstream>>,
}

/// The stages of an API.
pub(super) struct Stages<'d> {
    api: &'d document::Api,
    stages: Vec<Served<'d>>,
}

impl<'d> Stages<'d> {
    /// Those written for an API.
    pub(super) fn of(
        (name, api): (&str, &'d document::Api),
        upstreams: &Names<Arc<Upstream>>,
        resolver: &mut Resolver<'_>,
    ) -> Self {
        let mut stages = Vec::new();
        if api.stages.as_ref().is_some_and(|stages| stages.entries.is_empty()) {
            let message = format!("api `{name}` has no stage to be served at");
            let help = "define one as `[apis.NAME.stages.STAGE]`, or leave `stages` out";
            resolver.problem_with_help(&api.place, message, help);
        }
        for entry in api.stages.iter().flat_map(|stages| &stages.entries) {
            check_name(entry, resolver);
            let Some(written) = &entry.value else { continue };
            let hosts = api::hosts(written.hosts.as_ref(), &entry.place, resolver);
            let upstreams = written.upstreams.entries.iter().map(|entry| {
                let named = entry.value.as_ref();
                let find = |text: &Text| upstreams.find(&text.value, &text.place, resolver);
                Instead { place: &entry.place, of: &entry.name, upstream: named.and_then(find) }
            });
            let upstreams = upstreams.collect();
            let base_path = match &written.base_path {
                Some(_) => api::base_path(written.base_path.as_ref(), resolver),
                None if entry.name == DEFAULT || hosts.is_some() => String::new(),
                None => format!("/{}", entry.name),
            };
            let values = values(&written.values, resolver);
            let stage = Arc::new(Stage { name: entry.name.clone(), base_path, values });
            stages.push(Served { entry, written, stage, hosts, upstreams });
        }
        Self { api, stages }
    }

    /// What values of stages may be taken from.
    pub(super) fn stages(&self) -> Vec<Arc<Stage>> {
        self.stages.iter().map(|served| Arc::clone(&served.stage)).collect()
    }

    /// The API at each stage; itself where it has none.
    ///
    /// Its routes are those of no stage, and the limits added since `before` are theirs.
    pub(super) fn serve(
        &self,
        api: Api,
        (ladder, before): (&Ladder, BeforeRoutes),
        throttles: &mut Throttles,
        resolver: &mut Resolver<'_>,
    ) -> Vec<Api> {
        if self.stages.is_empty() {
            return vec![api];
        }
        throttles.forget_routes(before);
        let mut apis: Vec<Api> = Vec::new();
        for served in &self.stages {
            let limits =
                throttles.of_stage((served.entry, served.written), (ladder, before), resolver);
            let mut routes = Vec::new();
            for route in &api.routes {
                let mut route = route.clone();
                let parameters = route::parameters(&route.matches);
                throttles.at_stage(&mut route, (&limits, &parameters), resolver);
                served.move_route(&mut route);
                routes.push(route);
            }
            served.check((self.api, &api), resolver);
            let at_stage = served.api(&api, routes);
            check_reached(served, (&apis, &at_stage), resolver);
            apis.push(at_stage);
        }
        apis
    }
}

impl Served<'_> {
    fn api(&self, api: &Api, routes: Vec<Route>) -> Api {
        Api {
            name: api.name.clone(),
            stage: Some(Arc::clone(&self.stage)),
            hosts: self.hosts.as_ref().unwrap_or(&api.hosts).clone(),
            base_path: format!("{}{}", self.stage.base_path, api.base_path),
            resource: Arc::clone(&api.resource),
            cors: api.cors.clone(),
            guard: api.guard.clone(),
            errors: api.errors,
            routes,
        }
    }

    /// Puts a route below the stage's path, and its upstream's stand-in in its place.
    fn move_route(&self, route: &mut Route) {
        let prefix = &self.stage.base_path;
        if let RouteMatch::Path { pattern, .. } = &mut route.matches {
            *pattern = pattern.below(prefix);
        }
        if let Integration::Proxy { upstream, path } = &mut route.integration {
            *path = path.clone().below(prefix);
            let mut instead = self.upstreams.iter();
            let instead = instead.find(|instead| instead.of == upstream.name);
            if let Some(instead) = instead.and_then(|instead| instead.upstream.as_ref()) {
                *upstream = Arc::clone(instead);
            }
        }
    }

    /// Notes what the stage says of routes and upstreams that its API does not have.
    fn check(&self, (written, api): (&document::Api, &Api), resolver: &mut Resolver<'_>) {
        // A route that has a problem of its own is known all the same.
        let keys = written.routes.entries.iter().map(|entry| entry.name.as_str());
        let mut keys: Vec<&str> = keys.collect();
        let resolved = api.routes.iter().map(|route| route.key.as_str());
        let is_whole = keys.iter().all(|key| resolved.clone().any(|resolved| resolved == *key));
        keys.extend(resolved.filter(|key| !keys.contains(key)).collect::<Vec<_>>());
        for entry in &self.written.routes.entries {
            if entry.value.as_ref().is_some_and(|route| {
                route.whole && route.throttle.is_none() && route.concurrency.is_none()
            }) {
                let help = "set a `throttle` or a `concurrency`";
                resolver.problem_with_help(&entry.place, "nothing is different here", help);
            }
            if !keys.contains(&entry.name.as_str()) {
                let message = format!("api `{}` has no route `{}`", api.name, entry.name);
                let help = suggest::name(&entry.name, &keys);
                resolver.problem_with_help(&entry.place, message, &help);
            }
        }
        if !is_whole {
            return;
        }
        let mut known: Vec<&str> = Vec::new();
        for route in &api.routes {
            if let Integration::Proxy { upstream, .. } = &route.integration
                && !known.contains(&upstream.name.as_str())
            {
                known.push(&upstream.name);
            }
        }
        for instead in self.upstreams.iter().filter(|instead| !known.contains(&instead.of)) {
            let message = format!("no route of api `{}` goes to `{}`", api.name, instead.of);
            resolver.problem_with_help(instead.place, message, &suggest::name(instead.of, &known));
        }
    }
}

/// Notes a stage all of whose requests come to an earlier one.
fn check_reached(served: &Served<'_>, (others, own): (&[Api], &Api), resolver: &mut Resolver<'_>) {
    let meets = |other: &&Api| other.base_path == own.base_path && other.meets(own);
    let other = others.iter().find(meets).and_then(|other| other.stage.as_ref());
    if let Some(other) = other {
        let message =
            format!("stages `{}` and `{}` have the same address", other.name, served.stage.name);
        let help = "give one of them another `base_path`, or `hosts` of its own";
        resolver.problem_with_help(&served.entry.place, message, help);
    }
}

fn check_name(entry: &NamedEntry<document::Stage>, resolver: &mut Resolver<'_>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_plain = !entry.name.is_empty() && entry.name.chars().all(plain);
    if !is_plain && entry.name != DEFAULT {
        let message = format!("`{}` cannot name a stage", entry.name);
        let help = "names hold letters, digits, `_` and `-`; `$default` is one too";
        resolver.problem_with_help(&entry.place, message, help);
    }
}

fn values(written: &Named<Text>, resolver: &mut Resolver<'_>) -> BTreeMap<String, String> {
    super::check_names("a value of a stage", written, resolver);
    if let Some(entry) = written.entries.get(MOST_VALUES) {
        let message = format!("a stage has at most {MOST_VALUES} values");
        resolver.problem(&entry.place, message);
    }
    let mut values = BTreeMap::new();
    for entry in &written.entries {
        let Some(text) = &entry.value else { continue };
        if text.value.len() > VALUE_BYTES {
            let message = format!("a value of a stage has at most {VALUE_BYTES} bytes");
            resolver.problem(&text.place, message);
        } else if text.value.chars().any(char::is_control) {
            let message = "a value of a stage has no control characters";
            resolver.problem(&text.place, message);
        } else {
            values.insert(entry.name.clone(), text.value.clone());
        }
    }
    values
}

/// Notes that a stage is named where there is none.
pub(super) fn no_stage(place: &Place, resolver: &mut Resolver<'_>) {
    let message = "the api has no stages";
    let help = "define one as `[apis.NAME.stages.STAGE]`";
    resolver.problem_with_help(place, message, help);
}

/// Notes that a value is named which not every stage has.
pub(super) fn check_value(
    name: &str,
    (stages, place): (&[Arc<Stage>], &Place),
    resolver: &mut Resolver<'_>,
) {
    if stages.is_empty() {
        no_stage(place, resolver);
    }
    for stage in stages.iter().filter(|stage| !stage.values.contains_key(name)) {
        let known: Vec<&str> = stage.values.keys().map(String::as_str).collect();
        let message = format!("stage `{}` has no value `{name}`", stage.name);
        resolver.problem_with_help(place, message, &suggest::name(name, &known));
    }
}
