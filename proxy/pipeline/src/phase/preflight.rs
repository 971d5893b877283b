//! Answers browsers that ask whether a page may make a request (Fetch standard §4.8).
//!
//! Before any authorizer: a preflight carries no credentials. Where the request that is
//! asked about has a route with CORS, the gateway's word is the only one, also where a
//! route takes `OPTIONS` or `ANY`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use portcullis_config::{AllowedHeaders, AllowedOrigins, Cors};

use crate::admitted::Answer;
use crate::cors::{CorsReply, allowed, only, reader};
use crate::incoming::Incoming;
use crate::phase::receive::Received;
use crate::record::{Decision, DecisionKind, Record};
use crate::rejection::{PreflightProblem, Rejection};
use crate::route_table::{NotFound, RouteTable, ServedRoute};

/// The answer to a preflight; `None` where the request is none, or is not the gateway's
/// to answer.
pub(crate) fn preflight(
    received: &Received,
    routes: &RouteTable,
    incoming: &impl Incoming,
    record: &mut Record,
) -> Result<Option<Answer>, Rejection> {
    let head = incoming.head();
    let Some(method) = asked_method(head) else { return Ok(None) };
    let (found, is_served) = match routes.find(received.host(), &method, received.path()) {
        Ok(found) => (found, true),
        Err(NotFound::NoSuchRoute) => return Ok(None),
        Err(NotFound::MethodNotAllowed(others)) => {
            let other =
                others.first().map(|other| routes.find(received.host(), other, received.path()));
            let Some(Ok(other)) = other else { return Ok(None) };
            (other, false)
        }
    };
    let Some(cors) = &found.route.cors else { return Ok(None) };
    record.route = Some(Arc::clone(&found));
    record.cors = Some(CorsReply::silent(cors));
    record.errors = found.errors;
    if !is_served {
        return Err(PreflightProblem::Method(method).into());
    }
    let methods = match &cors.methods {
        Some(methods) => methods.clone(),
        None => methods_of(&found, &method, received, routes),
    };
    let headers = headers(cors, head, (&method, &methods))?;
    record.cors = None;
    record.decision = Some(Decision {
        kind: DecisionKind::Answered,
        code: "cors-preflight",
        reason: None,
        detail: "the page may make the request".to_owned(),
    });
    Ok(Some(Answer { status: StatusCode::NO_CONTENT, headers, body: Bytes::new() }))
}

/// The method of the request that a preflight asks about.
fn asked_method(head: &Parts) -> Option<Method> {
    if head.method != Method::OPTIONS || !head.headers.contains_key(ORIGIN) {
        return None;
    }
    let method = only(&head.headers, ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(method.as_bytes()).ok()
}

/// The methods that the path is served with by the same rules.
fn methods_of(
    found: &ServedRoute,
    asked: &Method,
    received: &Received,
    routes: &RouteTable,
) -> Vec<Method> {
    let mut methods = routes
        .methods(received.host(), received.path(), |other| other.route.cors == found.route.cors);
    if !methods.contains(asked) {
        methods.push(asked.clone());
    }
    methods
}

fn headers(
    cors: &Cors,
    head: &Parts,
    (asked, methods): (&Method, &[Method]),
) -> Result<HeaderMap, PreflightProblem> {
    let reader = reader(cors, &head.headers).ok_or_else(|| {
        let origin = head.headers.get(ORIGIN).map(|origin| origin.as_bytes()).unwrap_or_default();
        PreflightProblem::Origin(String::from_utf8_lossy(origin).into_owned())
    })?;
    if !methods.contains(asked) {
        return Err(PreflightProblem::Method(asked.clone()));
    }
    let names = header_names(cors, head)?;
    let mut headers: HeaderMap = allowed(cors, &reader).into_iter().collect();
    let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
    // Methods and names are tokens, which header values may hold.
    let text = |tokens: &[&str]| HeaderValue::try_from(tokens.join(", ")).ok();
    headers.extend(text(&methods).map(|methods| (ACCESS_CONTROL_ALLOW_METHODS, methods)));
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    if !names.is_empty() {
        headers.extend(text(&names).map(|names| (ACCESS_CONTROL_ALLOW_HEADERS, names)));
    }
    if let Some(age) = cors.max_age {
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age.as_secs()));
    }
    // By the rules alone, not by who asks, where everybody may.
    let origin = if cors.origins == AllowedOrigins::Any { "" } else { "Origin, " };
    let vary = format!("{origin}Access-Control-Request-Method, Access-Control-Request-Headers");
    headers.extend(HeaderValue::try_from(vary).ok().map(|vary| (VARY, vary)));
    Ok(headers)
}

/// The headers that the answer allows: those listed, or those asked for where any may be
/// set. A `*` would not do: with credentials it means nothing, and it never means
/// `authorization`.
fn header_names(cors: &Cors, head: &Parts) -> Result<Vec<HeaderName>, PreflightProblem> {
    let mut asked = Vec::new();
    for value in head.headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        for name in value.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            if name.is_empty() {
                continue;
            }
            let text = || String::from_utf8_lossy(name).into_owned();
            let parsed = HeaderName::from_bytes(name);
            let name = parsed.map_err(|_| PreflightProblem::Header(text()))?;
            if !asked.contains(&name) {
                asked.push(name);
            }
        }
    }
    match &cors.headers {
        AllowedHeaders::Any => Ok(asked),
        AllowedHeaders::These(names) => match asked.iter().find(|name| !names.contains(name)) {
            Some(other) => Err(PreflightProblem::Header(other.to_string())),
            None => Ok(names.clone()),
        },
    }
}
