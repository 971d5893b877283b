//! What is known of a request beside its bytes: its id, when it came, from whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::{HeaderMap, header};
use ipnet::IpNet;
use pingora::protocols::Digest;
use pingora::protocols::http::ServerSession;
use portcullis_pipeline::{Arrival, Scheme, TlsFacts};
use portcullis_state::now_ms;

use crate::client_certificate;
use crate::strict_head::{self, HeadFault};

/// Whether the peer of a connection is a proxy whose headers are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It is.
    Trusted,
    /// It may write what it likes.
    Stranger,
}

/// The facts of a request whose head has been read.
pub(crate) fn arrival(
    session: &ServerSession,
    trusted: &[IpNet],
    (id, peer): (u128, SocketAddr),
) -> Arrival {
    let headers = &session.req_header().headers;
    let tls = session.digest().and_then(tls_facts);
    let connection_scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
    let (client, scheme) = match trust(peer.ip(), trusted) {
        Peer::Stranger => (peer.ip(), connection_scheme),
        Peer::Trusted => {
            let client = forwarded_client(headers, peer.ip(), trusted);
            (client, forwarded_scheme(headers).unwrap_or(connection_scheme))
        }
    };
    Arrival { id: request_id(id), peer, client, scheme, time_ms: now_ms(), tls }
}

/// Whether the headers of this peer are believed.
pub(crate) fn trust(peer: IpAddr, trusted: &[IpNet]) -> Peer {
    let peer = peer.to_canonical();
    if trusted.iter().any(|network| network.contains(&peer)) {
        Peer::Trusted
    } else {
        Peer::Stranger
    }
}

/// The peer of the connection; unspecified where there is no socket.
pub(crate) fn peer_address(session: &ServerSession) -> SocketAddr {
    let address = session.client_addr().and_then(|address| address.as_inet());
    let address = address.copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The id as headers and logs carry it: 32 hexadecimal digits.
pub(crate) fn request_id(bits: u128) -> String {
    let digit = |place: u32| {
        let value = u8::try_from(bits >> (4 * place) & 0xf).unwrap_or_default();
        char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 })
    };
    // Each request has one: the formatter takes ten times as long.
    let mut id = String::with_capacity(32);
    id.extend((0..32).rev().map(digit));
    id
}

/// The last address in the chain that no trusted proxy has.
fn forwarded_client(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    let chain =
        headers.get_all("x-forwarded-for").iter().rev().filter_map(|value| value.to_str().ok());
    for hop in chain.flat_map(|value| value.rsplit(',')) {
        let Some(address) = parse_hop(hop) else { return client };
        client = address;
        if trust(address, trusted) == Peer::Stranger {
            return client;
        }
    }
    client
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().or_else(|_| hop.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

fn forwarded_scheme(headers: &HeaderMap) -> Option<Scheme> {
    let value = headers.get("x-forwarded-proto")?.to_str().ok()?;
    match value.rsplit(',').next()?.trim() {
        scheme if scheme.eq_ignore_ascii_case("https") => Some(Scheme::Https),
        scheme if scheme.eq_ignore_ascii_case("http") => Some(Scheme::Http),
        _ => None,
    }
}

fn tls_facts(digest: &Digest) -> Option<TlsFacts> {
    let tls = digest.ssl_digest.as_ref()?;
    let client_certificate = client_certificate::of(tls).cloned();
    Some(TlsFacts { version: tls_version(&tls.version), client_certificate })
}

/// The version as OpenSSL and most logs write it; rustls writes `TLSv1_3`.
fn tls_version(version: &str) -> String {
    version.replace('_', ".")
}

/// Turns an absolute-form target (RFC 9112 §3.2.2) into its origin form: the target's
/// authority wins over `Host`.
pub(crate) fn to_origin_form(session: &mut ServerSession) -> Result<(), HeadFault> {
    let head = session.req_header_mut();
    if !strict_head::is_absolute_form(head.raw_path()) {
        return Ok(());
    }
    let target = std::str::from_utf8(head.raw_path()).ok();
    let target = target.and_then(|target| target.parse::<http::Uri>().ok());
    let parts = target.map(http::Uri::into_parts).ok_or(HeadFault::RequestLine)?;
    let authority = parts.authority.ok_or(HeadFault::Host)?;
    let path = parts.path_and_query.map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned());
    let rewritten = head
        .insert_header(header::HOST, authority.as_str())
        .and_then(|()| head.set_raw_path(path.as_bytes()));
    rewritten.map_err(|_| HeadFault::RequestLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chain: &[&str], expected: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for value in chain {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let client = forwarded_client(&headers, "10.0.0.1".parse().unwrap(), &trusted);
        assert_eq!(client.to_string(), expected, "{chain:?}");
    }

    #[test]
    fn the_client_is_the_last_address_no_trusted_proxy_has() {
        check(&[], "10.0.0.1");
        check(&["192.0.2.7"], "192.0.2.7");
        check(&["192.0.2.7, 10.0.0.9"], "192.0.2.7");
        check(&["198.51.100.1, 192.0.2.7", "10.0.0.9"], "192.0.2.7");
        check(&["192.0.2.7:4711, [fd00::1]:80"], "192.0.2.7");
        check(&["::ffff:192.0.2.7"], "192.0.2.7");
        check(&["10.0.0.8, 10.0.0.9"], "10.0.0.8");
        check(&["192.0.2.7, nonsense, 10.0.0.9"], "10.0.0.9");
    }

    #[test]
    fn ids_are_as_long_as_they_are_random() {
        assert_eq!(request_id(1), format!("{:032x}", 1));
        let bits = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978;
        assert_eq!(request_id(bits), format!("{bits:032x}"));
        assert_eq!(request_id(u128::MAX), "f".repeat(32));
    }
}
