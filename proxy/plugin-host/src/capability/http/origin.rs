//! Where a guest wants to send a request, compared with where it may.

use std::net::{IpAddr, Ipv6Addr};

use http::{Method, Request, Uri};
use portcullis_config::{Origin, OriginHost};

use super::connection::Protocol;

/// Where a request goes, once that is granted. Connections are kept by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Destination {
    /// Whether TLS is spoken.
    pub(super) https: bool,
    /// The host.
    pub(super) host: Host,
    /// The port.
    pub(super) port: u16,
    /// The version of HTTP spoken.
    pub(super) protocol: Protocol,
}

/// The host of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Host {
    /// A name in lower case, still to be resolved.
    Name(String),
    /// An address that the grant names.
    Address(IpAddr),
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Why a request is not sent; for the plugin's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// No origin of the grant is this one.
    #[error("`{0}` is no origin that is granted")]
    Origin(String),
    /// The method makes something else than a request of it.
    #[error("the method {0} cannot be used")]
    Method(Method),
    /// A name leads to nothing but private addresses.
    #[error("`{0}` has no public address, and `private_addresses` is not granted")]
    Private(String),
    /// The call has sent all the requests it may.
    #[error("one call may send {0} requests")]
    Requests(u32),
}

/// Finds where a request goes, if that is granted.
pub(super) fn admit<B>(origins: &[Origin], request: &Request<B>) -> Result<Destination, Refusal> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method(request.method().clone()));
    }
    let uri = request.uri();
    let refusal = || {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        Refusal::Origin(format!("{scheme}://{authority}"))
    };
    let protocol = Protocol::for_headers(request.headers());
    let destination = destination(uri, protocol).ok_or_else(refusal)?;
    let granted = origins.iter().any(|origin| allows(origin, &destination));
    if granted { Ok(destination) } else { Err(refusal()) }
}

fn destination(uri: &Uri, protocol: Protocol) -> Option<Destination> {
    let https = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority()?;
    // Whoever reads `https://granted@other/` in a log must not be mistaken.
    if authority.as_str().contains('@') {
        return None;
    }
    let port = match authority.port() {
        Some(port) => port.as_str().parse().ok().filter(|port| *port > 0)?,
        None if authority.as_str().ends_with(':') => return None,
        None if https => 443,
        None => 80,
    };
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(address) => Host::Address(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)),
        None => match host.parse() {
            Ok(address) => Host::Address(IpAddr::V4(address)),
            Err(_) => Host::Name(host.to_ascii_lowercase()),
        },
    };
    Some(Destination { https, host, port, protocol })
}

/// Whether everything at an origin may be called under one of these.
pub(crate) fn covers(granted: &[Origin], wanted: &Origin) -> bool {
    let host = match &wanted.host {
        OriginHost::Name(name) => Host::Name(name.clone()),
        OriginHost::Address(address) => Host::Address(*address),
        OriginHost::Below(_) => return granted.contains(wanted),
    };
    let (https, port, protocol) = (wanted.https, wanted.port, Protocol::Http1);
    let destination = Destination { https, host, port, protocol };
    granted.iter().any(|origin| allows(origin, &destination))
}

fn allows(origin: &Origin, destination: &Destination) -> bool {
    let host = match (&origin.host, &destination.host) {
        (OriginHost::Name(granted), Host::Name(wanted)) => granted == wanted,
        (OriginHost::Below(granted), Host::Name(wanted)) => wanted
            .strip_suffix(granted.as_str())
            .and_then(|front| front.strip_suffix('.'))
            .is_some_and(|front| !front.is_empty()),
        (OriginHost::Address(granted), Host::Address(wanted)) => granted == wanted,
        _ => false,
    };
    host && origin.https == destination.https && origin.port == destination.port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Vec<Origin> {
        let origin = |https, host, port| Origin { https, host, port };
        vec![
            origin(true, OriginHost::Name("login.example.com".into()), 443),
            origin(true, OriginHost::Below("example.org".into()), 443),
            origin(false, OriginHost::Address([127, 0, 0, 1].into()), 9000),
            origin(false, OriginHost::Address(Ipv6Addr::LOCALHOST.into()), 9000),
        ]
    }

    fn allowed<'a>(uris: &[&'a str]) -> Vec<&'a str> {
        let is_allowed = |uri: &&&str| {
            let request = Request::get(**uri).body(()).unwrap();
            admit(&origins(), &request).is_ok()
        };
        uris.iter().filter(is_allowed).copied().collect()
    }

    #[test]
    fn a_granted_origin_is_allowed_however_it_is_written() {
        let uris = [
            "https://login.example.com/token?x=1",
            "https://LOGIN.example.com:443/",
            "https://a.example.org/",
            "https://a.b.example.org/",
            "http://127.0.0.1:9000/",
            "http://[::1]:9000/",
            "http://[0:0::1]:9000/",
        ];

        assert_eq!(allowed(&uris), uris);
    }

    #[test]
    fn anything_else_is_refused() {
        let uris = [
            "http://login.example.com/",
            "https://login.example.com:8443/",
            "https://login.example.com./",
            "https://login.example.com.evil.com/",
            "https://evil-login.example.com/",
            "https://login.example.com@evil.com/",
            "https://evil.com@login.example.com/",
            "https://example.org/",
            "https://evilexample.org/",
            "https://.example.org/",
            "http://127.0.0.1/",
            "http://127.1:9000/",
            "http://localhost:9000/",
            "http://[::ffff:127.0.0.1]:9000/",
            "http://127.0.0.1:09000000/",
        ];

        assert_eq!(allowed(&uris), [""; 0]);
    }

    #[test]
    fn a_tunnel_is_no_request() {
        let uri = "https://login.example.com/";
        let connect = Request::builder().method("CONNECT").uri(uri).body(()).unwrap();

        assert_eq!(admit(&origins(), &connect), Err(Refusal::Method(Method::CONNECT)));
    }
}
