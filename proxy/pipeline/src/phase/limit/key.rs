//! Whose share of a limit a request takes.
//!
//! A request that lacks what its limit goes by takes of one share for all such requests:
//! leaving it out gains nobody anything.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use portcullis_config::{Limit, LimitKey};

use crate::plugins::Value;
use crate::view::View;

/// The keys of a request's limits, in order.
pub(super) struct Keys {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

/// What a key is made of, so that no two kinds of them are equal.
#[derive(Clone, Copy)]
enum Kind {
    Address = 1,
    Principal,
    UsageKey,
    Text,
    Integer,
    Boolean,
    Texts,
    Bytes,
    Account,
}

impl Keys {
    /// The keys of these limits, for who an API key is counted for, if there is one.
    pub(super) fn of(
        limits: &[Arc<Limit>],
        (view, account): (View<'_>, Option<&str>),
        ipv6_prefix: u8,
    ) -> Self {
        let mut keys = Self { bytes: Vec::new(), ranges: Vec::with_capacity(limits.len()) };
        for limit in limits {
            let start = keys.bytes.len();
            match (&limit.per, account) {
                (Some(LimitKey::Account), Some(account)) => {
                    keys.put(Kind::Account, account.as_bytes());
                }
                (Some(per), _) => keys.write(per, view, ipv6_prefix),
                (None, _) => {}
            }
            keys.ranges.push(start..keys.bytes.len());
        }
        keys
    }

    /// The key of the limit at this place.
    pub(super) fn get(&self, at: usize) -> &[u8] {
        let range = self.ranges.get(at).cloned().unwrap_or_default();
        self.bytes.get(range).unwrap_or_default()
    }

    fn write(&mut self, per: &LimitKey, view: View<'_>, ipv6_prefix: u8) {
        let identity = view.identity();
        let usage_key = identity.and_then(|identity| identity.usage_key.as_deref());
        let principal = identity.map(|identity| identity.principal.as_str());
        match (per, usage_key, principal) {
            (LimitKey::Client | LimitKey::UsageKey, Some(key), _) => {
                self.put(Kind::UsageKey, key.as_bytes());
            }
            (LimitKey::Client, None, Some(principal))
            | (LimitKey::Principal, _, Some(principal)) => {
                self.put(Kind::Principal, principal.as_bytes());
            }
            (LimitKey::Client, None, None) | (LimitKey::Address, _, _) => {
                self.address(view.client(), ipv6_prefix);
            }
            (LimitKey::UsageKey, None, _)
            | (LimitKey::Principal, _, None)
            | (LimitKey::Account, _, _) => {}
            (LimitKey::Header(name), _, _) => {
                for value in view.headers().get_all(name) {
                    self.put(Kind::Bytes, value.as_bytes());
                }
            }
            (LimitKey::Attribute(name), _, _) => {
                if let Some(value) = view.attribute(name) {
                    self.value(&value);
                }
            }
        }
    }

    /// An address as far as it is one client's: those of IPv6 are handed out by networks.
    fn address(&mut self, address: IpAddr, ipv6_prefix: u8) {
        match address.to_canonical() {
            IpAddr::V4(address) => self.put(Kind::Address, &address.octets()),
            IpAddr::V6(address) => {
                let rest = 128 - u32::from(ipv6_prefix.min(128));
                let network = u128::MAX.checked_shl(rest).unwrap_or(0);
                self.put(Kind::Address, &(address.to_bits() & network).to_be_bytes());
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.put(Kind::Text, text.as_bytes()),
            Value::Integer(number) => self.put(Kind::Integer, &number.to_be_bytes()),
            Value::Boolean(value) => self.put(Kind::Boolean, &[u8::from(*value)]),
            Value::Bytes(bytes) => self.put(Kind::Bytes, bytes),
            Value::Texts(texts) => {
                self.put(Kind::Texts, &texts.len().to_be_bytes());
                texts.iter().for_each(|text| self.put(Kind::Text, text.as_bytes()));
            }
        }
    }

    /// With its length, so that two in a row are not one.
    fn put(&mut self, kind: Kind, bytes: &[u8]) {
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(&bytes.len().to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }
}
