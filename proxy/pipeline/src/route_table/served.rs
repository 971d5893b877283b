//! A route with the API it belongs to.

use std::sync::Arc;

use portcullis_config::{
    Api, ApiResource, Cors, Errors, Guard, HostPattern, Integration, Route, RouteMatch, Segment,
    Stage,
};
use sha2::{Digest as _, Sha256};

use crate::phase::canonical::{CanonicalPath, decode, split_segment};
use crate::route_table::rewrite::Rewrite;

/// The index of a route in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub usize);

/// A route in service.
#[derive(Debug)]
pub struct ServedRoute {
    /// Its index.
    pub id: RouteId,
    /// Its API's name.
    pub api: String,
    /// Its API's stage, where that has any.
    pub stage: Option<Arc<Stage>>,
    /// The hosts it is served on; empty for all.
    pub hosts: Vec<HostPattern>,
    /// Its API's base path, the stage's included.
    pub base_path: String,
    /// Its API as policies know it.
    pub resource: Arc<ApiResource>,
    /// What pages of other origins may do where its API has no route.
    pub api_cors: Option<Arc<Cors>>,
    /// Its API's guard.
    pub guard: Option<Arc<Guard>>,
    /// How its API words refusals.
    pub errors: Errors,
    /// What to do.
    pub route: Route,
    rewrite: Option<Rewrite>,
    /// Whether what is below the base path is nobody else's.
    is_apart: bool,
    /// What tells its stage from others, by name and values.
    stage_digest: Option<[u8; 32]>,
}

impl ServedRoute {
    /// A route of this API.
    pub(crate) fn new(id: RouteId, api: &Api, route: Route) -> Self {
        let rewrite = match &route.integration {
            Integration::Proxy { path, .. } => Rewrite::new(path),
            Integration::Respond(_) => None,
        };
        Self {
            id,
            api: api.name.clone(),
            stage: api.stage.clone(),
            hosts: api.hosts.clone(),
            base_path: api.base_path.clone(),
            resource: Arc::clone(&api.resource),
            api_cors: api.cors.clone(),
            guard: api.guard.clone(),
            errors: api.errors,
            route,
            rewrite,
            is_apart: api.is_apart(),
            stage_digest: api.stage.as_deref().map(stage_digest),
        }
    }

    /// The name of its API's stage, where that has any.
    pub fn stage_name(&self) -> Option<&str> {
        self.stage.as_ref().map(|stage| stage.name.as_str())
    }

    /// What tells its stage from others, made once for all requests.
    pub(crate) fn stage_digest(&self) -> Option<[u8; 32]> {
        self.stage_digest
    }

    /// Whether what is below the base path is nobody else's.
    pub(crate) fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// The value of a path parameter, decoded where it is UTF-8.
    pub fn parameter(&self, path: &CanonicalPath, name: &str) -> Option<String> {
        self.raw_parameter(path, name).map(decoded)
    }

    /// The value of a path parameter as it stands in the canonical path.
    pub(crate) fn raw_parameter<'a>(
        &'a self,
        path: &'a CanonicalPath,
        name: &str,
    ) -> Option<&'a str> {
        self.raw_parameters(path).find(|(found, _)| *found == name).map(|(_, raw)| raw)
    }

    /// The path parameters, in order, decoded where they are UTF-8.
    pub fn parameters(&self, path: &CanonicalPath) -> Vec<(String, String)> {
        self.raw_parameters(path).map(|(name, raw)| (name.to_owned(), decoded(raw))).collect()
    }

    /// The names of the path parameters, in order.
    pub(crate) fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.segments().iter().filter_map(name_of)
    }

    /// The path that the upstream sees, where the route rewrites it.
    pub(crate) fn rewritten(&self, raw: &str, path: &CanonicalPath) -> Option<String> {
        self.rewrite.as_ref()?.apply(raw, path)
    }

    /// Paths in order, the methods of each beside each other, `$default` last.
    pub(crate) fn printing_order(&self) -> (bool, String, String) {
        match &self.route.matches {
            RouteMatch::Path { method, pattern } => {
                // `~` sorts after every method, so `ANY` follows them.
                let method = method.as_ref().map_or("~", |method| method.as_str());
                (false, pattern.to_string(), method.to_owned())
            }
            RouteMatch::Default => (true, self.base_path.clone(), String::new()),
        }
    }

    fn segments(&self) -> &[Segment] {
        match &self.route.matches {
            RouteMatch::Path { pattern, .. } => pattern.segments(),
            RouteMatch::Default => &[],
        }
    }

    fn raw_parameters<'a>(
        &'a self,
        path: &'a CanonicalPath,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = Some(path.tail());
        let matched = self.segments().iter().map_while(move |segment| {
            let here = rest?;
            let (first, after) = split_segment(here);
            rest = after;
            let text = if matches!(segment, Segment::Greedy(_)) { here } else { first };
            Some((name_of(segment), text))
        });
        matched.filter_map(|(name, text)| Some((name?, text)))
    }
}

/// A digest of a stage's name and values, each with its length, so that no two digest alike by
/// moving a border.
pub(crate) fn stage_digest(stage: &Stage) -> [u8; 32] {
    let values = stage.values.iter().flat_map(|(name, value)| [name, value]);
    let mut hash = Sha256::new();
    for part in std::iter::once(&stage.name).chain(values) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn name_of(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Literal(_) => None,
        Segment::Parameter(name) | Segment::Greedy(name) => Some(name),
    }
}

fn decoded(raw: &str) -> String {
    decode(raw).unwrap_or_else(|| raw.to_owned())
}
