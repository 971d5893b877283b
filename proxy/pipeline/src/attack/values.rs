//! The values in the parts of a request.

use std::ops::ControlFlow;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, COOKIE};
use portcullis_config::GuardPart;

use super::detect::Suspicion;
use crate::guard::GuardView;
use crate::phase::body::is_encoded;
use crate::phase::canonical::decode_bytes;

/// What is done with each value.
pub(super) type Visit<'v> = dyn FnMut(&[u8]) -> ControlFlow<Suspicion> + 'v;

/// Visits the values of a part, each decoded.
pub(super) fn each_value(
    part: &GuardPart,
    view: GuardView<'_>,
    visit: &mut Visit<'_>,
) -> ControlFlow<Suspicion> {
    let query = view.head.uri.query().unwrap_or_default().as_bytes();
    match part {
        GuardPart::Path => {
            let mut segments = view.path.as_str().split('/');
            segments.try_for_each(|segment| visit(&decode_bytes(segment)))
        }
        GuardPart::Query => each_pair(query, &mut |name, value| {
            visit(&name)?;
            visit(&value)
        }),
        GuardPart::Parameter(wanted) => each_pair(query, &mut |name, value| {
            if name == wanted.as_bytes() { visit(&value) } else { ControlFlow::Continue(()) }
        }),
        GuardPart::Header(name) => {
            let mut values = view.head.headers.get_all(name).iter();
            values.try_for_each(|value| match *name == COOKIE {
                true => each_cookie(value.as_bytes(), visit),
                false => visit(value.as_bytes()),
            })
        }
        GuardPart::Body => each_of_body(&view.head.headers, &view.body.bytes, visit),
    }
}

/// Visits the pairs of a query or a form.
fn each_pair(
    text: &[u8],
    visit: &mut dyn FnMut(Vec<u8>, Vec<u8>) -> ControlFlow<Suspicion>,
) -> ControlFlow<Suspicion> {
    let plain = |text: &[u8]| {
        let spaced: Vec<u8> =
            text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        decode_bytes(spaced)
    };
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).try_for_each(|pair| {
        let (name, value) = halves(pair);
        visit(plain(name), plain(value))
    })
}

fn each_cookie(field: &[u8], visit: &mut Visit<'_>) -> ControlFlow<Suspicion> {
    field.split(|byte| *byte == b';').try_for_each(|pair| {
        let (name, value) = halves(pair);
        visit(name.trim_ascii())?;
        visit(value.trim_ascii())
    })
}

/// What stands before the first `=` and after it.
fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
}

/// Visits the values of a body: the pairs of a form, the strings of what says that it is JSON
/// or begins like it, else all of it as one. Of two media types both count.
fn each_of_body(headers: &HeaderMap, body: &[u8], visit: &mut Visit<'_>) -> ControlFlow<Suspicion> {
    if is_encoded(headers) {
        return ControlFlow::Break(Suspicion::Unreadable);
    }
    let types = headers.get_all(CONTENT_TYPE).iter().map(|value| essence(value.as_bytes()));
    let types: Vec<Vec<u8>> = types.collect();
    let is_form = types.iter().any(|kind| kind == b"application/x-www-form-urlencoded");
    let is_json = types.iter().any(|kind| kind.ends_with(b"json"))
        || matches!(body.trim_ascii_start(), [b'{' | b'[' | b'"', ..]);
    if is_form {
        each_pair(body, &mut |name, value| {
            visit(&name)?;
            visit(&value)
        })?;
    }
    if is_json {
        each_string(body, visit)?;
    }
    if is_form || is_json { ControlFlow::Continue(()) } else { visit(body) }
}

/// A media type without its parameters, in lower case.
fn essence(content_type: &[u8]) -> Vec<u8> {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().to_ascii_lowercase()
}

/// Visits the strings of a JSON text, names of members too, as far as the text goes and
/// whatever else is wrong with it.
fn each_string(text: &[u8], visit: &mut Visit<'_>) -> ControlFlow<Suspicion> {
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        let inner = rest.get(start + 1..).unwrap_or_default();
        let mut is_escaped = false;
        let end = inner.iter().position(|byte| match (is_escaped, byte) {
            (true, _) => {
                is_escaped = false;
                false
            }
            (false, b'\\') => {
                is_escaped = true;
                false
            }
            (false, byte) => *byte == b'"',
        });
        let end = end.unwrap_or(inner.len());
        let (string, after) = inner.split_at_checked(end).unwrap_or((inner, &[]));
        visit(&unescaped(string))?;
        rest = after.get(1..).unwrap_or_default();
    }
    ControlFlow::Continue(())
}

/// What a JSON string stands for (RFC 8259, section 7); what is no escape stays as it is.
fn unescaped(string: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(string.len());
    let mut rest = string;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, after) = match (first, tail) {
            (b'\\', [b'u', digits @ ..]) => {
                let (character, after) = code_point(digits);
                plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
                continue;
            }
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (b'\\', [b'r', after @ ..]) => (b'\r', after),
            (b'\\', [b'b', after @ ..]) => (8, after),
            (b'\\', [b'f', after @ ..]) => (12, after),
            (b'\\', [byte @ (b'"' | b'\\' | b'/'), after @ ..]) => (*byte, after),
            (byte, tail) => (*byte, tail),
        };
        plain.push(byte);
        rest = after;
    }
    plain
}

/// The character of `\u` and these digits, two escapes where it is of a pair.
fn code_point(digits: &[u8]) -> (char, &[u8]) {
    let Some((first, after)) = unit(digits) else {
        return (char::REPLACEMENT_CHARACTER, digits);
    };
    if let Some(character) = char::from_u32(first) {
        return (character, after);
    }
    let second = after.strip_prefix(b"\\u").and_then(unit);
    match second {
        Some((second @ 0xdc00..=0xdfff, rest)) if first < 0xdc00 => {
            let value = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER), rest)
        }
        _ => (char::REPLACEMENT_CHARACTER, after),
    }
}

fn unit(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (four, after) = digits.split_at_checked(4)?;
    let value = four
        .iter()
        .try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))?;
    Some((value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let _ = each_string(text.as_bytes(), &mut |value| {
            found.push(String::from_utf8_lossy(value).into_owned());
            ControlFlow::Continue(())
        });
        found
    }

    #[test]
    fn strings_of_json_are_found_whatever_stands_around_them() {
        assert_eq!(
            strings(r#"{"a": ["b\"c", 1, {"d\\": "e\u0027\ud83d\ude00"}]}"#),
            ["a", "b\"c", "d\\", "e'😀"]
        );
        assert_eq!(strings(r#"{"a": "cut"#), ["a", "cut"]);
        assert_eq!(
            strings(r#"["\ud83d", "\ude00x", "\uzzzz", "\q", "\"#),
            ["\u{fffd}", "\u{fffd}x", "\u{fffd}zzzz", "\\q", "\\"]
        );
        assert_eq!(strings("[[[[1, 2"), [""; 0]);
    }

    #[test]
    fn fuzz_json_strings() {
        let words = &["\"", "\\", "\\u", "d83d", "\\ude00", "\\n", "{", ":", ",", "[", "'", "é"];
        portcullis_fuzz::target!("json-strings", words, |input| {
            let mut found = Vec::new();
            let _ = each_string(input, &mut |value| {
                found.push(value.to_vec());
                ControlFlow::Continue(())
            });
            // As a strict reader has them.
            let Ok(read) = serde_json::from_slice::<serde_json::Value>(input) else { return };
            let mut expected = Vec::new();
            collect(&read, &mut expected);
            found.sort();
            found.dedup();
            expected.sort();
            expected.dedup();
            // Of members with one name the reader keeps the last.
            assert!(expected.iter().all(|string| found.contains(string)), "{read}");
        });
    }

    fn collect(value: &serde_json::Value, strings: &mut Vec<Vec<u8>>) {
        match value {
            serde_json::Value::String(string) => strings.push(string.as_bytes().to_vec()),
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, strings)),
            serde_json::Value::Object(members) => members.iter().for_each(|(name, value)| {
                strings.push(name.as_bytes().to_vec());
                collect(value, strings);
            }),
            _ => {}
        }
    }
}
