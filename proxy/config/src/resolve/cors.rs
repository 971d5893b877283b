//! `cors`, of APIs and routes.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::Resolver;
use crate::document::{self, Off, Text};
use crate::gateway::{AllowedHeaders, AllowedOrigins, Cors, OriginPattern};
use crate::read::Either;

/// The longest that browsers keep an answer, and more than most do.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What holds for a route: its own, or its API's.
pub(super) fn of_route(
    written: Option<&Either<Off, document::Cors>>,
    inherited: Option<&Arc<Cors>>,
    resolver: &mut Resolver<'_>,
) -> Option<Arc<Cors>> {
    match written {
        None => inherited.cloned(),
        Some(Either::This(Off::Off)) => None,
        Some(Either::That(written)) => Some(cors(written, resolver)),
    }
}

pub(super) fn cors(written: &document::Cors, resolver: &mut Resolver<'_>) -> Arc<Cors> {
    let max_age = written.max_age.as_ref();
    if let Some(age) =
        max_age.filter(|age| age.value.0 > LONGEST || age.value.0.subsec_nanos() != 0)
    {
        resolver.problem(&age.place, "an age is whole seconds, at most `24h`");
    }
    Arc::new(Cors {
        origins: origins(written, resolver),
        methods: methods(written.methods.as_deref(), resolver),
        headers: match names(written.headers.as_deref(), resolver) {
            Names::Any(_) => AllowedHeaders::Any,
            Names::These(names) => AllowedHeaders::These(names),
        },
        expose: expose(written, resolver),
        credentials: written.credentials,
        max_age: max_age.map(|age| age.value.0),
    })
}

fn origins(written: &document::Cors, resolver: &mut Resolver<'_>) -> AllowedOrigins {
    let listed = &written.origins;
    if listed.value.is_empty() {
        let help = "leave `cors` out, or write `cors = \"off\"` on a route";
        resolver.problem_with_help(&listed.place, "an empty list allows no origin", help);
    }
    let mut patterns = Vec::new();
    let mut any = false;
    for text in &listed.value {
        if text.value == "*" {
            any = true;
            check_anybody(text, written, resolver);
            continue;
        }
        match text.value.parse::<OriginPattern>() {
            Ok(pattern) => {
                // Any page can make a frame whose origin is `null`.
                let is_anybodys = match &pattern {
                    OriginPattern::Scheme(_) => true,
                    OriginPattern::Exact(origin) => origin == "null",
                    OriginPattern::Below { .. } => false,
                };
                if is_anybodys {
                    check_anybody(text, written, resolver);
                }
                patterns.push(pattern);
            }
            Err(help) => {
                let message = format!("`{}` is no origin", text.value);
                resolver.problem_with_help(&text.place, message, help);
            }
        }
    }
    if any { AllowedOrigins::Any } else { AllowedOrigins::These(patterns.into_iter().collect()) }
}

/// Notes an origin that is anybody's where credentials go along: every page could then act
/// as whoever looks at it.
fn check_anybody(text: &Text, written: &document::Cors, resolver: &mut Resolver<'_>) {
    if written.credentials {
        let message = format!("`{}` cannot go with `credentials = true`", text.value);
        let help = "any page could then act as its reader: list the origins that may";
        resolver.problem_with_help(&text.place, message, help);
    }
}

/// The methods; `None` for all that a path is served with.
fn methods(written: Option<&[Text]>, resolver: &mut Resolver<'_>) -> Option<Vec<Method>> {
    let written = written?;
    if written.iter().any(|text| text.value == "*") {
        return None;
    }
    let mut methods = Vec::new();
    for text in written {
        let is_written = |b: u8| b.is_ascii_uppercase() || b == b'-';
        let method = Method::from_bytes(text.value.as_bytes()).ok();
        match method.filter(|_| text.value.bytes().all(is_written)) {
            Some(method) if !methods.contains(&method) => methods.push(method),
            Some(_) => {}
            None => {
                let message = format!("`{}` is no method", text.value);
                let help = "methods are written as `GET`; `*` stands for all";
                resolver.problem_with_help(&text.place, message, help);
            }
        }
    }
    Some(methods)
}

fn expose(written: &document::Cors, resolver: &mut Resolver<'_>) -> Option<HeaderValue> {
    match names(written.expose.as_deref(), resolver) {
        Names::Any(text) => {
            if written.credentials {
                let message = "with `credentials = true`, `*` exposes no header but one called `*`";
                resolver.problem_with_help(&text.place, message, "list the headers");
            }
            Some(HeaderValue::from_static("*"))
        }
        Names::These(names) if names.is_empty() => None,
        Names::These(names) => {
            let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
            // Names are tokens, which header values may hold.
            HeaderValue::try_from(names.join(", ")).ok()
        }
    }
}

/// Headers, or all of them by a `*`.
enum Names<'t> {
    Any(&'t Text),
    These(Vec<HeaderName>),
}

fn names<'t>(written: Option<&'t [Text]>, resolver: &mut Resolver<'_>) -> Names<'t> {
    let mut names = Vec::new();
    for text in written.unwrap_or_default() {
        if text.value == "*" {
            return Names::Any(text);
        }
        match HeaderName::try_from(text.value.as_str()) {
            Ok(name) if !names.contains(&name) => names.push(name),
            Ok(_) => {}
            Err(_) => resolver.problem(&text.place, format!("`{}` is no header", text.value)),
        }
    }
    Names::These(names)
}
