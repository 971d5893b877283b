//! `[apis.NAME]`: hosts, base path, and what its routes take where they are silent.

use std::net::Ipv6Addr;
use std::sync::Arc;

use super::checks::{self, Checked};
use super::limits::{Ladder, Throttles};
use super::names::Names;
use super::plugin_use::PluginUses;
use super::schemas::Schemas;
use super::stages::Stages;
use super::{
    Resolver, check_names, compression, cors, guard, identity, mapping, openapi, policy, route,
};
use crate::diagnostic::Place;
use crate::document::{self, Composable, Document, Text};
use crate::gateway::{
    Access, Api, Compression, Cors, Errors, HostPattern, IdentityHeader, RequestMapping,
    ResponseMapping, Role, Scopes, Stage, Upstream, Use,
};
use crate::path::{PathPattern, Segment, canonical};
use crate::read::Either;

/// A key of a route that may be inherited.
#[derive(Debug, Clone)]
pub(super) enum Choice<T> {
    /// Nobody wrote it.
    Absent,
    /// It was written, and a problem was noted.
    Broken,
    /// It is this.
    Is(T),
}

impl<T: Clone> Choice<T> {
    /// What was resolved, if anything was written.
    pub(super) fn of(written: Option<Option<T>>) -> Self {
        match written {
            None => Self::Absent,
            Some(None) => Self::Broken,
            Some(Some(value)) => Self::Is(value),
        }
    }

    /// This, or the inherited where nobody wrote it.
    pub(super) fn or(self, inherited: &Self) -> Self {
        if let Self::Absent = self { inherited.clone() } else { self }
    }

    /// This, in a table with a broken key: absence may be that key's.
    pub(super) fn in_doubt(self) -> Self {
        if let Self::Absent = self { Self::Broken } else { self }
    }
}

/// What the routes of an API take where they are silent.
pub(super) struct Inherited {
    pub(super) base_path: String,
    pub(super) access: Choice<Access>,
    pub(super) scopes: Option<Scopes>,
    pub(super) identity_headers: Arc<[IdentityHeader]>,
    pub(super) checked: Checked,
    pub(super) limiters: Vec<Use>,
    pub(super) request_transforms: Vec<Use>,
    pub(super) response_transforms: Vec<Use>,
    pub(super) request: Option<Arc<RequestMapping>>,
    pub(super) response: Option<Arc<ResponseMapping>>,
    pub(super) streams: bool,
    pub(super) upstream: Choice<Arc<Upstream>>,
    pub(super) body_limit: u64,
    pub(super) cors: Option<Arc<Cors>>,
    pub(super) compression: Option<Arc<Compression>>,
    pub(super) ladder: Ladder,
    pub(super) stages: Vec<Arc<Stage>>,
}

pub(super) fn apis(
    document: &Document,
    upstreams: &Names<Arc<Upstream>>,
    plugins: &mut PluginUses,
    throttles: &mut Throttles,
    resolver: &mut Resolver<'_>,
) -> Vec<Api> {
    check_names("an api", &document.apis, resolver);
    let home = policy::home(document, resolver);
    let top = access(document.authorizer.as_ref(), plugins, resolver);
    let top = if document.whole { top } else { top.in_doubt() };
    let default = document.guard.as_ref().and_then(|guard| guard::guard(guard, resolver));
    let mut apis = Vec::new();
    for entry in &document.apis.entries {
        let Some(written) = &entry.value else { continue };
        let mut schemas = Schemas::new(&entry.name, &written.json);
        let stages = Stages::of((&entry.name, written), upstreams, resolver);
        let mut known = Known { upstreams, plugins, schemas: &mut schemas, throttles };
        let known_stages = stages.stages();
        let inherited =
            inherited((&entry.name, written), (&top, known_stages), &mut known, resolver);
        let before = known.throttles.before_routes();
        let described = openapi::operations((&entry.name, written), &mut known, resolver);
        let mut routes = Vec::new();
        for entry in &written.routes.entries {
            let described = described.iter().find(|operation| operation.key == entry.name);
            routes.extend(route::route((entry, described), &inherited, &mut known, resolver));
        }
        for operation in &described {
            if written.routes.entries.iter().all(|entry| entry.name != operation.key) {
                let entry = &route::of_operation(operation, resolver);
                let described = (entry, Some(operation));
                routes.extend(route::route(described, &inherited, &mut known, resolver));
            }
        }
        schemas.finish(plugins);
        let guard = match &written.guard {
            Some(own) => guard::guard(own, resolver),
            None => default.clone(),
        };
        for route in &routes {
            guard::check_streams(guard.as_deref(), route, resolver);
        }
        let hosts = hosts(written.hosts.as_ref(), &entry.place, resolver).unwrap_or_default();
        let (base_path, cors) = (inherited.base_path, inherited.cors);
        let resource = policy::resource(&entry.name, written.policy.as_ref(), home, resolver);
        let name = entry.name.clone();
        let errors = errors(written.errors);
        let stage = None;
        let api = Api { name, stage, hosts, base_path, resource, cors, guard, errors, routes };
        apis.extend(stages.serve(api, (&inherited.ladder, before), throttles, resolver));
    }
    apis
}

fn errors(written: document::Errors) -> Errors {
    match written {
        document::Errors::Problem => Errors::Problem,
        document::Errors::AwsHttpApi => Errors::AwsHttpApi,
        document::Errors::AwsRestApi => Errors::AwsRestApi,
    }
}

/// What keys of an API and of its routes may refer to.
pub(super) struct Known<'k, 'd> {
    pub(super) upstreams: &'k Names<Arc<Upstream>>,
    pub(super) plugins: &'k mut PluginUses,
    pub(super) schemas: &'k mut Schemas<'d>,
    pub(super) throttles: &'k mut Throttles,
}

fn inherited(
    (name, written): (&str, &document::Api),
    (top, stages): (&Choice<Access>, Vec<Arc<Stage>>),
    known: &mut Known<'_, '_>,
    resolver: &mut Resolver<'_>,
) -> Inherited {
    let Known { upstreams, plugins, schemas, throttles } = known;
    let checked = checks::checks(written.validate.as_ref(), schemas, plugins, resolver);
    let upstream = upstream(written.upstream.as_ref(), upstreams, resolver);
    let own = access(written.authorizer.as_ref(), plugins, resolver);
    let around = mapping::Around { stages: &stages, ..mapping::Around::default() };
    let request = written.request.as_ref();
    let response = written.response.as_ref();
    let requests = written.request_transforms.as_ref();
    let responses = written.response_transforms.as_ref();
    Inherited {
        base_path: base_path(written.base_path.as_ref(), resolver),
        access: if written.whole { own } else { own.in_doubt() }.or(top),
        scopes: written.scopes.as_ref().and_then(|written| identity::scopes(written, resolver)),
        identity_headers: written
            .identity_headers
            .as_ref()
            .map_or_else(|| Arc::from([]), |written| identity::headers(written, &stages, resolver)),
        checked: checked.unwrap_or_default(),
        limiters: uses(Role::Limiter, written.limiters.as_ref(), plugins, resolver)
            .unwrap_or_default(),
        request_transforms: uses(Role::RequestTransform, requests, plugins, resolver)
            .unwrap_or_default(),
        response_transforms: uses(Role::ResponseTransform, responses, plugins, resolver)
            .unwrap_or_default(),
        request: request.map(|written| mapping::request(written, around, resolver)),
        response: response.map(|written| mapping::response(written, around, resolver)),
        streams: written.streams,
        upstream: if written.whole { upstream } else { upstream.in_doubt() },
        body_limit: written.body_limit.0,
        cors: written.cors.as_ref().map(|written| cors::cors(written, resolver)),
        compression: written
            .compression
            .as_ref()
            .map(|written| compression::compression(written, resolver)),
        ladder: throttles.of_api(name, written, resolver),
        stages,
    }
}

/// Who decides, as written at one level.
pub(super) fn access(
    written: Option<&Composable<document::Use>>,
    plugins: &PluginUses,
    resolver: &mut Resolver<'_>,
) -> Choice<Access> {
    let resolved = written.map(|written| match written {
        Composable::Plain(Either::This(name)) if name.value == "none" => Some(Access::Open),
        written => plugins.authorization(written, resolver).map(Access::By),
    });
    Choice::of(resolved)
}

/// Who answers, as written at one level.
pub(super) fn upstream(
    written: Option<&Text>,
    upstreams: &Names<Arc<Upstream>>,
    resolver: &mut Resolver<'_>,
) -> Choice<Arc<Upstream>> {
    Choice::of(written.map(|name| upstreams.find(&name.value, &name.place, resolver)))
}

/// A list of plugin uses, as written at one level.
pub(super) fn uses(
    role: Role,
    written: Option<&Vec<document::Use>>,
    plugins: &mut PluginUses,
    resolver: &mut Resolver<'_>,
) -> Option<Vec<Use>> {
    let each = written?.iter();
    Some(each.filter_map(|written| plugins.refer(role, written, resolver)).collect())
}

/// The hosts of an API or of a stage, where any are written.
pub(super) fn hosts(
    written: Option<&Vec<Text>>,
    place: &Place,
    resolver: &mut Resolver<'_>,
) -> Option<Vec<HostPattern>> {
    let written = written?;
    if written.is_empty() {
        let message = "an empty list of hosts answers to none";
        let help = "leave `hosts` out to answer to all";
        resolver.problem_with_help(place, message, help);
    }
    Some(written.iter().filter_map(|text| host(text, resolver)).collect())
}

/// The path before every route's, without a slash at its end.
pub(super) fn base_path(written: Option<&Text>, resolver: &mut Resolver<'_>) -> String {
    let Some(text) = written else { return String::new() };
    let parsed = PathPattern::parse(&text.value).map_err(|problem| problem.to_string());
    let literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
    let problem = match parsed {
        Ok(pattern) if pattern.segments().iter().all(literal) => None,
        Ok(_) => Some("a base path has no parameters".to_owned()),
        Err(problem) => Some(problem),
    };
    if let Some(problem) = problem {
        resolver.problem(&text.place, problem);
        return String::new();
    }
    let path = text.value.trim_end_matches('/');
    // Base paths are compared as texts, with each other and with paths in canonical form.
    let canonical = canonical(path);
    if canonical != path {
        let message = format!("`{}` is not how requests for it are compared", text.value);
        resolver.problem_with_help(&text.place, message, &format!("write it as `{canonical}`"));
    }
    canonical
}

/// A host as an API answers to it.
pub(super) fn host(text: &Text, resolver: &mut Resolver<'_>) -> Option<HostPattern> {
    let written = text.value.to_ascii_lowercase();
    let (wildcard, name) = match written.strip_prefix("*.") {
        Some(suffix) => (true, suffix),
        None => (false, written.as_str()),
    };
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !label.is_empty() && label.chars().all(plain)
    };
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let ipv6 = !wildcard && bracketed.is_some_and(|name| name.parse::<Ipv6Addr>().is_ok());
    if ipv6 || name.split('.').all(label) {
        let name = name.to_owned();
        return Some(if wildcard { HostPattern::Wildcard(name) } else { HostPattern::Exact(name) });
    }
    let help = if written.contains("://") || written.contains('/') {
        "a host is written without scheme and path"
    } else if written.contains('*') {
        "`*` stands for one whole label at the start: `*.example.com`"
    } else if written.contains(':') {
        "a host is written without a port"
    } else if !written.is_ascii() {
        "write international names in their ASCII form, `xn--…`"
    } else {
        "write it as `api.example.com`"
    };
    resolver.problem_with_help(&text.place, format!("`{}` is no host", text.value), help);
    None
}
