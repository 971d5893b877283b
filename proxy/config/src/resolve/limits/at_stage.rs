//! Limits where an API has stages: each stage has its own, and its own of every route.

use std::sync::Arc;

use portcullis_limits::Policy;

use super::{Ladder, Level, Throttles, check_costs, check_keys};
use crate::diagnostic::Place;
use crate::document;
use crate::gateway::{Limit, Route};
use crate::read::NamedEntry;
use crate::resolve::Resolver;
use crate::resolve::mapping::Around;

/// How many limits there were before those of an API's routes.
#[derive(Debug, Clone, Copy)]
pub(in crate::resolve) struct BeforeRoutes(usize);

/// The limits of a stage.
pub(in crate::resolve) struct StageLimits<'d> {
    scope: String,
    place: &'d Place,
    written: &'d document::Stage,
    own: Vec<Arc<Limit>>,
    before: BeforeRoutes,
}

impl Throttles {
    /// How many there are now.
    pub(in crate::resolve) fn before_routes(&self) -> BeforeRoutes {
        BeforeRoutes(self.all.len())
    }

    /// Forgets the limits of an API's routes, from which those at its stages are made.
    pub(in crate::resolve) fn forget_routes(&mut self, before: BeforeRoutes) {
        self.all.truncate(before.0);
    }

    /// Those of a stage.
    pub(in crate::resolve) fn of_stage<'d>(
        &mut self,
        (entry, written): (&'d NamedEntry<document::Stage>, &'d document::Stage),
        (api, before): (&Ladder, BeforeRoutes),
        resolver: &mut Resolver<'_>,
    ) -> StageLimits<'d> {
        // Quoted, since names of APIs may hold dots.
        let scope = format!("{}.stages.\"{}\"", api.scope, entry.name);
        let level = Level {
            scope: scope.clone(),
            word: "stage",
            throttle: written.throttle.as_ref(),
            concurrency: written.concurrency.as_ref(),
            wider: api.limits.iter().chain(&self.gateway).cloned().collect(),
        };
        let own = self.level(&level, resolver);
        StageLimits { scope, place: &entry.place, written, own, before }
    }

    /// Makes the limits of a route those that it has at a stage.
    pub(in crate::resolve) fn at_stage(
        &mut self,
        route: &mut Route,
        (stage, parameters): (&StageLimits<'_>, &[String]),
        resolver: &mut Resolver<'_>,
    ) {
        let instead = stage.written.routes.entries.iter().find(|entry| entry.name == route.key);
        let instead = instead.and_then(|entry| Some((&entry.place, entry.value.as_ref()?)));
        let of_api = |limit: &Arc<Limit>| limit.index < stage.before.0;
        let (wider, of_route): (Vec<_>, Vec<_>) =
            std::mem::take(&mut route.limits.ladder).into_iter().partition(of_api);
        let scope = format!("{}.routes.\"{}\"", stage.scope, route.key);
        let mut ladder = Vec::new();
        for limit in of_route {
            let is_replaced = instead.is_some_and(|(_, instead)| match limit.spec.policy {
                Policy::InFlight(_) => instead.concurrency.is_some(),
                _ => instead.throttle.is_some(),
            });
            if !is_replaced {
                let counted = (limit.spec.name.clone(), limit.spec.policy);
                ladder.push(self.add(&scope, counted, (limit.per.clone(), limit.sharing)));
            }
        }
        if let Some((place, instead)) = instead {
            let level = Level {
                scope,
                word: "route",
                throttle: instead.throttle.as_ref(),
                concurrency: instead.concurrency.as_ref(),
                wider: ladder.iter().chain(&stage.own).chain(&wider).cloned().collect(),
            };
            let own = self.level(&level, resolver);
            let around = Around {
                parameters: Some(parameters),
                access: Some(&route.access),
                ..Around::default()
            };
            check_keys(&level, around, resolver);
            check_costs((place, route.limits.cost), &own, resolver);
            ladder.extend(own);
        }
        check_stage(route, (stage, &ladder), resolver);
        ladder.extend(stage.own.iter().cloned());
        ladder.extend(wider);
        // Stable: within each half the narrowest level stays first.
        ladder.sort_by_key(|limit| limit.per.is_none());
        route.limits.ladder = ladder;
    }
}

/// A stage's own limits must let each of its routes pass, and be told from theirs.
fn check_stage(
    route: &Route,
    (stage, of_route): (&StageLimits<'_>, &[Arc<Limit>]),
    resolver: &mut Resolver<'_>,
) {
    check_costs((stage.place, route.limits.cost), &stage.own, resolver);
    for limit in &stage.own {
        let name = &limit.spec.name;
        if of_route.iter().any(|other| other.spec.name == *name) {
            let message = format!("a limit of route `{}` is named `{name}` too", route.key);
            resolver.problem(stage.place, message);
        }
    }
}
