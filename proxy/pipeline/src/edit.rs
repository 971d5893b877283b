//! Edits that transforms make, and their application: all or none.

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portcullis_config::RESERVED_HEADERS;

use crate::admitted::Outgoing;

/// One change to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestEdit {
    /// Replaces every header of this name.
    SetHeader(HeaderName, HeaderValue),
    /// Adds a header.
    AppendHeader(HeaderName, HeaderValue),
    /// Removes every header of this name.
    RemoveHeader(HeaderName),
    /// Replaces the path.
    SetPath(String),
    /// Replaces or removes the query.
    SetQuery(Option<String>),
    /// Replaces the body.
    SetBody(Bytes),
}

/// One change to a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseEdit {
    /// Replaces every header of this name.
    SetHeader(HeaderName, HeaderValue),
    /// Adds a header.
    AppendHeader(HeaderName, HeaderValue),
    /// Removes every header of this name.
    RemoveHeader(HeaderName),
    /// Replaces the status.
    SetStatus(StatusCode),
    /// Replaces the body.
    SetBody(Bytes),
}

/// Why an edit is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditProblem {
    /// The name frames the message or belongs to the connection.
    #[error("header `{0}` belongs to the gateway")]
    Reserved(HeaderName),
    /// The path is none.
    #[error("`{0}` is no path")]
    Path(String),
    /// The query holds what a query cannot.
    #[error("`{0}` is no query")]
    Query(String),
    /// The status is not that of a final response.
    #[error("status {0} is no final response's")]
    Status(StatusCode),
    /// The body was not declared with `buffer`.
    #[error("the body is replaced but the plan does not buffer it")]
    BodyNotBuffered,
}

/// Whether only the gateway writes this name.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    RESERVED_HEADERS.contains(&name.as_str())
}

/// What a plugin may say of these headers.
pub(crate) fn without_reserved(mut headers: HeaderMap) -> HeaderMap {
    for name in RESERVED_HEADERS {
        headers.remove(name);
    }
    headers
}

/// Adds those of a plugin's headers that a plugin may set.
pub(crate) fn append_allowed(headers: &mut HeaderMap, added: &[(HeaderName, HeaderValue)]) {
    for (name, value) in added.iter().filter(|(name, _)| !is_reserved(name)) {
        headers.append(name, value.clone());
    }
}

/// Applies edits to what the upstream will see; on a problem nothing has changed.
pub fn apply_to_request(
    edits: Vec<RequestEdit>,
    outgoing: &mut Outgoing,
    received: &HeaderMap,
    body_is_buffered: BodyAccess,
) -> Result<(), EditProblem> {
    for edit in &edits {
        check_request_edit(edit, body_is_buffered)?;
    }
    for edit in edits {
        match edit {
            RequestEdit::SetHeader(name, value) => {
                headers(outgoing, received).insert(name, value);
            }
            RequestEdit::AppendHeader(name, value) => {
                headers(outgoing, received).append(name, value);
            }
            RequestEdit::RemoveHeader(name) => {
                headers(outgoing, received).remove(name);
            }
            RequestEdit::SetPath(path) => outgoing.path = Some(path),
            RequestEdit::SetQuery(query) => outgoing.query = Some(query),
            RequestEdit::SetBody(body) => outgoing.body = Some(body),
        }
    }
    Ok(())
}

/// Whether a transform holds the whole body, and may therefore replace it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyAccess {
    /// The plan buffers it.
    Buffered,
    /// It streams past.
    Streaming,
}

/// The headers the upstream will see, to be changed.
pub(crate) fn headers<'a>(outgoing: &'a mut Outgoing, received: &HeaderMap) -> &'a mut HeaderMap {
    outgoing.headers.get_or_insert_with(|| end_to_end(received))
}

/// What was received but for the fields that `Connection` says are for that hop only
/// (RFC 9110 §7.6.1). Taken off first, so that a client cannot name a field there that
/// is set later.
pub(crate) fn end_to_end(received: &HeaderMap) -> HeaderMap {
    let mut headers = received.clone();
    let values = received.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    for name in values.flat_map(|value| value.split(',')) {
        if let Ok(name) = name.trim().parse::<HeaderName>()
            && !is_reserved(&name)
        {
            headers.remove(name);
        }
    }
    headers
}

fn check_request_edit(edit: &RequestEdit, body: BodyAccess) -> Result<(), EditProblem> {
    match edit {
        RequestEdit::SetHeader(name, _)
        | RequestEdit::AppendHeader(name, _)
        | RequestEdit::RemoveHeader(name) => check_name(name),
        RequestEdit::SetPath(path) if !is_path(path) => Err(EditProblem::Path(path.clone())),
        RequestEdit::SetQuery(Some(query)) if !is_query(query) => {
            Err(EditProblem::Query(query.clone()))
        }
        RequestEdit::SetBody(_) if body == BodyAccess::Streaming => {
            Err(EditProblem::BodyNotBuffered)
        }
        RequestEdit::SetPath(_) | RequestEdit::SetQuery(_) | RequestEdit::SetBody(_) => Ok(()),
    }
}

/// Applies edits to a response; on a problem nothing has changed.
pub fn apply_to_response(
    edits: Vec<ResponseEdit>,
    answer: &mut (StatusCode, HeaderMap, Option<Bytes>),
    body: BodyAccess,
) -> Result<(), EditProblem> {
    for edit in &edits {
        match edit {
            ResponseEdit::SetHeader(name, _)
            | ResponseEdit::AppendHeader(name, _)
            | ResponseEdit::RemoveHeader(name) => check_name(name)?,
            ResponseEdit::SetBody(_) if body == BodyAccess::Streaming => {
                return Err(EditProblem::BodyNotBuffered);
            }
            ResponseEdit::SetStatus(status) if !(200..600).contains(&status.as_u16()) => {
                return Err(EditProblem::Status(*status));
            }
            ResponseEdit::SetBody(_) | ResponseEdit::SetStatus(_) => {}
        }
    }
    let (status, headers, held) = answer;
    for edit in edits {
        match edit {
            ResponseEdit::SetHeader(name, value) => {
                headers.insert(name, value);
            }
            ResponseEdit::AppendHeader(name, value) => {
                headers.append(name, value);
            }
            ResponseEdit::RemoveHeader(name) => {
                headers.remove(name);
            }
            ResponseEdit::SetStatus(new) => *status = new,
            ResponseEdit::SetBody(bytes) => *held = Some(bytes),
        }
    }
    Ok(())
}

fn check_name(name: &HeaderName) -> Result<(), EditProblem> {
    if is_reserved(name) { Err(EditProblem::Reserved(name.clone())) } else { Ok(()) }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'))
}

fn is_query(query: &str) -> bool {
    query.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}
