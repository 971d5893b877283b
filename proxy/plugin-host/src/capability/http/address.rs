//! Which addresses are anybody's, and which belong to this machine or its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address belongs to the public internet: not to this host, its network,
/// its provider or a special purpose (the registries of RFC 6890).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether an address stands for one host at all. `0.0.0.0` reaches this host.
pub(super) fn is_one_host(address: IpAddr) -> bool {
    !(address.is_unspecified()
        || address.is_multicast()
        || address == IpAddr::V4(Ipv4Addr::BROADCAST))
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // This network, loopback, multicast, reserved and broadcast.
        [0 | 127 | 224..=255, ..] => false,
        // Private.
        [10, ..] | [192, 168, ..] => false,
        [172, second, ..] if (16..32).contains(&second) => false,
        // A carrier's own (CGNAT).
        [100, second, ..] if (64..128).contains(&second) => false,
        // Link-local, where clouds keep their metadata.
        [169, 254, ..] => false,
        // Protocol assignments, documentation, 6to4 relays, benchmarks.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => false,
        [198, 51, 100, _] | [203, 0, 113, _] => false,
        _ => true,
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // An IPv4 address behind a translator is what it stands for (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Teredo, benchmarks, ORCHID, documentation and 6to4 hide where they lead.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Only global unicast: without it go loopback, IPv4-mapped and compatible,
        // unique local, link-local, site-local and multicast addresses.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public<'a>(addresses: &[&'a str]) -> Vec<&'a str> {
        let is_public = |address: &&&str| is_public(address.parse().unwrap());
        addresses.iter().filter(is_public).copied().collect()
    }

    #[test]
    fn public_addresses_are_public() {
        let addresses = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "64:ff9b::1.1.1.1",
        ];

        assert_eq!(public(&addresses), addresses);
    }

    #[test]
    fn every_special_class_is_refused() {
        let addresses = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];

        assert_eq!(public(&addresses), [""; 0]);
    }

    #[test]
    fn what_is_no_single_host_is_never_reached() {
        for address in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"] {
            assert!(!is_one_host(address.parse().unwrap()), "{address}");
        }
        assert!(is_one_host("127.0.0.1".parse().unwrap()));
    }
}
