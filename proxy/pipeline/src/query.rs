//! The parameters of a query.

use std::borrow::Cow;

/// The parameters of a query, decoded, in the order received.
pub fn query_pairs(query: Option<&str>) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(name), decode(value)))
}

/// Decodes `%41` and `+` as forms do; what is no UTF-8 is kept as it stands, so that
/// two different queries never look alike.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, after),
                _ => (b'%', tail),
            },
            _ => (first, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn parameters_are_decoded_and_bad_sequences_kept() {
        for (text, expected) in [
            ("a", "a"),
            ("a%20b+c", "a b c"),
            ("%zz", "%zz"),
            ("%4", "%4"),
            ("%", "%"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }
}
