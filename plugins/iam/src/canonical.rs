//! The forms of paths and headers that are signed.

/// Writes a byte percent-encoded, unless it is unreserved (RFC 3986 §2.3).
pub(crate) fn encode(text: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        text.push(char::from(byte));
    } else {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
        text.push('%');
        text.push(digit(byte >> 4).to_ascii_uppercase());
        text.push(digit(byte & 0xf).to_ascii_uppercase());
    }
}

/// The byte that two hexadecimal digits are.
pub(crate) fn unhex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// The path that is signed: of the path as sent, with its percent-encodings, dot segments
/// are resolved and empty ones left out; then each segment is percent-encoded, once more.
pub(crate) fn path(raw: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut text = String::with_capacity(raw.len() + 16);
    for segment in &segments {
        text.push('/');
        segment.bytes().for_each(|byte| encode(&mut text, byte));
    }
    if segments.is_empty() || raw.ends_with('/') {
        text.push('/');
    }
    text
}

/// Writes a header's values: each without space around it and with one space for each
/// run within it, joined by commas.
pub(crate) fn header_values<'a>(out: &mut Vec<u8>, values: impl Iterator<Item = &'a [u8]>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let words = value.split(|byte| matches!(byte, b' ' | b'\t'));
        for (index, word) in words.filter(|word| !word.is_empty()).enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_normalised_and_encoded_once_more() {
        for (raw, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/prod/pets/a%20b", "/prod/pets/a%2520b"),
            ("/prod/@connections/R0oXAdfD0kwCH6w%3D", "/prod/%40connections/R0oXAdfD0kwCH6w%253D"),
            ("/prod/%40connections/x", "/prod/%2540connections/x"),
            ("/prod//a/../b/./c", "/prod/b/c"),
            ("/prod/%E4%BD%A0", "/prod/%25E4%25BD%25A0"),
            ("/a/", "/a/"),
            ("/a//", "/a/"),
            ("/../..", "/"),
            ("/a/..", "/"),
            ("/a/../", "/"),
            ("/~a-b_c.d", "/~a-b_c.d"),
            ("/...", "/..."),
            ("/%2e%2e/a", "/%252e%252e/a"),
        ] {
            assert_eq!(path(raw), expected, "{raw}");
        }
    }

    #[test]
    fn header_values_are_trimmed_folded_and_joined() {
        let folded = |values: &[&str]| {
            let mut out = Vec::new();
            header_values(&mut out, values.iter().map(|value| value.as_bytes()));
            String::from_utf8(out).unwrap()
        };

        assert_eq!(folded(&["  a   b  "]), "a b");
        assert_eq!(folded(&["a\t b", "", " c"]), "a b,,c");
        assert_eq!(folded(&["\"a   b\""]), "\"a b\"");
        assert_eq!(folded(&[" "]), "");
    }

    /// Segment by segment, on a stack of owned texts, as RFC 3986 §5.2.4 tells it.
    fn model(raw: &str) -> String {
        let mut rest = raw.to_owned();
        while rest.contains("//") {
            rest = rest.replace("//", "/");
        }
        let mut kept: Vec<String> = Vec::new();
        for segment in rest.split('/').map(str::to_owned) {
            if segment == ".." {
                kept.pop();
            } else if segment != "." && !segment.is_empty() {
                kept.push(segment);
            }
        }
        let mut joined = format!("/{}", kept.join("/"));
        if rest.ends_with('/') && joined != "/" {
            joined.push('/');
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        joined
            .chars()
            .map(|c| match plain(c) {
                true => c.to_string(),
                false => c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_path_agrees_with_a_model(raw in "(/|\\.|a|%2e|@|é|~| ){0,24}") {
            prop_assert_eq!(path(&raw), model(&raw));
        }

        #[test]
        fn a_canonical_path_is_plain(raw in "\\PC{0,60}") {
            let once = path(&raw);
            prop_assert!(once.starts_with('/') && !once.contains("//"));
            prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(once.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b)));
        }

        #[test]
        fn folding_twice_is_folding_once(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let fold = |value: &[u8]| {
                let mut out = Vec::new();
                header_values(&mut out, std::iter::once(value));
                out
            };
            let once = fold(&value);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
