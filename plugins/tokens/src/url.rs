//! The little of URLs and forms that asking an issuer takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Encodes as forms are, and queries may be; what need not be is left alone.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._".contains(byte) => {
                text.push(char::from(*byte));
            }
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Writes a form, or a query.
pub fn form<'a, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (&'a str, V)>) -> String {
    let pair = |(name, value): (&str, V)| {
        format!("{}={}", encoded(name.as_bytes()), encoded(value.as_ref()))
    };
    pairs.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

/// What a client proves itself with by HTTP Basic: name and secret are encoded before they
/// are joined (RFC 6749, section 2.3.1).
pub fn basic(client_id: &str, secret: &[u8]) -> String {
    let client = format!("{}:{}", encoded(client_id.as_bytes()), encoded(secret));
    format!("Basic {}", STANDARD.encode(client))
}

/// The scheme and authority that a URL begins with; none where it has more than a path
/// and a query after them.
pub fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let is_plain = !url.contains(['#', '@', ' ']) && end > 0;
    if !matches!(scheme, "http" | "https") || !is_plain {
        return None;
    }
    url.get(..scheme.len() + "://".len() + end)
}
