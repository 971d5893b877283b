//! Who a client is, as far as faults are concerned.

use std::net::IpAddr;

/// A client by its address; all addresses of one IPv6 network of 64 bits are one client,
/// since whoever has one of them has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ClientId {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for ClientId {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client() {
        let id = |text: &str| ClientId::from(text.parse::<IpAddr>().unwrap());

        assert_eq!(id("2001:db8::1"), id("2001:db8::ffff:1"));
        assert_ne!(id("2001:db8::1"), id("2001:db8:0:1::1"));
        assert_eq!(id("::ffff:10.0.0.1"), id("10.0.0.1"));
        assert_ne!(id("10.0.0.2"), id("10.0.0.1"));
    }
}
