//! The commands that look at configurations without serving them.

pub(crate) mod check;
pub(crate) mod consumer;
pub(crate) mod explain;
pub(crate) mod key;
mod limits;
pub(crate) mod plugin;
pub(crate) mod policy;
pub(crate) mod routes;
mod rules;
mod shown_mapping;
pub(crate) mod store;
pub(crate) mod usage;

use std::process::ExitCode;

use portcullis_config::{
    Access, Authorization, Gateway, HostPattern, Integration, PluginUse, RouteMatch,
};
use portcullis_pipeline::ServedRoute;
use serde::Serialize;

/// The configuration is refused, or nothing matches.
pub(crate) const REFUSED: u8 = 1;
/// The command line is not understood.
pub(crate) const USAGE: u8 = 2;
/// Something went wrong that is not the operator's doing (`EX_SOFTWARE`).
pub(crate) const INTERNAL: u8 = 70;

/// How a command tells what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Output {
    /// As the command line asks.
    #[expect(clippy::fn_params_excessive_bools, reason = "a flag of the command line is a bool")]
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// A route as commands show it.
#[derive(Debug, Serialize)]
pub(crate) struct ShownRoute {
    pub(crate) api: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) route: String,
    pub(crate) operation: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) authorizer: Option<String>,
    pub(crate) limits: Vec<String>,
    pub(crate) limiters: Vec<String>,
    pub(crate) cost: u64,
    pub(crate) rules: Vec<String>,
    pub(crate) validators: Vec<String>,
    pub(crate) request: Vec<String>,
    pub(crate) request_transforms: Vec<String>,
    pub(crate) response_transforms: Vec<String>,
    pub(crate) response: Vec<String>,
    pub(crate) answered_by: String,
}

impl ShownRoute {
    /// Its API, and the stage of it where that has any.
    pub(crate) fn api_and_stage(&self) -> String {
        match &self.stage {
            Some(stage) => format!("{}/{stage}", self.api),
            None => self.api.clone(),
        }
    }

    /// Shows a route whose plugin uses are these.
    pub(crate) fn of(served: &ServedRoute, uses: &[PluginUse]) -> Self {
        let name = |used: &portcullis_config::Use| {
            let plugin = uses.get(used.plugin.0).map_or("?", |plugin| plugin.name.as_str());
            match &used.argument {
                Some(argument) => format!("{plugin}({argument})"),
                None => plugin.to_owned(),
            }
        };
        let names = |uses: &[portcullis_config::Use]| uses.iter().map(name).collect();
        let route = &served.route;
        Self {
            api: served.api.clone(),
            stage: served.stage_name().map(str::to_owned),
            hosts: served.hosts.iter().map(shown_host).collect(),
            route: route.key.clone(),
            operation: route.operation.clone(),
            path: match &route.matches {
                RouteMatch::Path { pattern, .. } => Some(pattern.to_string()),
                RouteMatch::Default => None,
            },
            authorizer: match &route.access {
                Access::Open => None,
                Access::By(authorization) => Some(shown_authorization(authorization, &name)),
            },
            limits: limits::shown(&route.limits),
            limiters: names(&route.limiters),
            cost: route.limits.cost,
            rules: rules::shown(&route.rules, &name),
            validators: names(&route.validators),
            request: route.request.as_deref().map(shown_mapping::request).unwrap_or_default(),
            request_transforms: names(&route.request_transforms),
            response_transforms: names(&route.response_transforms),
            response: route.response.as_deref().map(shown_mapping::response).unwrap_or_default(),
            answered_by: match &route.integration {
                Integration::Proxy { upstream, .. } => format!("upstream {}", upstream.name),
                Integration::Respond(respond) => format!("status {}", respond.status),
            },
        }
    }
}

fn shown_authorization(
    authorization: &Authorization,
    name: &impl Fn(&portcullis_config::Use) -> String,
) -> String {
    let list = |word: &str, members: &[Authorization]| {
        let members: Vec<String> =
            members.iter().map(|member| shown_authorization(member, name)).collect();
        format!("{word} of [{}]", members.join(", "))
    };
    match authorization {
        Authorization::One(used) => name(used),
        Authorization::Any(members) => list("any", members),
        Authorization::All(members) => list("all", members),
    }
}

fn shown_host(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Wildcard(suffix) => format!("*.{suffix}"),
    }
}

/// Reads a configuration, or tells what is wrong with it.
pub(crate) fn read(file: &std::path::Path, output: Output) -> Result<Gateway, ExitCode> {
    portcullis_config::load(file).map_err(|problems| {
        match output {
            Output::Text => eprintln!("{problems}"),
            Output::Json => println!("{}", problems.to_json()),
        }
        ExitCode::from(REFUSED)
    })
}
