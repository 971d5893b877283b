//! The query string as it was sent, and as it is signed.

use std::borrow::Cow;

use crate::canonical::{encode, unhex};
use crate::refusal::Refusal;

/// More parameters than any API has.
const MOST_PARAMETERS: usize = 1024;

/// The parameter that a presigned URL's signature is not of.
const SIGNATURE: &str = "X-Amz-Signature";

/// The parameters of a query string, as sent and in order.
#[derive(Debug)]
pub(crate) struct Query<'a>(Vec<(&'a str, &'a str)>);

/// How parameters are written before they are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As they were sent, as botocore signs them.
    AsSent,
    /// With whatever is reserved percent-encoded, as the specification has it. `+` stays,
    /// since it is no spelling of `%2B`.
    Encoded,
}

impl<'a> Query<'a> {
    /// Splits a query string, which has no question mark.
    pub(crate) fn parse(raw: Option<&'a str>) -> Result<Self, Refusal> {
        let raw = raw.unwrap_or_default();
        if raw.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let pairs: Vec<_> = raw
            .split('&')
            .take(MOST_PARAMETERS + 1)
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        if pairs.len() > MOST_PARAMETERS {
            return Err(Refusal::TooLarge);
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter that may stand once, percent-decoded.
    pub(crate) fn one(&self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        let mut values = self.0.iter().filter(|(other, _)| *other == name);
        let Some((_, value)) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Refusal::MalformedClaim);
        }
        decode(value).map(Some).ok_or(Refusal::MalformedClaim)
    }

    /// The query that is signed: sorted by name, then by value.
    pub(crate) fn canonical(&self, spelling: Spelling) -> String {
        let mut pairs: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| *name != SIGNATURE)
            .map(|(name, value)| match spelling {
                Spelling::AsSent => (Cow::Borrowed(*name), Cow::Borrowed(*value)),
                Spelling::Encoded => (encoded(name), encoded(value)),
            })
            .collect();
        pairs.sort();
        let mut text = String::new();
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(&name);
            text.push('=');
            text.push_str(&value);
        }
        text
    }

    /// Whether it makes a difference how the parameters are written.
    pub(crate) fn has_two_spellings(&self) -> bool {
        let differs = |text: &str| matches!(encoded(text), Cow::Owned(_));
        self.0.iter().any(|(name, value)| differs(name) || differs(value))
    }
}

/// Brings a name or a value into the specification's spelling; borrowed where it is.
fn encoded(raw: &str) -> Cow<'_, str> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => text.push('+'),
            (b'%', [high, low, after @ ..]) if let Some(decoded) = unhex(*high, *low) => {
                encode(&mut text, decoded);
                rest = after;
            }
            _ => encode(&mut text, byte),
        }
    }
    if text == raw { Cow::Borrowed(raw) } else { Cow::Owned(text) }
}

/// Percent-decodes; none where a triplet is broken or the bytes are no UTF-8.
fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) => {
                bytes.push(unhex(*high, *low)?);
                rest = after;
            }
            (b'%', _) => return None,
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(raw: &str, as_sent: &str, in_full: &str) {
        let query = Query::parse(Some(raw)).unwrap();
        assert_eq!(query.canonical(Spelling::AsSent), as_sent, "{raw}");
        assert_eq!(query.canonical(Spelling::Encoded), in_full, "{raw}");
        assert_eq!(query.has_two_spellings(), as_sent != in_full, "{raw}");
    }

    #[test]
    fn parameters_are_sorted_by_name_then_by_value() {
        check("", "", "");
        check("b=2&a=1&a=0&empty=", "a=0&a=1&b=2&empty=", "a=0&a=1&b=2&empty=");
        check("flag&A=1&a=1", "A=1&a=1&flag=", "A=1&a=1&flag=");
        check("a-b=1&a=1&a.b=2", "a=1&a-b=1&a.b=2", "a=1&a-b=1&a.b=2");
        check("k=%E5%A5%BD&z=a+b&t=~", "k=%E5%A5%BD&t=~&z=a+b", "k=%E5%A5%BD&t=~&z=a+b");
    }

    #[test]
    fn what_was_sent_plain_may_have_been_signed_encoded() {
        check("a=b:c", "a=b:c", "a=b%3Ac");
        check("a=b=c", "a=b=c", "a=b%3Dc");
        check("a=%7e%3a%zz%", "a=%7e%3a%zz%", "a=~%3A%25zz%25");
    }

    #[test]
    fn the_signature_of_a_presigned_url_is_not_signed() {
        check("X-Amz-Signature=00&X-Amz-Date=1&q=1", "X-Amz-Date=1&q=1", "X-Amz-Date=1&q=1");
    }

    #[test]
    fn a_parameter_of_the_signature_stands_once() {
        let one =
            |raw, name| Query::parse(Some(raw)).unwrap().one(name).map(|v| v.map(Cow::into_owned));

        assert_eq!(one("a=1%2F2", "a"), Ok(Some("1/2".to_owned())));
        assert_eq!(one("a=1", "b"), Ok(None));
        assert_eq!(one("a=1&a=1", "a"), Err(Refusal::MalformedClaim));
        assert_eq!(one("a=%2", "a"), Err(Refusal::MalformedClaim));
        assert_eq!(one("a=%ff", "a"), Err(Refusal::MalformedClaim));
    }

    #[test]
    fn more_parameters_than_any_api_has_are_refused() {
        let query = |count: usize| "a&".repeat(count - 1) + "a";

        assert!(Query::parse(Some(&query(1024))).is_ok());
        assert_eq!(Query::parse(Some(&query(1025))).err(), Some(Refusal::TooLarge));
    }

    /// The specification, read literally: decode every parameter, encode it, sort.
    fn model(raw: &str) -> String {
        let triplets = |text: &str| {
            let mut out = String::new();
            let bytes = text.as_bytes();
            let mut at = 0;
            while at < bytes.len() {
                let hex = text
                    .get(at + 1..at + 3)
                    .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                let (byte, width) = match hex {
                    Some(hex) if bytes[at] == b'%' => (u8::from_str_radix(hex, 16).unwrap(), 3),
                    _ => (bytes[at], 1),
                };
                let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                match plain || (byte == b'+' && width == 1) {
                    true => out.push(char::from(byte)),
                    false => out += &format!("%{byte:02X}"),
                }
                at += width;
            }
            out
        };
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|_| !raw.is_empty()) {
            let cut = pair.find('=').unwrap_or(pair.len());
            pairs.push((triplets(&pair[..cut]), triplets(pair.get(cut + 1..).unwrap_or(""))));
        }
        pairs.sort();
        pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&")
    }

    proptest! {
        #[test]
        fn the_full_spelling_agrees_with_a_model(raw in "[a-c=&%+:~2bBé-]{0,40}") {
            let query = Query::parse(Some(&raw)).unwrap();
            prop_assert_eq!(query.canonical(Spelling::Encoded), model(&raw));
        }

        #[test]
        fn a_canonical_query_is_its_own(raw in "\\PC{0,60}") {
            let once = Query::parse(Some(&raw)).unwrap().canonical(Spelling::Encoded);
            let again = Query::parse(Some(&once)).unwrap();
            prop_assert_eq!(again.canonical(Spelling::AsSent), once.as_str());
            prop_assert_eq!(again.canonical(Spelling::Encoded), once.as_str());
            prop_assert!(!again.has_two_spellings());
        }

        #[test]
        fn the_order_of_parameters_is_not_signed(
            mut pairs in prop::collection::vec("[a-b]{1,2}=[a-b%+]{0,2}", 1..6)
        ) {
            let canonical = |pairs: &[String], spelling| {
                Query::parse(Some(&pairs.join("&"))).unwrap().canonical(spelling)
            };
            let forward = pairs.clone();
            pairs.reverse();
            for spelling in [Spelling::AsSent, Spelling::Encoded] {
                prop_assert_eq!(canonical(&forward, spelling), canonical(&pairs, spelling));
            }
        }
    }
}
