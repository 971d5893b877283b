//! Writes small databases in MaxMind's format (version 2.0).

use std::net::{IpAddr, Ipv6Addr};

/// A database that knows the countries of these networks, each as address, bits and code.
pub fn country_database(networks: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut tree = vec![[Branch::Nothing; 2]];
    let mut data = Vec::new();
    for (address, bits, code) in networks {
        let (address, bits) = match address.parse().expect("an address") {
            // IPv4 is at the beginning of IPv6.
            IpAddr::V4(v4) => (Ipv6Addr::from_bits(u128::from(v4.to_bits())), bits + 96),
            IpAddr::V6(v6) => (v6, *bits),
        };
        insert(&mut tree, address.to_bits(), bits, Branch::Data(data.len()));
        data.extend(map(&[("country", map(&[("iso_code", text(code))]))]));
    }
    let count = tree.len();
    let mut file = Vec::new();
    for branch in tree.into_iter().flatten() {
        let record = match branch {
            Branch::Nothing => count,
            Branch::Node(index) => index,
            Branch::Data(offset) => count + 16 + offset,
        };
        file.extend(&u32::try_from(record).expect("a small database").to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(map(&[
        ("node_count", number(6, u64::try_from(count).expect("a small database"))),
        ("record_size", number(5, 24)),
        ("ip_version", number(5, 6)),
        ("database_type", text("Test-Country")),
        ("languages", vec![0x00, 4]),
        ("binary_format_major_version", number(5, 2)),
        ("binary_format_minor_version", number(5, 0)),
        ("build_epoch", vec![0x01, 2, 1]),
        ("description", map(&[])),
    ]));
    file
}

#[derive(Clone, Copy)]
enum Branch {
    Nothing,
    Node(usize),
    Data(usize),
}

fn insert(tree: &mut Vec<[Branch; 2]>, address: u128, bits: u8, data: Branch) {
    let mut node = 0;
    for depth in 0..bits {
        let side = usize::from(address >> (127 - depth) & 1 == 1);
        if depth + 1 == bits {
            tree[node][side] = data;
            return;
        }
        node = match tree[node][side] {
            Branch::Node(index) => index,
            Branch::Nothing | Branch::Data(_) => {
                tree.push([Branch::Nothing; 2]);
                tree[node][side] = Branch::Node(tree.len() - 1);
                tree.len() - 1
            }
        };
    }
}

/// Kinds below 8 stand in the first byte, with a length below 29.
fn field(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("a short field");
    assert!(length < 29, "a field is short");
    [&[kind << 5 | length], bytes].concat()
}

fn text(text: &str) -> Vec<u8> {
    field(2, text.as_bytes())
}

fn number(kind: u8, number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    field(kind, &bytes[zeros..])
}

fn map(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let count = u8::try_from(members.len()).expect("a small map");
    let members = members.iter().flat_map(|(name, value)| [text(name), value.clone()].concat());
    [7 << 5 | count].into_iter().chain(members).collect()
}
