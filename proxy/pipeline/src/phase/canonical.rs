//! The form of a path that routes and policies are matched against.
//!
//! Two spellings that RFC 3986 §6.2.2 calls equal become one. What different
//! software reads differently is refused, never guessed: a guess that differs from
//! the upstream's is a way around the authorizer.

use std::fmt;

/// More segments than any API has.
const MOST_SEGMENTS: usize = 256;

/// A path in canonical form.
///
/// It starts with `/`; unreserved characters stand plain, whatever else must be
/// encoded is, with upper-case digits; no segment but the last is empty and none is
/// `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CanonicalPath(String);

/// Why a path has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// It does not start with a slash.
    #[error("the path does not start with `/`")]
    NoLeadingSlash,
    /// Two slashes follow each other.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A segment is `.` or `..`, plain, encoded or before a `;`.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A slash or backslash is percent-encoded.
    #[error("the path has an encoded separator")]
    EncodedSeparator,
    /// A NUL or another control character is percent-encoded.
    #[error("the path has an encoded control character")]
    EncodedControl,
    /// A backslash, which some read as a slash.
    #[error("the path has a backslash")]
    Backslash,
    /// `%` without two hexadecimal digits.
    #[error("the path has a bad percent-encoding")]
    BadTriplet,
    /// A space, a control character, `?`, `#` or what is not ASCII.
    #[error("the path has the byte {0:#04x}")]
    Character(u8),
    /// More segments than the gateway looks at.
    #[error("the path has more than {MOST_SEGMENTS} segments")]
    TooManySegments,
}

impl CanonicalPath {
    /// Brings a path, without query, into canonical form.
    pub fn parse(raw: &str) -> Result<Self, PathProblem> {
        let tail = raw.strip_prefix('/').ok_or(PathProblem::NoLeadingSlash)?;
        let mut text = String::with_capacity(raw.len());
        let mut rest = Some(tail);
        let mut segments = 0;
        while let Some(here) = rest {
            let (segment, after) = split_segment(here);
            segments += 1;
            if segments > MOST_SEGMENTS {
                return Err(PathProblem::TooManySegments);
            }
            if segment.is_empty() && after.is_some() {
                return Err(PathProblem::EmptySegment);
            }
            text.push('/');
            push_segment(&mut text, segment)?;
            rest = after;
        }
        Ok(Self(text))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading slash.
    pub(crate) fn tail(&self) -> &str {
        self.0.strip_prefix('/').unwrap_or(&self.0)
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first segment, and what follows its slash where there is one.
pub(crate) fn split_segment(tail: &str) -> (&str, Option<&str>) {
    match tail.split_once('/') {
        Some((segment, after)) => (segment, Some(after)),
        None => (tail, None),
    }
}

/// One segment in canonical form.
pub(crate) fn canonical_segment(raw: &str) -> Result<String, PathProblem> {
    let mut text = String::with_capacity(raw.len());
    push_segment(&mut text, raw)?;
    Ok(text)
}

/// Decodes percent-encodings; `None` where the bytes are no UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    String::from_utf8(decode_bytes(text)).ok()
}

/// Decodes percent-encodings; what is none stays as it is.
pub(crate) fn decode_bytes(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut rest = text.as_ref();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, after) = match triplet(tail) {
            Some((byte, after)) if first == b'%' => (byte, after),
            Some(_) | None => (first, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn push_segment(text: &mut String, raw: &str) -> Result<(), PathProblem> {
    let start = text.len();
    let mut rest = raw.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (decoded, after) = triplet(tail).ok_or(PathProblem::BadTriplet)?;
                push_decoded(text, decoded)?;
                rest = after;
            }
            b'\\' => return Err(PathProblem::Backslash),
            _ if stands_plain(byte) => text.push(char::from(byte)),
            b'?' | b'#' | b'/' => return Err(PathProblem::Character(byte)),
            // Browsers send `|` or `[` plain; RFC 3986 has them encoded.
            _ if byte.is_ascii_graphic() => push_encoded(text, byte),
            _ => return Err(PathProblem::Character(byte)),
        }
    }
    if is_dot_segment(text.get(start..).unwrap_or_default()) {
        Err(PathProblem::DotSegment)
    } else {
        Ok(())
    }
}

fn push_decoded(text: &mut String, byte: u8) -> Result<(), PathProblem> {
    match byte {
        b'/' | b'\\' => return Err(PathProblem::EncodedSeparator),
        _ if byte.is_ascii_control() => return Err(PathProblem::EncodedControl),
        _ if is_unreserved(byte) => text.push(char::from(byte)),
        _ => push_encoded(text, byte),
    }
    Ok(())
}

fn push_encoded(text: &mut String, byte: u8) {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase();
    text.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
}

/// Adds a text of which no byte means anything in a path or a query.
pub(crate) fn push_encoded_text(text: &mut String, plain: &str) {
    for byte in plain.bytes() {
        if is_unreserved(byte) { text.push(char::from(byte)) } else { push_encoded(text, byte) }
    }
}

/// Some upstreams cut a segment at its `;` before they resolve dots.
fn is_dot_segment(segment: &str) -> bool {
    let name = segment
        .split_once(';')
        .or_else(|| segment.split_once("%3B"))
        .map_or(segment, |(name, _)| name);
    matches!(name, "." | "..")
}

fn triplet(tail: &[u8]) -> Option<(u8, &[u8])> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match tail {
        [high, low, after @ ..] => Some((hex(*high)? << 4 | hex(*low)?, after)),
        [] | [_] => None,
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 §3.3, without the percent-encoded.
fn stands_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: Result<&str, PathProblem>) {
        let parsed = CanonicalPath::parse(raw);
        assert_eq!(parsed.as_ref().map(CanonicalPath::as_str), expected.as_ref().copied(), "{raw}");
    }

    #[test]
    fn equal_spellings_become_one() {
        for raw in ["/~a/b%3Ac", "/%7ea/b%3ac", "/%7E%61/b%3Ac"] {
            check(raw, Ok("/~a/b%3Ac"));
        }
        check("/", Ok("/"));
        check("/a/", Ok("/a/"));
        check("/a|b/%C3%a9", Ok("/a%7Cb/%C3%A9"));
        check("/%252e", Ok("/%252e"));
        check("/...", Ok("/..."));
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_refused() {
        check("a", Err(PathProblem::NoLeadingSlash));
        check("/a//b", Err(PathProblem::EmptySegment));
        check("//", Err(PathProblem::EmptySegment));
        for raw in ["/a/../b", "/.", "/%2e%2E/a", "/.%2e", "/a/..;x=1/b", "/..%3b"] {
            check(raw, Err(PathProblem::DotSegment));
        }
        check("/a%2fb", Err(PathProblem::EncodedSeparator));
        check("/a%5Cb", Err(PathProblem::EncodedSeparator));
        check("/a%00", Err(PathProblem::EncodedControl));
        check("/a%7f", Err(PathProblem::EncodedControl));
        check("/a\\b", Err(PathProblem::Backslash));
        check("/a%2", Err(PathProblem::BadTriplet));
        check("/a%zz", Err(PathProblem::BadTriplet));
        check("/a b", Err(PathProblem::Character(b' ')));
        check("/a?b", Err(PathProblem::Character(b'?')));
        check("/é", Err(PathProblem::Character(0xc3)));
        check(&"/a".repeat(257), Err(PathProblem::TooManySegments));
    }
}
