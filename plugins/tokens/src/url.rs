//! The little of URLs and forms that asking an issuer takes.

/// Encodes as forms are, and queries may be; what need not be is left alone.
pub fn encoded(bytes: &[u8]) -> String {
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
