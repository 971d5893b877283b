//! `[apis.NAME.routes."METHOD /path"]`.

use std::sync::Arc;

use http::Method;

use super::api::{self, Choice, Inherited, Known};
use super::openapi::Described;
use super::plugin_use::PluginUses;
use super::{Resolver, checks, compression, cors, identity, mapping, respond};
use crate::diagnostic::Place;
use crate::document::{self, Rewrite, Text};
use crate::gateway::{Access, Integration, PathRewrite, Role, Route, RouteMatch, Scopes, Upstream};
use crate::path::{PathPattern, Segment};
use crate::read::{self, NamedEntry};
use crate::suggest;
use crate::tree::{Node, Value};

/// Methods people route; others are taken unless they look like one of these.
const METHODS: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "ANY",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "PURGE",
    "LINK",
    "UNLINK",
];

/// Checks a whole route before giving up on it, so that one run shows every problem.
pub(super) fn route(
    (entry, described): (&NamedEntry<document::Route>, Option<&Described>),
    inherited: &Inherited,
    known: &mut Known<'_, '_>,
    resolver: &mut Resolver<'_>,
) -> Option<Route> {
    let Known { upstreams, plugins, schemas, throttles } = known;
    let matches = matches(&entry.name, &entry.place, &inherited.base_path, resolver);
    let written = entry.value.as_ref()?;
    let access = access((entry, described), written, inherited, plugins, resolver);
    let scopes = scopes((entry, described), written, (inherited, access.as_ref()), resolver);
    let parameters = matches.as_ref().map(parameters);
    let around = mapping::Around {
        parameters: parameters.as_deref(),
        access: access.as_ref(),
        stages: &inherited.stages,
    };
    let limits = throttles.of_route(entry, (written, around), &inherited.ladder, resolver);
    let identity_headers = written.identity_headers.as_ref();
    let identity_headers =
        identity_headers.map(|written| identity::headers(written, &inherited.stages, resolver));
    let checked = checks::checks(written.validate.as_ref(), schemas, plugins, resolver);
    let mut checked = checked.unwrap_or_else(|| inherited.checked.clone());
    if let Some(described) = described {
        checked.rules = described.rules.and(&checked.rules);
    }
    let limiters = api::uses(Role::Limiter, written.limiters.as_ref(), plugins, resolver);
    let requests = written.request_transforms.as_ref();
    let requests = api::uses(Role::RequestTransform, requests, plugins, resolver);
    let responses = written.response_transforms.as_ref();
    let responses = api::uses(Role::ResponseTransform, responses, plugins, resolver);
    let request = written.request.as_ref().map(|own| mapping::request(own, around, resolver));
    let response = written.response.as_ref().map(|own| mapping::response(own, around, resolver));
    let prefix = matches.as_ref().map(|matches| literal_prefix(matches, &inherited.base_path));
    let rewrite = written.rewrite.as_ref();
    let rewrite = rewrite.map(|rewrite| path_rewrite(rewrite, prefix.as_deref(), resolver));
    let upstream = api::upstream(written.upstream.as_ref(), upstreams, resolver);
    let integration =
        integration((entry, around), written, (upstream, rewrite), inherited, resolver);
    let cors = cors::of_route(written.cors.as_ref(), inherited.cors.as_ref(), resolver);
    let own = written.compression.as_ref();
    let compression = compression::of_route(own, inherited.compression.as_ref(), resolver);
    let route = Route {
        key: entry.name.clone(),
        operation: described.and_then(|described| described.id.clone()),
        place: entry.place.clone(),
        matches: matches?,
        access: access?,
        scopes,
        limits,
        limiters: limiters.unwrap_or_else(|| inherited.limiters.clone()),
        identity_headers: identity_headers
            .unwrap_or_else(|| Arc::clone(&inherited.identity_headers)),
        validators: checked.validators,
        rules: Arc::new(checked.rules),
        request_transforms: requests.unwrap_or_else(|| inherited.request_transforms.clone()),
        response_transforms: responses.unwrap_or_else(|| inherited.response_transforms.clone()),
        cors,
        compression,
        request: request.or_else(|| inherited.request.clone()),
        response: response.or_else(|| inherited.response.clone()),
        streams: written.streams.unwrap_or(inherited.streams),
        integration: integration?,
        body_limit: written.body_limit.map_or(inherited.body_limit, |limit| limit.0),
    };
    mapping::check_route(written, &route, resolver);
    Some(route)
}

/// The names of a route's path parameters.
pub(super) fn parameters(matches: &RouteMatch) -> Vec<String> {
    let RouteMatch::Path { pattern, .. } = matches else { return Vec::new() };
    let name = |segment: &Segment| match segment {
        Segment::Literal(_) => None,
        Segment::Parameter(name) | Segment::Greedy(name) => Some(name.clone()),
    };
    pattern.segments().iter().filter_map(name).collect()
}

/// The route of an operation that the configuration says nothing of.
pub(super) fn of_operation(
    operation: &Described,
    resolver: &mut Resolver<'_>,
) -> NamedEntry<document::Route> {
    let empty = Node { value: Value::Table(Vec::new()), place: operation.place.clone() };
    let value = read::read(&empty, resolver.problems);
    NamedEntry { name: operation.key.clone(), place: operation.place.clone(), value }
}

fn matches(
    key: &str,
    place: &Place,
    base_path: &str,
    resolver: &mut Resolver<'_>,
) -> Option<RouteMatch> {
    if key == "$default" {
        return Some(RouteMatch::Default);
    }
    let Some((method_text, path)) = key.split_once(' ') else {
        let help = "routes are keyed by `METHOD /path`, `ANY /path` or `$default`";
        resolver.problem_with_help(place, format!("`{key}` is no route"), help);
        return None;
    };
    let method = method(method_text, place, resolver);
    // The route's own path first: its problem is not that of the base path's.
    let pattern = PathPattern::parse(path).and_then(|own| {
        if base_path.is_empty() {
            Ok(own)
        } else {
            PathPattern::parse(&format!("{base_path}{path}"))
        }
    });
    match pattern {
        Ok(pattern) => Some(RouteMatch::Path { method: method?, pattern }),
        Err(problem) => {
            resolver.problem(place, problem.to_string());
            None
        }
    }
}

/// The method; `Some(None)` is any.
fn method(text: &str, place: &Place, resolver: &mut Resolver<'_>) -> Option<Option<Method>> {
    let upper = text.to_ascii_uppercase();
    if text == "ANY" {
        return Some(None);
    }
    if METHODS.contains(&text) {
        return Method::from_bytes(text.as_bytes()).ok().map(Some);
    }
    let help = if METHODS.contains(&upper.as_str()) {
        format!("methods are written in upper case: `{upper}`")
    } else if text == "CONNECT" {
        "CONNECT asks for a tunnel, which a gateway does not open".to_owned()
    } else if let Some(near) = suggest::nearest(text, METHODS.iter().copied()) {
        format!("did you mean `{near}`?")
    } else if text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') && !text.is_empty() {
        return Method::from_bytes(text.as_bytes()).ok().map(Some);
    } else {
        "methods are written as `GET`; `ANY` stands for all".to_owned()
    };
    resolver.problem_with_help(place, format!("`{text}` is no method"), &help);
    None
}

fn access(
    (entry, described): (&NamedEntry<document::Route>, Option<&Described>),
    written: &document::Route,
    inherited: &Inherited,
    plugins: &mut PluginUses,
    resolver: &mut Resolver<'_>,
) -> Option<Access> {
    let own = api::access(written.authorizer.as_ref(), plugins, resolver);
    let own = if written.whole { own } else { own.in_doubt() };
    let access = match described {
        Some(described) => described.access(own, &inherited.access),
        None => own.or(&inherited.access),
    };
    match access {
        Choice::Is(access) => Some(access),
        Choice::Broken => None,
        Choice::Absent => {
            let message = format!("route `{}` has no authorizer", entry.name);
            let help = "name one, or open it on purpose with `authorizer = \"none\"`";
            resolver.problem_with_help(&entry.place, message, help);
            None
        }
    }
}

/// What the caller must have; an open route has no caller.
fn scopes(
    (entry, described): (&NamedEntry<document::Route>, Option<&Described>),
    written: &document::Route,
    (inherited, access): (&Inherited, Option<&Access>),
    resolver: &mut Resolver<'_>,
) -> Option<Scopes> {
    let own = written.scopes.as_ref();
    let scopes = match own {
        Some(own) => identity::scopes(own, resolver),
        None => described.and_then(Described::scopes).or(inherited.scopes.as_ref()).cloned(),
    };
    if let (Some(_), Some(Access::Open)) = (&scopes, access) {
        let place = own.map_or(&entry.place, |own| &own.place);
        let message = format!("route `{}` is open, so nobody can have scopes", entry.name);
        let help = "name an authorizer, or ask for none with `scopes = []`";
        resolver.problem_with_help(place, message, help);
    }
    scopes
}

fn integration(
    (entry, around): (&NamedEntry<document::Route>, mapping::Around<'_>),
    written: &document::Route,
    (upstream, rewrite): (Choice<Arc<Upstream>>, Option<PathRewrite>),
    inherited: &Inherited,
    resolver: &mut Resolver<'_>,
) -> Option<Integration> {
    if let Some(respond) = &written.respond {
        if let Some(upstream) = &written.upstream {
            let message = "a route has one of `upstream` and `respond`";
            resolver.problem(&upstream.place, message);
        }
        if let Some(rewrite) = &written.rewrite {
            let message = "a route with `respond` forwards nothing, so no path can be rewritten";
            resolver.problem(&rewrite.place, message);
        }
        return respond::respond(respond, around, resolver).map(Integration::Respond);
    }
    let upstream = if written.whole { upstream } else { upstream.in_doubt() };
    match upstream.or(&inherited.upstream) {
        Choice::Is(upstream) => {
            Some(Integration::Proxy { upstream, path: rewrite.unwrap_or(PathRewrite::Keep) })
        }
        Choice::Broken => None,
        Choice::Absent => {
            let message = format!("nobody answers route `{}`", entry.name);
            let help = "name an `upstream`, or `respond`";
            resolver.problem_with_help(&entry.place, message, help);
            None
        }
    }
}

/// The whole segments that every path of the route starts with.
fn literal_prefix(matches: &RouteMatch, base_path: &str) -> String {
    let RouteMatch::Path { pattern, .. } = matches else { return base_path.to_owned() };
    let mut prefix = String::new();
    for segment in pattern.segments() {
        let Segment::Literal(text) = segment else { break };
        prefix.push('/');
        prefix.push_str(text);
    }
    prefix
}

fn path_rewrite(
    written: &Rewrite,
    prefix: Option<&str>,
    resolver: &mut Resolver<'_>,
) -> PathRewrite {
    let strip = rewrite_prefix(written.strip_prefix.as_ref(), resolver);
    let add = rewrite_prefix(written.add_prefix.as_ref(), resolver);
    if let (Some(text), Some(prefix)) = (&written.strip_prefix, prefix) {
        let rest = prefix.strip_prefix(strip.as_str());
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            let message = format!("paths of this route do not start with `{strip}`");
            let help = format!("they start with `{prefix}`");
            resolver.problem_with_help(&text.place, message, &help);
        }
    }
    if strip.is_empty() && add.is_empty() {
        return PathRewrite::Keep;
    }
    PathRewrite::ReplacePrefix { strip, add }
}

/// A prefix of whole segments, without a slash at its end.
fn rewrite_prefix(written: Option<&Text>, resolver: &mut Resolver<'_>) -> String {
    let Some(text) = written.filter(|text| !text.value.is_empty()) else { return String::new() };
    match PathPattern::parse(&text.value) {
        Err(problem) => resolver.problem(&text.place, problem.to_string()),
        Ok(pattern) => {
            if pattern.segments().iter().any(|s| !matches!(s, Segment::Literal(_))) {
                resolver.problem(&text.place, "a prefix has no parameters");
            }
        }
    }
    text.value.trim_end_matches('/').to_owned()
}
