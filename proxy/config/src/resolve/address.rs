//! Addresses: to bind and to reach.

use std::net::{Ipv6Addr, SocketAddr};

use super::Resolver;
use crate::document::Address;

/// A host, without the brackets of IPv6, and a port.
pub(super) struct HostPort {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The address a listener binds.
pub(super) fn to_bind(written: &Address, resolver: &mut Resolver<'_>) -> Option<SocketAddr> {
    let text = match written.value.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => written.value.clone(),
    };
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let message = format!("`{}` is no address to bind", written.value);
            let help = "write an IP address and a port, as `0.0.0.0:8080` or `[::]:8080`";
            resolver.problem_with_help(&written.place, message, help);
            None
        }
    }
}

/// The address of an endpoint.
pub(super) fn to_reach(written: &Address, resolver: &mut Resolver<'_>) -> Option<HostPort> {
    let text = written.value.as_str();
    let help = if text.contains("://") {
        "write `host:port` without a scheme; `tls = true` speaks TLS".to_owned()
    } else if let Some(found) = host_and_port(text) {
        return Some(found);
    } else if !text.is_empty() && host_and_port(&format!("{text}:80")).is_some() {
        format!("add a port, as `{text}:80`")
    } else {
        "write `host:port`, as `orders.internal:8080` or `[2001:db8::1]:8080`".to_owned()
    };
    resolver.problem_with_help(&written.place, format!("`{text}` is no endpoint"), &help);
    None
}

fn host_and_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().ok()?.to_string(),
        None => host.to_owned(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let named = !host.is_empty() && host.chars().all(plain);
    (named || host.contains(':') && text.starts_with('[')).then_some(HostPort { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, u16)>) {
        let found = host_and_port(text).map(|found| (found.host, found.port));
        assert_eq!(found, expected.map(|(host, port)| (host.to_owned(), port)), "{text}");
    }

    #[test]
    fn endpoints_are_a_host_and_a_port() {
        check("orders:80", Some(("orders", 80)));
        check("10.0.0.7:9000", Some(("10.0.0.7", 9000)));
        check("[::1]:80", Some(("::1", 80)));
        check("::1:80", None);
        check("orders", None);
        check("orders:0", None);
        check(":80", None);
        check("a/b:80", None);
    }
}
