//! Which route serves a request.
//!
//! ```text
//! host ──▶ the most specific hosts that match: exact, then `*.suffix`, then any
//!            └─▶ the stage whose base path the path begins with, else what has none
//!                  └─▶ method and path, first difference wins
//!                  a  whole path  >  greedy `{name+}`  >  `$default`
//!                  b  the method itself  >  ANY
//!                  c  segment by segment: literal  >  `{name}`  >  `{name+}`
//! ```
//!
//! What a stage's base path stands before is that stage's alone, as on AWS: a path that it
//! has no route for is no other API's.
//!
//! A path costs what its own length costs, however many routes there are. An API
//! that names a host hides that host from APIs that name it less exactly.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use portcullis_config::{Api, HostPattern, RouteMatch, Segment};

use crate::phase::canonical::CanonicalPath;
use crate::route_table::trie::Trie;

pub(crate) use crate::route_table::served::stage_digest;
pub use crate::route_table::served::{RouteId, ServedRoute};

mod rewrite;
mod served;
mod trie;

/// The routes of every API, ready for lookup.
#[derive(Debug)]
pub struct RouteTable {
    /// By id.
    routes: Vec<Arc<ServedRoute>>,
    /// The order to print them in.
    printed: Vec<Arc<ServedRoute>>,
    exact: HashMap<String, HostTable>,
    /// By suffix.
    wildcard: HashMap<String, HostTable>,
    any: HostTable,
}

/// Why no route serves a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFound {
    /// No route has the path.
    NoSuchRoute,
    /// Routes with other methods have the path: these methods, sorted.
    MethodNotAllowed(Vec<Method>),
}

impl RouteTable {
    /// Builds the table. Of routes that match the same, the first written wins.
    pub fn new(apis: Vec<Api>) -> Self {
        let mut routes = Vec::new();
        for mut api in apis {
            for route in std::mem::take(&mut api.routes) {
                let id = RouteId(routes.len());
                routes.push(Arc::new(ServedRoute::new(id, &api, route)));
            }
        }
        let mut printed = routes.clone();
        printed.sort_by_cached_key(|served| {
            (served.api.clone(), served.stage_name().map(str::to_owned), served.printing_order())
        });
        let mut table = Self {
            routes: Vec::new(),
            printed,
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            any: HostTable::default(),
        };
        for served in &routes {
            table.add(served, HostTable::add);
        }
        // After all of them: a path that a route names itself is that route's.
        for served in &routes {
            table.add(served, HostTable::add_root);
        }
        // Of APIs with the same base path, what one says of CORS is better than nothing.
        let (with, without): (Vec<_>, Vec<_>) =
            routes.iter().partition(|served| served.api_cors.is_some());
        for served in with.into_iter().chain(without) {
            table.add(served, HostTable::add_base);
        }
        table.routes = routes;
        table
    }

    /// Finds the route that serves a request to `host`, in lower case and without
    /// its port.
    pub fn find(
        &self,
        host: &str,
        method: &Method,
        path: &CanonicalPath,
    ) -> Result<Arc<ServedRoute>, NotFound> {
        let table = self.host_table(host, path);
        let found = table.find(method, path).and_then(|id| self.routes.get(id.0));
        found.cloned().ok_or_else(|| table.why_not(path))
    }

    /// A route of the API that speaks where no route serves a request: the one whose base
    /// path is the longest before the path.
    pub(crate) fn nearest(&self, host: &str, path: &CanonicalPath) -> Option<&Arc<ServedRoute>> {
        let id = self.host_table(host, path).bases.longest_prefix(path)?;
        self.routes.get(id.0)
    }

    /// The methods that routes name and that such a route serves the path with, sorted.
    pub(crate) fn methods(
        &self,
        host: &str,
        path: &CanonicalPath,
        is_such: impl Fn(&ServedRoute) -> bool,
    ) -> Vec<Method> {
        let table = self.host_table(host, path);
        let serves = |method: &&Method| {
            let found = table.find(method, path).and_then(|id| self.routes.get(id.0));
            found.is_some_and(|served| is_such(served))
        };
        let mut methods: Vec<Method> = table.by_method.keys().filter(serves).cloned().collect();
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        methods
    }

    /// Every route: by API, then path, then method, `$default` last.
    pub fn routes(&self) -> impl Iterator<Item = &ServedRoute> {
        self.printed.iter().map(Arc::as_ref)
    }

    /// Every route, by id.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = &ServedRoute> {
        self.routes.iter().map(Arc::as_ref)
    }

    fn add(&mut self, served: &ServedRoute, add: fn(&mut HostTable, &ServedRoute)) {
        if served.hosts.is_empty() {
            add(self.any.of(served), served);
        }
        for host in &served.hosts {
            let table = match host {
                HostPattern::Exact(name) => self.exact.entry(name.to_ascii_lowercase()),
                HostPattern::Wildcard(suffix) => self.wildcard.entry(suffix.to_ascii_lowercase()),
            };
            add(table.or_default().of(served), served);
        }
    }

    fn host_table(&self, host: &str, path: &CanonicalPath) -> &HostTable {
        let wildcard = || {
            let (label, suffix) = host.split_once('.')?;
            if label.is_empty() { None } else { self.wildcard.get(suffix) }
        };
        let table = self.exact.get(host).or_else(wildcard).unwrap_or(&self.any);
        if table.apart.is_empty() {
            return table;
        }
        let stage = table.stages.longest_prefix(path).and_then(|id| self.routes.get(id.0));
        stage.and_then(|served| table.apart.get(&served.base_path)).unwrap_or(table)
    }
}

/// The routes of one host pattern.
#[derive(Debug, Default)]
struct HostTable {
    by_method: HashMap<Method, Trie>,
    any_method: Trie,
    defaults: Trie,
    /// A route of each API, by base path.
    bases: Trie,
    /// A route of each stage whose paths are its own, by base path.
    stages: Trie,
    /// The routes of these stages, by base path.
    apart: HashMap<String, HostTable>,
}

impl HostTable {
    /// Where the route belongs.
    fn of(&mut self, served: &ServedRoute) -> &mut Self {
        if !served.is_apart() {
            return self;
        }
        self.stages.insert_prefix(&served.base_path, served.id);
        self.apart.entry(served.base_path.clone()).or_default()
    }

    fn add(&mut self, served: &ServedRoute) {
        match &served.route.matches {
            RouteMatch::Path { method, pattern } => {
                self.paths(method.as_ref()).insert(pattern.segments(), served.id);
            }
            RouteMatch::Default => self.defaults.insert_prefix(&served.base_path, served.id),
        }
    }

    fn add_base(&mut self, served: &ServedRoute) {
        self.bases.insert_prefix(&served.base_path, served.id);
    }

    /// Lets the route of an API's root answer the base path itself too, as AWS does: what
    /// follows the base path is then empty, which is `/`.
    fn add_root(&mut self, served: &ServedRoute) {
        let RouteMatch::Path { method, pattern } = &served.route.matches else { return };
        let base: Vec<Segment> =
            served.base_path.split('/').skip(1).map(|text| Segment::Literal(text.into())).collect();
        if let Some((Segment::Literal(last), root)) = pattern.segments().split_last()
            && last.is_empty()
            && !root.is_empty()
            && root == base
        {
            self.paths(method.as_ref()).insert(root, served.id);
        }
    }

    fn paths(&mut self, method: Option<&Method>) -> &mut Trie {
        match method {
            Some(method) => self.by_method.entry(method.clone()).or_default(),
            None => &mut self.any_method,
        }
    }

    /// One pass for each rank of method and kind of match, best first.
    fn find(&self, method: &Method, path: &CanonicalPath) -> Option<RouteId> {
        let exact = self.by_method.get(method);
        exact
            .and_then(|routes| routes.whole(path))
            .or_else(|| self.any_method.whole(path))
            .or_else(|| exact.and_then(|routes| routes.greedy(path)))
            .or_else(|| self.any_method.greedy(path))
            .or_else(|| self.defaults.longest_prefix(path))
    }

    fn why_not(&self, path: &CanonicalPath) -> NotFound {
        let has_path = |routes: &Trie| routes.whole(path).or_else(|| routes.greedy(path)).is_some();
        let others = self.by_method.iter().filter(|(_, routes)| has_path(routes));
        let mut methods: Vec<Method> = others.map(|(method, _)| method.clone()).collect();
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        if methods.is_empty() { NotFound::NoSuchRoute } else { NotFound::MethodNotAllowed(methods) }
    }
}
