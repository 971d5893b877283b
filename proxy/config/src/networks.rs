//! Sets of addresses, asked in the time of a search however many networks there are.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// First and last addresses, in order, none touching another.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl FromIterator<IpNet> for Networks {
    /// The addresses of all these networks. Those that map IPv4 are IPv4's.
    fn from_iter<N: IntoIterator<Item = IpNet>>(networks: N) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => {
                    let (first, last) = (net.network(), net.broadcast());
                    match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                        (Some(first), Some(last)) => v4.push((first.to_bits(), last.to_bits())),
                        _ => v6.push((first.to_bits(), last.to_bits())),
                    }
                }
            }
        }
        let whole_v4 = v6.iter().any(|(first, last)| {
            let mapped = 0xffff_0000_0000..=0xffff_ffff_ffff_u128;
            first <= mapped.start() && last >= mapped.end()
        });
        if whole_v4 {
            v4.push((0, u32::MAX));
        }
        Self { v4: merged(v4, u32::checked_add), v6: merged(v6, u128::checked_add) }
    }
}

impl Networks {
    /// Whether an address is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }
}

/// The same addresses in order, those that touch as one.
fn merged<A: Ord + Copy + From<u8>>(
    mut ranges: Vec<(A, A)>,
    add: fn(A, A) -> Option<A>,
) -> Vec<(A, A)> {
    ranges.sort_unstable();
    let mut merged: Vec<(A, A)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if add(*end, A::from(1)).is_none_or(|next| first <= next) => {
                *end = last.max(*end);
            }
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn holds<A: Ord + Copy>(ranges: &[(A, A)], address: A) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    let before = after.checked_sub(1).and_then(|at| ranges.get(at));
    before.is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(networks: &[&str], inside: &[&str], outside: &[&str]) {
        let networks: Networks = networks.iter().map(|it| it.parse::<IpNet>().unwrap()).collect();
        for address in inside {
            assert!(networks.contains(address.parse().unwrap()), "{address} in {networks:?}");
        }
        for address in outside {
            assert!(!networks.contains(address.parse().unwrap()), "{address} in {networks:?}");
        }
    }

    #[test]
    fn a_set_has_the_addresses_of_its_networks() {
        check(&[], &[], &["0.0.0.0", "::"]);
        check(
            &["10.0.0.0/8", "192.0.2.1/32", "192.0.2.2/31"],
            &["10.0.0.0", "10.255.255.255", "192.0.2.1", "192.0.2.3", "::ffff:10.1.2.3"],
            &["9.255.255.255", "11.0.0.0", "192.0.2.0", "192.0.2.4", "::a00:1"],
        );
        check(&["0.0.0.0/0"], &["0.0.0.0", "255.255.255.255"], &["::1"]);
        check(&["::/0"], &["::1", "ffff::", "1.2.3.4"], &[]);
        check(&["::ffff:10.0.0.0/104"], &["10.9.9.9", "::ffff:10.0.0.1"], &["11.0.0.0", "::1"]);
        check(&["2001:db8::/33"], &["2001:db8::1"], &["2001:db8:8000::", "2001:db7::"]);
        let all = ["255.255.255.255/32", "255.255.255.254/32", "128.0.0.0/1"];
        check(&all, &["255.255.255.255", "128.0.0.0"], &["127.255.255.255"]);
    }

    /// Addresses that are near each other, so that networks hold some.
    fn addresses() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0..8_u32, any::<u8>()).prop_map(|(high, low)| {
                IpAddr::from(std::net::Ipv4Addr::from_bits(high << 29 | u32::from(low)))
            }),
            (0..8_u128, any::<u8>()).prop_map(|(high, low)| {
                IpAddr::from(std::net::Ipv6Addr::from_bits(high << 125 | u128::from(low)))
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_set_agrees_with_looking_at_each_network(
            networks in prop::collection::vec((addresses(), 0..=128_u8), 0..20),
            asked in prop::collection::vec(addresses(), 1..20),
        ) {
            let networks: Vec<IpNet> = networks.into_iter().map(|(address, bits)| {
                let most = if address.is_ipv4() { 32 } else { 128 };
                IpNet::new(address, bits.min(most)).unwrap()
            }).collect();
            let set: Networks = networks.iter().copied().collect();
            for address in asked {
                let mapped = match address {
                    IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
                    IpAddr::V6(_) => address,
                };
                let slow = networks.iter().any(|it| it.contains(&address) || it.contains(&mapped));
                prop_assert_eq!(set.contains(address), slow, "{} in {:?}", address, networks);
            }
        }
    }
}
