//! Routes that stream have no plugin that holds bodies.

use portcullis_config::{Api, Diagnostic, PluginUseId, Role, Route};
use portcullis_pipeline::{BodyMode, Plugins, Reads};

/// Every use on a route that streams of a plugin whose plan reads bodies.
pub(super) fn problems(apis: &[Api], plugins: &impl Plugins) -> Vec<Diagnostic> {
    let routes = apis.iter().flat_map(|api| &api.routes).filter(|route| route.streams);
    routes.flat_map(|route| problems_of(route, plugins)).collect()
}

fn problems_of(route: &Route, plugins: &impl Plugins) -> Vec<Diagnostic> {
    let uses = route.uses().into_iter();
    let reading = uses.filter(|(plugin, role)| reads_bodies(plugins.reads(*plugin, *role)));
    let problem = |(plugin, role): (PluginUseId, Role)| {
        let message = format!(
            "route `{}` streams, and the {} `{}` reads bodies",
            route.key,
            role.as_str(),
            plugins.name(plugin),
        );
        Diagnostic::at(&route.place, message)
            .with_help("a body that is read has to be held; use the plugin on other routes")
    };
    reading.map(problem).collect()
}

fn reads_bodies(reads: &Reads) -> bool {
    let digest = reads.attributes.iter().any(|name| name == "body:sha256" || name == "body:*");
    digest || reads.body != BodyMode::None || reads.response_body != BodyMode::None
}
