//! `scopes` and `identity_headers`, of APIs and routes.

use std::sync::Arc;

use http::HeaderName;

use super::{Resolver, stages};
use crate::document::{self, Text};
use crate::gateway::{IdentityHeader, RESERVED_HEADERS, Scopes, Stage, same_to_upstreams};
use crate::read::{Either, Named, Written};

/// Names that are about the connection to this gateway, beside those that only it writes.
pub(super) const CONNECTION: [&str; 3] =
    ["http2-settings", "proxy-authenticate", "proxy-authorization"];

/// Namespaces whose attributes a header can be set from.
const NAMESPACES: &[&str] = &["identity", "path", "request", "stage", "tls"];

/// The scopes that are needed; `None` where the list is empty.
pub(super) fn scopes(
    written: &Written<document::Scopes>,
    resolver: &mut Resolver<'_>,
) -> Option<Scopes> {
    let (list, make): (_, fn(Vec<String>) -> Scopes) = match &written.value {
        Either::This(any) => (any, Scopes::Any),
        Either::That(table) => (&table.all, Scopes::All),
    };
    let names: Vec<String> =
        list.iter().filter(|text| check_scope(text, resolver)).map(|it| it.value.clone()).collect();
    (!names.is_empty()).then(|| make(names))
}

/// Whether a text is a scope token (RFC 6749 §3.3), and so fits a quoted challenge.
fn check_scope(text: &Text, resolver: &mut Resolver<'_>) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
    let holds = !text.value.is_empty() && text.value.bytes().all(plain);
    if !holds {
        let message = format!("`{}` is no scope", text.value);
        let help = "each scope is a text of its own, without spaces, quotes and backslashes";
        resolver.problem_with_help(&text.place, message, help);
    }
    holds
}

/// The headers that tell the upstream who calls.
pub(super) fn headers(
    written: &Named<Text>,
    stages: &[Arc<Stage>],
    resolver: &mut Resolver<'_>,
) -> Arc<[IdentityHeader]> {
    let mut headers: Vec<IdentityHeader> = Vec::new();
    for entry in &written.entries {
        let attribute = entry.value.as_ref().and_then(|text| attribute(text, stages, resolver));
        let Ok(name) = HeaderName::try_from(entry.name.as_str()) else {
            resolver.problem(&entry.place, format!("`{}` is no header", entry.name));
            continue;
        };
        let mut reserved = RESERVED_HEADERS.iter().chain(&CONNECTION);
        if reserved.any(|reserved| same_to_upstreams(reserved, name.as_str())) {
            let message = format!("header `{name}` is the gateway's own to write");
            resolver.problem(&entry.place, message);
        }
        if let Some(IdentityHeader { name: other, .. }) =
            headers.iter().find(|other| other.is_taken_for(&name))
        {
            let message = format!("header `{name}` cannot be told from `{other}`");
            let help = "many upstreams take `_`, `-` and other marks in names for the same";
            resolver.problem_with_help(&entry.place, message, help);
        }
        if let Some(attribute) = attribute {
            headers.push(IdentityHeader { name, attribute });
        }
    }
    headers.into()
}

fn attribute(text: &Text, stages: &[Arc<Stage>], resolver: &mut Resolver<'_>) -> Option<String> {
    let (namespace, name) = text.value.split_once(':').unwrap_or_default();
    if NAMESPACES.contains(&namespace) && !name.is_empty() && !name.contains('*') {
        if namespace == "stage" {
            stages::check_value(name, (stages, &text.place), resolver);
        }
        return Some(text.value.clone());
    }
    let message = format!("no header can be set from `{}`", text.value);
    let help = "name one attribute of `identity:`, `path:`, `request:`, `stage:` or `tls:`";
    resolver.problem_with_help(&text.place, message, help);
    None
}
