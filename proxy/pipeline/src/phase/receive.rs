//! Reads from a head whom and what the request is for.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Version};

use crate::incoming::{Arrival, Incoming};
use crate::phase::canonical::CanonicalPath;
use crate::rejection::MalformedRequest;

/// A request that says without doubt which host and path it is for.
#[derive(Debug)]
pub(crate) struct Received {
    arrival: Arrival,
    authority: String,
    path: CanonicalPath,
}

impl Received {
    /// What is known of the request beside its bytes.
    pub(crate) fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// The host in lower case, with its port where one was given.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The host without its port and without the dot of a fully qualified name.
    pub(crate) fn host(&self) -> &str {
        let (host, _) = split_port(&self.authority);
        host.strip_suffix('.').unwrap_or(host)
    }

    /// The canonical path.
    pub(crate) fn path(&self) -> &CanonicalPath {
        &self.path
    }

    /// What was received, for good.
    pub(crate) fn into_parts(self) -> (Arrival, String, CanonicalPath) {
        (self.arrival, self.authority, self.path)
    }
}

/// Refuses what could be read in two ways.
pub(crate) fn receive(
    arrival: Arrival,
    incoming: &impl Incoming,
) -> Result<Received, MalformedRequest> {
    let head = incoming.head();
    check_framing(head)?;
    if head.method == Method::CONNECT || head.uri.path() == "*" {
        return Err(MalformedRequest::Target);
    }
    let authority = authority(head)?.to_ascii_lowercase();
    if !is_authority(&authority) {
        return Err(MalformedRequest::BadHost);
    }
    let path = CanonicalPath::parse(head.uri.path())?;
    Ok(Received { arrival, authority, path })
}

/// Two ways to tell where the body ends are the matter of request smuggling
/// (RFC 9112 §6.3).
fn check_framing(head: &Parts) -> Result<(), MalformedRequest> {
    let chunked = head.headers.contains_key(TRANSFER_ENCODING);
    let lengths = head.headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 || (chunked && (lengths > 0 || is_multiplexed(head))) {
        return Err(MalformedRequest::Framing);
    }
    Ok(())
}

/// The one host the head names: in `Host`, in the target, or the same in both.
fn authority(head: &Parts) -> Result<&str, MalformedRequest> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts
        .next()
        .map(|host| host.to_str().map_err(|_| MalformedRequest::BadHost))
        .transpose()?;
    if hosts.next().is_some() {
        return Err(MalformedRequest::SeveralHosts);
    }
    match (host, head.uri.authority()) {
        (None, Some(target)) if is_multiplexed(head) => Ok(target.as_str()),
        (None, _) => Err(MalformedRequest::NoHost),
        (Some(host), None) => Ok(host),
        (Some(host), Some(target)) if target.as_str().eq_ignore_ascii_case(host) => Ok(host),
        (Some(_), Some(_)) => Err(MalformedRequest::SeveralHosts),
    }
}

/// Whether the version has streams, and with them its own framing and `:authority`.
fn is_multiplexed(head: &Parts) -> bool {
    matches!(head.version, Version::HTTP_2 | Version::HTTP_3)
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand within its brackets.
        Some((_, port)) if port.contains(']') => (authority, None),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = split_port(text);
    let port_holds =
        port.is_none_or(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let host_holds = match host.strip_prefix('[') {
        Some(rest) => {
            rest.strip_suffix(']').is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok())
        }
        None => !host.starts_with('.') && !host.is_empty() && host.bytes().all(plain),
    };
    port_holds && host_holds
}
