//! Changes of messages that the configuration makes without a plugin.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portcullis_config::{
    Change, Part, Placeholder, RequestMapping, ResponseMapping, Template, same_to_upstreams,
};

use crate::admitted::Outgoing;
use crate::edit;
use crate::fill::{self, Known};
use crate::phase::canonical::{CanonicalPath, push_encoded_text};
use crate::phase::identity_headers::{LONGEST, is_kept};
use crate::rejection::{PathFault, Rejection};
use crate::view::Subject;

/// Changes what the upstream will see. Values are of the request as the client sent it.
pub(crate) fn map_request(
    mapping: &RequestMapping,
    known: &Known<'_>,
    subject: Subject<'_>,
    outgoing: &mut Outgoing,
) -> Result<(), Rejection> {
    if !mapping.headers.is_empty() {
        let headers = edit::headers(outgoing, known.view.headers());
        for change in &mapping.headers {
            match change {
                Change::Remove(name) => remove(headers, name),
                Change::Set(name, template) => {
                    remove(headers, name);
                    set(headers, name, header_value(known, template));
                }
                Change::Append(name, template) => append(headers, name, known, template),
            }
        }
    }
    if !mapping.query.is_empty() {
        outgoing.query = Some(query(&mapping.query, known));
    }
    if let Some(template) = &mapping.path {
        outgoing.path = Some(path(template, known, subject).map_err(Rejection::PathUnmade)?);
    }
    Ok(())
}

/// Changes what the client will see, after all transforms.
pub(crate) fn map_response(
    mapping: &ResponseMapping,
    known: &Known<'_>,
    received: StatusCode,
    edited: &mut (StatusCode, HeaderMap),
) {
    let by_status = mapping.on.iter().filter(|(statuses, _)| statuses.matches(received));
    for changes in std::iter::once(&mapping.always).chain(by_status.map(|(_, changes)| changes)) {
        edited.0 = changes.status.unwrap_or(edited.0);
        for change in &changes.headers {
            match change {
                Change::Remove(name) => drop(edited.1.remove(name)),
                Change::Set(name, template) => {
                    edited.1.remove(name);
                    set(&mut edited.1, name, header_value(known, template));
                }
                Change::Append(name, template) => append(&mut edited.1, name, known, template),
            }
        }
    }
}

/// Takes off every header that an upstream may take for this one.
fn remove(headers: &mut HeaderMap, name: &HeaderName) {
    headers.remove(name);
    let is_taken = |other: &&HeaderName| same_to_upstreams(name.as_str(), other.as_str());
    let alike: Vec<HeaderName> = headers.keys().filter(is_taken).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

fn append(headers: &mut HeaderMap, name: &HeaderName, known: &Known<'_>, template: &Template) {
    if let Some(value) = header_value(known, template) {
        headers.append(name, value);
    }
}

/// A value that its reader sees as it is; what a header cannot hold counts as missing.
pub(crate) fn header_value(known: &Known<'_>, template: &Template) -> Option<HeaderValue> {
    let text = known.fill(template)?;
    if text.len() > LONGEST || !is_kept(&text) {
        return None;
    }
    HeaderValue::try_from(text.into_bytes()).ok()
}

/// The query so changed; parameters that no change names stay as the client spelt them.
fn query(changes: &[Change<String>], known: &Known<'_>) -> Option<String> {
    let received = known.view.query().unwrap_or_default();
    let is_gone = |written: &str| {
        let (name, _) = fill::pair(written);
        changes.iter().any(|change| match change {
            Change::Remove(gone) | Change::Set(gone, _) => name.as_ref() == Some(gone),
            Change::Append(..) => false,
        })
    };
    let mut query = String::new();
    for written in received.split('&').filter(|it| !it.is_empty() && !is_gone(it)) {
        separate(&mut query);
        query.push_str(written);
    }
    for change in changes {
        let (Change::Set(name, template) | Change::Append(name, template)) = change else {
            continue;
        };
        if let Some(value) = known.fill(template).filter(|value| value.len() <= LONGEST) {
            separate(&mut query);
            push_encoded_text(&mut query, name);
            query.push('=');
            push_encoded_text(&mut query, &value);
        }
    }
    (!query.is_empty()).then_some(query)
}

fn separate(query: &mut String) {
    if !query.is_empty() {
        query.push('&');
    }
}

/// The path so made: canonical, with the segments that the template has. Only a path
/// parameter that takes the rest of the path brings more.
fn path(template: &Template, known: &Known<'_>, subject: Subject<'_>) -> Result<String, PathFault> {
    let mut path = String::new();
    for part in template.parts() {
        match part {
            Part::Text(text) => path.push_str(text),
            Part::Value(placeholder) => {
                let pushed = push_value(&mut path, placeholder, known, subject);
                pushed.ok_or_else(|| PathFault::Value(placeholder.to_string()))?;
            }
        }
    }
    let canonical = CanonicalPath::parse(&path).map_err(PathFault::Path)?;
    Ok(canonical.as_str().to_owned())
}

fn push_value(
    path: &mut String,
    placeholder: &Placeholder,
    known: &Known<'_>,
    subject: Subject<'_>,
) -> Option<()> {
    if let Placeholder::Attribute(name) = placeholder
        && let Some(parameter) = name.strip_prefix("path:")
    {
        // Canonical already, and as long as the client made it.
        path.push_str(subject.route.raw_parameter(subject.path, parameter)?);
        return Some(());
    }
    let text = known.text(placeholder).filter(|text| (1..=LONGEST).contains(&text.len()))?;
    let divides = |c: char| matches!(c, '/' | '\\') || c.is_ascii_control();
    if text.contains(divides) {
        return None;
    }
    push_encoded_text(path, &text);
    Some(())
}
