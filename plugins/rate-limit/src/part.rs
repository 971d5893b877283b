//! What of a request tells callers apart.

use std::net::IpAddr;

use portcullis_plugin_sdk::{Plan, Request, Value};
use sha2::{Digest, Sha256};

/// Bytes of a key that are kept as they are; more are kept as a digest.
const PLAIN: usize = 200;
/// Bits of an IPv6 address that are one client's: networks are handed out by these.
const IPV6_PREFIX: u32 = 64;

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The usage key, else the principal, else the address.
    Client,
    /// The client's address.
    Address,
    /// The values of a header.
    Header(String),
    /// An attribute.
    Attribute(String),
}

const PRINCIPAL: &str = "identity:principal";
const USAGE_KEY: &str = "identity:usage-key";

impl Part {
    /// Reads what an operator wrote; nothing where it names no part.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "client" => Self::Client,
            "address" | "client:address" => Self::Address,
            text => match text.split_once(':')? {
                (_, "") => return None,
                ("header", name) => Self::Header(name.to_ascii_lowercase()),
                (_, name) if name.ends_with('*') => return None,
                ("identity" | "path" | "tls" | "request" | "route" | "api", _) => {
                    Self::Attribute(text.to_owned())
                }
                _ => return None,
            },
        })
    }

    /// The plan, with what this reads.
    pub(crate) fn read_in(&self, plan: Plan) -> Plan {
        match self {
            Self::Client => plan.reads_attribute(PRINCIPAL).reads_attribute(USAGE_KEY),
            Self::Address => plan,
            Self::Header(name) => plan.reads_header(name),
            Self::Attribute(name) => plan.reads_attribute(name),
        }
    }

    /// The part as one text, where it is one.
    pub(crate) fn text<'r>(&self, request: &'r Request) -> Option<&'r str> {
        match self {
            Self::Header(name) => request.header(name),
            Self::Attribute(name) => request.attribute(name),
            Self::Client | Self::Address => None,
        }
    }

    /// Writes it to a key, so that no two different ones read alike.
    fn write(&self, request: &Request, key: &mut Key) {
        match self {
            Self::Client => {
                let known = [(1, USAGE_KEY), (2, PRINCIPAL)];
                let known = known
                    .into_iter()
                    .find_map(|(kind, name)| Some((kind, request.attribute(name)?)));
                match known {
                    Some((kind, text)) => key.put(kind, text.as_bytes()),
                    None => key.put_address(&request.client_address),
                }
            }
            Self::Address => key.put_address(&request.client_address),
            Self::Header(name) => {
                for value in request.headers_all(name) {
                    key.put(4, value);
                }
                key.put(5, &[]);
            }
            Self::Attribute(name) => match request.attribute_value(name) {
                None => key.put(6, &[]),
                Some(Value::Text(text)) => key.put(7, text.as_bytes()),
                Some(Value::Integer(number)) => key.put(8, &number.to_be_bytes()),
                Some(Value::Boolean(value)) => key.put(9, &[u8::from(*value)]),
                Some(Value::Bytes(bytes)) => key.put(10, bytes),
                Some(Value::Texts(texts)) => {
                    texts.iter().for_each(|text| key.put(11, text.as_bytes()));
                    key.put(12, &[]);
                }
            },
        }
    }
}

/// The key of these parts. A request that lacks one has the share of all that lack it.
pub(crate) fn key(parts: &[Part], request: &Request) -> Vec<u8> {
    let mut key = Key::default();
    parts.iter().for_each(|part| part.write(request, &mut key));
    if key.0.len() > PLAIN { Sha256::digest(&key.0).to_vec() } else { key.0 }
}

#[derive(Default)]
struct Key(Vec<u8>);

impl Key {
    /// With its kind and length, so that two in a row are not one.
    fn put(&mut self, kind: u8, bytes: &[u8]) {
        self.0.push(kind);
        self.0.extend_from_slice(&bytes.len().to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn put_address(&mut self, text: &str) {
        match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V6(address)) => {
                let network = address.to_bits() & (u128::MAX << (128 - IPV6_PREFIX));
                self.put(3, &network.to_be_bytes());
            }
            Ok(IpAddr::V4(address)) => self.put(3, &address.octets()),
            Err(_) => self.put(3, text.as_bytes()),
        }
    }
}
