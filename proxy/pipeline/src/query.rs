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
    use super::{decode, query_pairs};

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

    /// Decodes as the specification of forms tells it, over the whole text at once.
    fn slowly(text: &str) -> String {
        let mut bytes = Vec::new();
        let spaced = text.replace('+', " ");
        let mut rest = spaced.as_str();
        while let Some(next) = rest.chars().next() {
            let digits = rest.get(1..3).filter(|digits| !digits.starts_with(['+', '-']));
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) if next == '%' => {
                    bytes.push(byte);
                    rest = &rest[3..];
                }
                _ => {
                    bytes.extend_from_slice(next.to_string().as_bytes());
                    rest = &rest[next.len_utf8()..];
                }
            }
        }
        String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
    }

    #[test]
    fn fuzz_query() {
        let words = &["&", "=", "+", "%", "%41", "%ff", "%C3%A9", "%2", "%+1", "a", "b", "é"];
        portcullis_fuzz::target!("query", words, |input| {
            let query = String::from_utf8_lossy(input);
            let pairs: Vec<_> = query_pairs(Some(&query)).collect();
            let mut at = 0;
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let cut = pair.find('=').unwrap_or(pair.len());
                let value = pair.get(cut + 1..).unwrap_or_default();
                let expected = (slowly(&pair[..cut]), slowly(value));
                let (name, value) = &pairs[at];
                assert_eq!((name.as_ref(), value.as_ref()), (&*expected.0, &*expected.1));
                at += 1;
            }
            assert_eq!(pairs.len(), at);
            let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(bytes <= query.len(), "decoding never grows");
        });
    }
}
