//! The request as the upstream sees it.

use std::fmt::Write;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, OrErr, Result};
use portcullis_config::{HostRewrite, UpstreamProtocol, same_to_upstreams};
use portcullis_pipeline::{CorsReply, Forward, Outgoing};

use crate::arrival::Peer;
use crate::respond::REQUEST_ID;

// Texts, not `HeaderName`s: Pingora keeps names as they are written, and copies those
// of a `HeaderName` that is not among its own.
const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_HOST: &str = "x-forwarded-host";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// What the gateway tells every upstream of a request's origin.
const TOLD: [&str; 4] = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, REQUEST_ID];

/// What upstreams believe of an origin beside that, and strangers may not say.
const CLAIMED: [&str; 5] = [
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-real-ip",
];

/// What the outgoing head is made from beside the request itself.
pub(crate) struct Forwarding<'a> {
    /// The request, as admitted.
    pub(crate) forward: &'a Forward,
    /// Whether what the client says of earlier hops is believed.
    pub(crate) peer: Peer,
    /// The peer's address as text.
    pub(crate) address: &'a HeaderValue,
    /// What `Host` the upstream sees.
    pub(crate) host: &'a HostRewrite,
    /// The endpoint, as `Host` would name it.
    pub(crate) endpoint: &'a HeaderValue,
    /// The HTTP version spoken to the upstream.
    pub(crate) protocol: UpstreamProtocol,
    /// The body, as far as it is held.
    pub(crate) body: OutgoingBody,
    /// Whether a transform reads the response's body.
    pub(crate) response_body: ResponseBody,
}

/// How much of a body has been read before it is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutgoingBody {
    /// Nothing.
    Unread,
    /// Its beginning.
    Begun,
    /// All of it, this many bytes.
    Whole(usize),
}

/// Whether somebody reads the response's body on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseBody {
    /// A transform does, so it has to come plain and whole.
    Read,
    /// It passes as it is.
    Passes,
}

/// Turns the client's head, already stripped of hop-by-hop fields by Pingora, into
/// what the upstream sees.
pub(crate) fn rewrite(
    head: &mut RequestHeader,
    client: &RequestHeader,
    facts: &Forwarding<'_>,
) -> Result<()> {
    apply_outgoing(head, &facts.forward.outgoing)?;
    set_host(head, facts)?;
    if facts.peer == Peer::Stranger {
        remove_claims(head, client);
    }
    set_origin(head, facts)?;
    set_framing(head, facts)?;
    if keeps_trailers(client, facts.protocol) {
        head.insert_header(header::TE, HeaderValue::from_static("trailers"))?;
    }
    if facts.response_body == ResponseBody::Read {
        head.insert_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))?;
        head.remove_header(&header::RANGE);
        head.remove_header(&header::IF_RANGE);
    }
    Ok(())
}

/// Lays what transforms changed over the head.
fn apply_outgoing(head: &mut RequestHeader, outgoing: &Outgoing) -> Result<()> {
    if let Some(headers) = &outgoing.headers {
        replace_headers(head, headers)?;
    }
    if outgoing.path.is_none() && outgoing.query.is_none() {
        return Ok(());
    }
    let received = head.uri.path_and_query();
    let path =
        outgoing.path.as_deref().unwrap_or_else(|| received.map_or("/", |target| target.path()));
    let query = match &outgoing.query {
        Some(query) => query.as_deref(),
        None => received.and_then(|target| target.query()),
    };
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if head.uri.authority().is_none() {
        return head.set_raw_path(target.as_bytes());
    }
    let mut parts = head.uri.clone().into_parts();
    let target = target
        .try_into()
        .or_err(ErrorType::InvalidHTTPHeader, "an outgoing target that is none")?;
    parts.path_and_query = Some(target);
    let uri = http::Uri::from_parts(parts)
        .or_err(ErrorType::InvalidHTTPHeader, "an outgoing target that is none")?;
    head.set_uri(uri);
    Ok(())
}

/// Fields that describe the connection: what Pingora left of them stays as it is.
fn is_connections(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "upgrade"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "keep-alive"
            | "proxy-connection"
    ) || matches!(name.as_str(), "http2-settings" | "proxy-authenticate" | "proxy-authorization")
}

fn replace_headers(head: &mut RequestHeader, headers: &HeaderMap) -> Result<()> {
    let gone: Vec<HeaderName> =
        head.headers.keys().filter(|name| !is_connections(name)).cloned().collect();
    let nominated = nominated(&head.headers);
    for name in &gone {
        head.remove_header(name);
    }
    for (name, value) in headers {
        if !is_connections(name) && !nominated.contains(name) {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    Ok(())
}

/// The fields that `Connection` says are for this hop only.
pub(crate) fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let is_plain = |value: &&HeaderValue| {
        let options: [&[u8]; 2] = [b"keep-alive", b"close"];
        options.iter().any(|option| value.as_bytes().eq_ignore_ascii_case(option))
    };
    let values = headers.get_all(header::CONNECTION).iter().filter(|value| !is_plain(value));
    let values = values.filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(','));
    names.filter_map(|name| name.trim().parse().ok()).collect()
}

fn set_host(head: &mut RequestHeader, facts: &Forwarding<'_>) -> Result<()> {
    let host = match facts.host {
        HostRewrite::Preserve if names_authority(head, facts.forward).is_some() => return Ok(()),
        HostRewrite::Preserve => text(&facts.forward.authority)?,
        HostRewrite::Endpoint => facts.endpoint.clone(),
        HostRewrite::Literal(host) => host.clone(),
    };
    head.insert_header(header::HOST, host)
}

/// The head's `Host`, where it is the authority letter by letter.
fn names_authority<'a>(head: &'a RequestHeader, forward: &Forward) -> Option<&'a HeaderValue> {
    head.headers.get(header::HOST).filter(|host| host.as_bytes() == forward.authority.as_bytes())
}

/// The authority as a value; the head's own, where it has it.
fn authority(head: &RequestHeader, forward: &Forward) -> Result<HeaderValue> {
    names_authority(head, forward).cloned().map_or_else(|| text(&forward.authority), Ok)
}

/// Takes off what a stranger says of where its request comes from, in every spelling that an
/// upstream may take for it. What a transform put there is not the client's, and stays.
fn remove_claims(head: &mut RequestHeader, client: &RequestHeader) {
    let is_clients = |name: &HeaderName| {
        head.headers.get_all(name).iter().eq(client.headers.get_all(name).iter())
    };
    let claims = head.headers.keys().filter(|name| is_claim(name.as_str()) && is_clients(name));
    let claims: Vec<HeaderName> = claims.cloned().collect();
    for name in &claims {
        head.remove_header(name);
    }
}

/// Whether a name is one of [`CLAIMED`], or may be taken for one of these or of [`TOLD`], which
/// are written anew as they are.
fn is_claim(name: &str) -> bool {
    // Most names are told from these by their first letter or their length.
    if !name.starts_with('x') || !(9..=18).contains(&name.len()) {
        return false;
    }
    CLAIMED.iter().any(|claimed| same_to_upstreams(claimed, name))
        || TOLD.iter().any(|told| *told != name && same_to_upstreams(told, name))
}

/// Tells the upstream whom it is answering.
fn set_origin(head: &mut RequestHeader, facts: &Forwarding<'_>) -> Result<()> {
    let arrival = &facts.forward.arrival;
    let peer = arrival.peer.ip();
    let had_forwarded = head.headers.contains_key(header::FORWARDED);
    match facts.peer {
        Peer::Stranger => {
            head.insert_header(X_FORWARDED_FOR, facts.address.clone())?;
            head.insert_header(
                X_FORWARDED_PROTO,
                HeaderValue::from_static(arrival.scheme.as_str()),
            )?;
            let host = authority(head, facts.forward)?;
            head.insert_header(X_FORWARDED_HOST, host)?;
            if had_forwarded {
                head.remove_header(&header::FORWARDED);
            }
        }
        Peer::Trusted => {
            let chain = joined(&head.headers, X_FORWARDED_FOR, &peer.to_string());
            head.insert_header(X_FORWARDED_FOR, owned(chain)?)?;
            if !head.headers.contains_key(X_FORWARDED_PROTO) {
                head.insert_header(
                    X_FORWARDED_PROTO,
                    HeaderValue::from_static(arrival.scheme.as_str()),
                )?;
            }
            if !head.headers.contains_key(X_FORWARDED_HOST) {
                let host = authority(head, facts.forward)?;
                head.insert_header(X_FORWARDED_HOST, host)?;
            }
        }
    }
    if had_forwarded {
        let chain = joined(&head.headers, "forwarded", &forwarded_element(peer, facts.forward));
        head.insert_header(header::FORWARDED, owned(chain)?)?;
    }
    head.insert_header(REQUEST_ID, text(&arrival.id)?)
}

/// One element of `Forwarded` (RFC 7239).
fn forwarded_element(peer: IpAddr, forward: &Forward) -> String {
    let mut element = match peer {
        IpAddr::V4(address) => format!("for={address}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    // Writing to a string cannot fail.
    let _infallible = write!(
        element,
        ";proto={};host=\"{}\"",
        forward.arrival.scheme.as_str(),
        forward.authority
    );
    element
}

fn joined(headers: &HeaderMap, name: &str, last: &str) -> String {
    let mut chain = String::new();
    for value in headers.get_all(name).iter().filter_map(|value| value.to_str().ok()) {
        chain.push_str(value);
        chain.push_str(", ");
    }
    chain.push_str(last);
    chain
}

/// The body is as long as what is held of it, whatever the client declared.
fn set_framing(head: &mut RequestHeader, facts: &Forwarding<'_>) -> Result<()> {
    // Whoever has read of the body has also invited the client to send it.
    if facts.body != OutgoingBody::Unread {
        head.remove_header(&header::EXPECT);
    }
    let OutgoingBody::Whole(length) = facts.body else { return Ok(()) };
    head.remove_header(&header::TRANSFER_ENCODING);
    let had_length = head.remove_header(&header::CONTENT_LENGTH).is_some();
    if length > 0 || had_length {
        head.insert_header(header::CONTENT_LENGTH, length)?;
    }
    Ok(())
}

/// gRPC needs `TE: trailers`; only HTTP/2 upstreams can honour it.
fn keeps_trailers(client: &RequestHeader, protocol: UpstreamProtocol) -> bool {
    let may_speak_h2 = matches!(protocol, UpstreamProtocol::Http2 | UpstreamProtocol::Negotiate);
    may_speak_h2
        && client.version == Version::HTTP_2
        && client
            .headers
            .get(header::TE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

/// A value made of a text of its own, without copying it.
fn owned(value: String) -> Result<HeaderValue> {
    HeaderValue::try_from(value).map_err(|_| Error::new(ErrorType::InvalidHTTPHeader))
}

fn text(value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value).map_err(|_| Error::new(ErrorType::InvalidHTTPHeader))
}

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Takes what concerned the upstream's connection off a response.
pub(crate) fn strip_response(head: &mut ResponseHeader) {
    // The version is each connection's own (RFC 9110 §2.5).
    if head.version == Version::HTTP_10 {
        head.set_version(Version::HTTP_11);
    }
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    if head.headers.contains_key(header::CONNECTION) {
        for name in nominated(&head.headers) {
            if !matches!(
                name,
                header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::CONTENT_TYPE
            ) {
                head.remove_header(&name);
            }
        }
        head.remove_header(&header::CONNECTION);
    }
    for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &header::UPGRADE] {
        // Looking is cheaper than removing what is not there.
        if head.headers.contains_key(name) {
            head.remove_header(name);
        }
    }
}

/// Puts the gateway's word in the place of whatever an upstream says of CORS. Opening a
/// WebSocket has no part in it.
pub(crate) fn set_cors(head: &mut ResponseHeader, cors: &CorsReply) -> Result<()> {
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    for name in &CorsReply::NAMES {
        if head.headers.contains_key(name) {
            head.remove_header(name);
        }
    }
    for (name, value) in cors.headers() {
        head.insert_header(name, value)?;
    }
    match cors.vary(&head.headers) {
        Some(vary) => head.insert_header(header::VARY, vary),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
