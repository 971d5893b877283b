//! What a name must be.

use std::net::IpAddr;

use crate::certificate::Fact;

/// What a value must be.
#[derive(Debug, PartialEq)]
pub(crate) enum Pattern {
    /// This text.
    Exactly(String),
    /// This host name, in whatever case.
    Host(String),
    /// A host name of one label more than this.
    OneLabelBelow(String),
    /// A URI that begins with this text, which ends in `/`, and goes on by whole segments.
    Below(String),
    /// These bytes.
    Bytes([u8; 32]),
}

impl Pattern {
    /// Reads a pattern for a fact; the error says what to write instead.
    pub(crate) fn read(fact: Fact, text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a certificate has no empty names".to_owned());
        }
        match fact {
            Fact::Subject | Fact::Issuer => distinguished_name(text),
            Fact::Dns => host(text),
            Fact::Uri => uri(text),
            Fact::Ip => match text.parse::<IpAddr>() {
                Ok(address) => Ok(Self::Exactly(address.to_string())),
                Err(_) => Err(format!("`{text}` is no address; write one, as `192.0.2.7`")),
            },
            Fact::Sha256 => digest(text).map(Self::Bytes).ok_or_else(|| {
                format!("`{text}` is no SHA-256 digest: 64 hexadecimal digits, colons or not")
            }),
            _ => Ok(Self::Exactly(text.to_owned())),
        }
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exactly(text) => text == value,
            Self::Host(name) => name.eq_ignore_ascii_case(value),
            Self::OneLabelBelow(name) => value
                .split_once('.')
                .is_some_and(|(label, rest)| is_label(label) && name.eq_ignore_ascii_case(rest)),
            Self::Below(prefix) => value
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.split('/').all(is_segment)),
            Self::Bytes(_) => false,
        }
    }

    pub(crate) fn matches_bytes(&self, value: &[u8]) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes == value)
    }
}

fn distinguished_name(text: &str) -> Result<Pattern, String> {
    let is_spaced = text.replace("\\\\", "").replace("\\,", "").contains(", ");
    if is_spaced || !text.contains('=') || text.starts_with('/') {
        return Err(format!(
            "`{text}` is no name as RFC 4514 writes it: `CN=orders,O=Example`, the most particular part first, no spaces after commas"
        ));
    }
    Ok(Pattern::Exactly(text.to_owned()))
}

fn host(text: &str) -> Result<Pattern, String> {
    let (name, pattern): (_, fn(String) -> Pattern) = match text.strip_prefix("*.") {
        Some(name) => (name, Pattern::OneLabelBelow),
        None => (text, Pattern::Host),
    };
    match name.split('.').all(is_label) {
        true => Ok(pattern(name.to_owned())),
        false => Err(format!(
            "`{text}` is no host name; `*` may only be its whole first label, as in `*.example.com`"
        )),
    }
}

fn uri(text: &str) -> Result<Pattern, String> {
    let below = text.strip_suffix('*');
    let literal = below.unwrap_or(text);
    let (scheme, rest) = literal.split_once(':').unwrap_or_default();
    let has_authority =
        rest.strip_prefix("//").is_none_or(|rest| !rest.starts_with('/') && !rest.is_empty());
    let is_uri = !scheme.is_empty() && !rest.is_empty() && has_authority;
    if !is_uri || literal.contains('*') || below.is_some_and(|prefix| !prefix.ends_with('/')) {
        return Err(format!(
            "`{text}` is no URI; `*` may only stand for all below a path, as in `spiffe://example.org/shop/*`"
        ));
    }
    Ok(match below {
        Some(prefix) => Pattern::Below(prefix.to_owned()),
        None => Pattern::Exactly(text.to_owned()),
    })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = match text.contains(':') {
        true if text.split(':').all(|pair| pair.len() == 2) => text.replace(':', ""),
        true => return None,
        false => text.to_owned(),
    };
    let digits: Vec<u8> = digits
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    (digits.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !label.is_empty() && label.bytes().all(is_plain)
}

/// A segment that every reader takes for the same: nothing encoded, no way up.
fn is_segment(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain)
}
