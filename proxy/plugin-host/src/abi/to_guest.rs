//! The pipeline's view of a request, as far as a plugin declared it, in the
//! contract's records.

use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_pipeline::{BodyMode, HeldBody, Reads, ResponseCall, Value, View, query_pairs};

use super::imports::types;

/// Selects what `reads` declares; nothing else crosses.
pub(crate) fn request(view: &View<'_>, reads: &Reads, argument: Option<&str>) -> types::Request {
    types::Request {
        method: view.method().to_owned(),
        scheme: view.scheme().to_owned(),
        authority: view.authority().to_owned(),
        raw_path: view.raw_path().to_owned(),
        path: view.path().to_owned(),
        query: view.query().map(str::to_owned),
        client_address: view.client().to_string(),
        time: view.time_ms(),
        argument: argument.map(str::to_owned),
        headers: headers(
            view.headers(),
            if reads.all_headers { None } else { Some(&reads.headers) },
        ),
        parameters: parameters(view.query(), reads),
        attributes: attributes(view, reads),
        body: body(view.body(), reads.body),
    }
}

/// Selects what `reads` declares of a response.
pub(crate) fn response(call: &ResponseCall<'_>, reads: &Reads) -> types::Response {
    types::Response {
        status: call.status.as_u16(),
        headers: headers(
            call.headers,
            if reads.all_response_headers { None } else { Some(&reads.response_headers) },
        ),
        body: body(call.body, reads.response_body),
    }
}

/// Bytes of what was selected, for the metric that shows declared reads at work.
pub(crate) fn size(request: &types::Request) -> usize {
    let headers = request.headers.iter().map(|header| header.name.len() + header.value.len());
    let parameters =
        request.parameters.iter().map(|parameter| parameter.name.len() + parameter.value.len());
    let body = request.body.as_ref().map(|body| body.bytes.len());
    headers.chain(parameters).chain(body).sum()
}

/// Selects the headers of these names; all of them where no names are given.
fn headers(from: &HeaderMap, names: Option<&[HeaderName]>) -> Vec<types::Header> {
    let header = |name: &HeaderName, value: &HeaderValue| types::Header {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    let Some(names) = names else {
        return from.iter().map(|(name, value)| header(name, value)).collect();
    };
    let mut selected = Vec::with_capacity(names.len());
    for name in names {
        selected.extend(from.get_all(name).iter().map(|value| header(name, value)));
    }
    selected
}

fn parameters(query: Option<&str>, reads: &Reads) -> Vec<types::Parameter> {
    if !reads.all_parameters && reads.parameters.is_empty() {
        return Vec::new();
    }
    let declared = |name: &str| reads.all_parameters || reads.parameters.iter().any(|n| n == name);
    query_pairs(query)
        .filter(|(name, _)| declared(name))
        .map(|(name, value)| types::Parameter {
            name: name.into_owned(),
            value: value.into_owned(),
        })
        .collect()
}

fn attributes(view: &View<'_>, reads: &Reads) -> Vec<types::Attribute> {
    let mut selected = Vec::with_capacity(reads.attributes.len());
    for name in &reads.attributes {
        each_attribute(view, name, |name, value| selected.push(attribute(name.to_owned(), value)));
    }
    selected
}

/// Hands over the attributes that a plan's name stands for: one, or a namespace.
pub(crate) fn each_attribute(view: &View<'_>, name: &str, mut take: impl FnMut(&str, Value)) {
    if let Some(namespace) = name.strip_suffix(":*") {
        for (name, value) in view.attributes_in(namespace) {
            take(&name, value);
        }
    } else if let Some(found) = view.attribute(name) {
        take(name, found);
    }
}

fn attribute(name: String, value: Value) -> types::Attribute {
    types::Attribute { name, value: self::value(value) }
}

/// Translates a value.
pub(crate) fn value(value: Value) -> types::Value {
    match value {
        Value::Text(text) => types::Value::Text(text),
        Value::Integer(number) => types::Value::Integer(number),
        Value::Boolean(truth) => types::Value::Boolean(truth),
        Value::Texts(texts) => types::Value::Texts(texts),
        Value::Bytes(bytes) => types::Value::Bytes(bytes),
    }
}

fn body(held: Option<&HeldBody>, mode: BodyMode) -> Option<types::Body> {
    body_part(held, mode).map(|(bytes, complete)| types::Body { bytes: bytes.to_vec(), complete })
}

/// The part of a body that a mode shows, and whether it is the whole.
pub(crate) fn body_part(held: Option<&HeldBody>, mode: BodyMode) -> Option<(&[u8], bool)> {
    let held = held?;
    let most = match mode {
        BodyMode::None => return None,
        BodyMode::Peek(most) => usize::try_from(most).unwrap_or(usize::MAX),
        BodyMode::Buffer(_) => usize::MAX,
    };
    let first = held.bytes.get(..most.min(held.bytes.len())).unwrap_or_default();
    Some((first, held.complete && first.len() == held.bytes.len()))
}
