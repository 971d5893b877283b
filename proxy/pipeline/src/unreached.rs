//! Paths that plugins answer themselves, and at which no request would come to them.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use portcullis_config::{HostPattern, PluginUseId};

use crate::phase::canonical::CanonicalPath;
use crate::plugins::Plugins;
use crate::route_table::{RouteTable, ServedRoute};

/// A path that a plugin use answers itself, while no request for it reaches one of its
/// routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// The plugin use.
    pub plugin: PluginUseId,
    /// The path.
    pub path: String,
}

/// Finds them. One route on one of the hosts that the use is asked at is enough: a proxy
/// before the gateway may bring all requests of a site to it by that host.
pub(crate) fn unreached(routes: &RouteTable, plugins: &impl Plugins) -> Vec<Unreached> {
    let mut hosts: BTreeMap<PluginUseId, BTreeSet<String>> = BTreeMap::new();
    for served in routes.by_id() {
        for (plugin, _) in served.route.uses() {
            if !plugins.answers(plugin).is_empty() {
                hosts.entry(plugin).or_default().extend(hosts_of(served));
            }
        }
    }
    let mut found = Vec::new();
    for (plugin, hosts) in hosts {
        let is_reached = |path: &str| {
            let asks = |host: &String| asks(routes, host, path, plugin);
            hosts.iter().any(asks)
        };
        let paths = plugins.answers(plugin).iter().filter(|path| !is_reached(path));
        found.extend(paths.map(|path| Unreached { plugin, path: path.clone() }));
    }
    found
}

/// Whether a GET request for the path comes to a route that the plugin has to do with.
fn asks(routes: &RouteTable, host: &str, path: &str, plugin: PluginUseId) -> bool {
    let Ok(path) = CanonicalPath::parse(path) else { return false };
    let found = routes.find(host, &Method::GET, &path);
    found.is_ok_and(|served| served.route.uses().iter().any(|(used, _)| *used == plugin))
}

/// A host for each pattern of the route's API. One that answers to all is asked for by
/// none; no host is called `*`, so that this label stands for those of a pattern alone.
fn hosts_of(served: &ServedRoute) -> Vec<String> {
    if served.hosts.is_empty() {
        return vec![String::new()];
    }
    let host = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => name.to_ascii_lowercase(),
        HostPattern::Wildcard(suffix) => format!("*.{}", suffix.to_ascii_lowercase()),
    };
    served.hosts.iter().map(host).collect()
}
