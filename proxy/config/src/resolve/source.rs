//! Parts of a request, as `cache.by` and `identity_sources` name them.

use http::HeaderName;
use regex::bytes::{Regex, RegexBuilder};

use super::Resolver;
use crate::diagnostic::Place;
use crate::document::{self, Text};
use crate::gateway::{CacheRule, IdentitySource, RequestPart};
use crate::read::Either;
use crate::suggest;

/// Bytes a compiled expression may take.
const EXPRESSION_BYTES: usize = 256 << 10;

/// The kinds of parts.
const KINDS: [&str; 8] =
    ["header:", "query:", "cookie:", "attribute:", "path", "method", "host", "client-address"];

/// How grants may be kept.
pub(super) fn cache(written: &document::Cache, resolver: &mut Resolver<'_>) -> CacheRule {
    let table = match written {
        Either::This(life) => return CacheRule { life: life.0, by: Vec::new(), denials: None },
        Either::That(table) => table,
    };
    if let Some(by) = table.by.as_ref().filter(|by| by.value.is_empty()) {
        let help = "name what tells callers apart, or remove `by`";
        resolver.problem_with_help(&by.place, "with no parts all requests would be alike", help);
    }
    let by = table.by.iter().flat_map(|by| &by.value);
    CacheRule {
        life: table.life.0,
        by: by.filter_map(|text| source(text, resolver)).collect(),
        denials: table.denials.map(|life| life.0),
    }
}

/// Where each part that a cache goes by is written.
pub(super) fn cache_by_places(written: &document::PluginUse) -> Vec<Place> {
    let table = written.cache.as_ref().and_then(|cache| match &cache.value {
        Either::This(_) => None,
        Either::That(table) => table.by.as_ref(),
    });
    table.iter().flat_map(|by| &by.value).map(|text| text.place.clone()).collect()
}

/// What a request must have for the authorizer to be asked.
pub(super) fn identity_sources(
    written: &document::PluginUse,
    resolver: &mut Resolver<'_>,
) -> Vec<IdentitySource> {
    let all = written.identity_sources.iter().flat_map(|sources| &sources.value);
    let one = |written: &document::IdentitySource| {
        let (text, expression) = match written {
            Either::This(text) => (text, None),
            Either::That(table) => (&table.source, table.matches.as_ref()),
        };
        let part = source(text, resolver)?;
        if matches!(&part, RequestPart::Attribute(name) if name.starts_with("body:")) {
            let message = "the body is not there yet when an identity is looked for";
            resolver.problem(&text.place, message);
        }
        let matches = match expression {
            Some(written) => Some(expression_of(written, resolver)?),
            None => None,
        };
        Some(IdentitySource { part, matches })
    };
    all.filter_map(one).collect()
}

fn source(text: &Text, resolver: &mut Resolver<'_>) -> Option<RequestPart> {
    let (kind, name) = match text.value.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (text.value.as_str(), None),
    };
    let found = match (kind, name) {
        ("path", None) => Some(RequestPart::Path),
        ("method", None) => Some(RequestPart::Method),
        ("host", None) => Some(RequestPart::Host),
        ("client-address", None) => Some(RequestPart::ClientAddress),
        (_, None | Some("")) => None,
        ("header", Some(name)) => HeaderName::try_from(name).ok().map(RequestPart::Header),
        ("query", Some(name)) => Some(RequestPart::Query(name.to_owned())),
        ("cookie", Some(name)) => Some(RequestPart::Cookie(name.to_owned())),
        ("attribute", Some(name)) if name.contains(':') && !name.ends_with('*') => {
            Some(RequestPart::Attribute(name.to_owned()))
        }
        _ => None,
    };
    if found.is_none() {
        let message = format!("`{}` is no part of a request known here", text.value);
        let help = match (kind, name) {
            ("attribute", Some(_)) => {
                "attributes have a namespace, as `attribute:route:id`".to_owned()
            }
            _ => help(kind),
        };
        resolver.problem_with_help(&text.place, message, &help);
    }
    found
}

fn help(kind: &str) -> String {
    let known: Vec<&str> = KINDS.iter().map(|kind| kind.trim_end_matches(':')).collect();
    let index = suggest::nearest(kind, known.iter().copied())
        .and_then(|near| known.iter().position(|kind| *kind == near));
    let shown = |kind: &str| {
        if kind.ends_with(':') { format!("`{kind}NAME`") } else { format!("`{kind}`") }
    };
    match index.and_then(|index| KINDS.get(index)) {
        Some(near) => format!("did you mean {}?", shown(near)),
        None => {
            let all: Vec<String> = KINDS.iter().map(|kind| shown(kind)).collect();
            format!("known: {}", all.join(", "))
        }
    }
}

/// Compiles an expression that takes the whole of a value: what only begins well is not
/// well-formed.
fn expression_of(written: &Text, resolver: &mut Resolver<'_>) -> Option<Regex> {
    regular_expression(written, &format!(r"\A(?:{})\z", written.value), resolver)
}

/// Compiles `whole`, which is a text or what was made of it.
pub(super) fn regular_expression(
    written: &Text,
    whole: &str,
    resolver: &mut Resolver<'_>,
) -> Option<Regex> {
    // The text by itself comes first: `a)(b` would be another one within the group.
    let compiled = RegexBuilder::new(&written.value)
        .size_limit(EXPRESSION_BYTES)
        .build()
        .and_then(|_| RegexBuilder::new(whole).size_limit(EXPRESSION_BYTES).build());
    match compiled {
        Ok(expression) => Some(expression),
        Err(regex::Error::CompiledTooBig(_)) => {
            resolver.problem(&written.place, "this expression is too large when compiled");
            None
        }
        Err(problem) => {
            let text = problem.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let message = format!("this is no regular expression: {last}");
            resolver.problem(&written.place, message);
            None
        }
    }
}
