//! Origins: where a plugin may send requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where a plugin may send requests: a scheme, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whether it is `https`, and not `http`.
    pub https: bool,
    /// The host.
    pub host: OriginHost,
    /// The port.
    pub port: u16,
}

/// The host of an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginHost {
    /// A name, in lower case.
    Name(String),
    /// Every name below this one, which is in lower case: `*.example.com`.
    Below(String),
    /// An address, which is meant by being written.
    Address(IpAddr),
}

impl FromStr for Origin {
    /// What to write.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        origin(text)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        match &self.host {
            OriginHost::Name(name) => write!(f, "{scheme}://{name}:{}", self.port),
            OriginHost::Below(name) => write!(f, "{scheme}://*.{name}:{}", self.port),
            OriginHost::Address(IpAddr::V4(address)) => {
                write!(f, "{scheme}://{address}:{}", self.port)
            }
            OriginHost::Address(IpAddr::V6(address)) => {
                write!(f, "{scheme}://[{address}]:{}", self.port)
            }
        }
    }
}

fn origin(text: &str) -> Result<Origin, &'static str> {
    let (https, rest) = match text.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        Some(_) => return Err("an origin begins with `https://` or `http://`"),
        None => return Err("begin with a scheme, as `https://login.example.com`"),
    };
    if rest.contains(['/', '?', '#', '@']) {
        return Err("an origin is a scheme, a host and a port; leave out the rest");
    }
    let (host, port) = match rest.rsplit_once(':') {
        // The last colon of an address in brackets is none before a port.
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port > 0);
            (host, port.ok_or("a port is a number from 1 to 65535")?)
        }
        _ => (rest, if https { 443 } else { 80 }),
    };
    Ok(Origin { https, host: host_of(host)?, port })
}

fn host_of(text: &str) -> Result<OriginHost, &'static str> {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let address = address.parse::<Ipv6Addr>().map_err(|_| "this is no IPv6 address")?;
        return reachable(IpAddr::V6(address));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return reachable(IpAddr::V4(address));
    }
    let lower = text.to_ascii_lowercase();
    let (below, name) = match lower.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, lower.as_str()),
    };
    if name.contains('*') {
        return Err("a wildcard stands for whole labels in front, as `https://*.example.com`");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63 && label.chars().all(plain);
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("a host is a name, or an address, IPv6 in brackets");
    }
    // `127.1` and `0x7f.1` are addresses to resolvers and names to everyone else.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("write an IPv4 address as four numbers");
    }
    Ok(if below { OriginHost::Below(name.to_owned()) } else { OriginHost::Name(lower.clone()) })
}

/// An address that something can listen on.
fn reachable(address: IpAddr) -> Result<OriginHost, &'static str> {
    match address {
        _ if address.is_unspecified() || address.is_multicast() => {
            Err("nothing answers at this address")
        }
        _ => Ok(OriginHost::Address(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, host: OriginHost, port: u16) {
        let https = text.starts_with("https:");
        assert_eq!(origin(text), Ok(Origin { https, host, port }), "{text}");
    }

    fn name(text: &str) -> OriginHost {
        OriginHost::Name(text.to_owned())
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        check("https://login.example.com", name("login.example.com"), 443);
        check("http://Auth_1:9000", name("auth_1"), 9000);
        check("https://*.Example.com", OriginHost::Below("example.com".to_owned()), 443);
        check("http://127.0.0.1", OriginHost::Address([127, 0, 0, 1].into()), 80);
        let loopback = OriginHost::Address(Ipv6Addr::LOCALHOST.into());
        check("http://[::1]:81", loopback.clone(), 81);
        check("https://[::1]", loopback, 443);
    }

    #[test]
    fn what_could_be_taken_for_another_origin_is_none() {
        for text in [
            "login.example.com",
            "ftp://example.com",
            "HTTPS://example.com",
            "https://",
            "https://:443",
            "https://example.com/",
            "https://example.com:0",
            "https://example.com:99999",
            "https://user@example.com",
            "https://example.com.",
            "https://*",
            "https://*.",
            "https://a.*.example.com",
            "https://*example.com",
            "https://exämple.com",
            "http://127.1",
            "http://0x7f.0.0.1",
            "http://2130706433",
            "http://::1",
            "http://[127.0.0.1]",
            "http://0.0.0.0",
            "http://224.0.0.1",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
