//! Path patterns: `/orders/{id}/files/{rest+}`.

use std::fmt;

/// A path pattern, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    segments: Vec<Segment>,
}

/// One part of a pattern between slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this, percent-decoded where the canonical form is.
    Literal(String),
    /// `{name}`: one segment, never empty.
    Parameter(String),
    /// `{name+}`: one or more segments; only at the end.
    Greedy(String),
}

/// Why a text is no path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// It does not start with a slash.
    #[error("a path starts with `/`")]
    NoLeadingSlash,
    /// A brace has no partner or stands within a literal.
    #[error("`{0}` mixes braces and text; a parameter is a whole segment: `{{name}}`")]
    Braces(String),
    /// A parameter's name is not a name.
    #[error("`{0}` is no parameter name; use letters, digits, `_`, `-` and `.`")]
    Name(String),
    /// Two parameters share a name.
    #[error("parameter `{0}` appears twice")]
    Twice(String),
    /// A greedy parameter is not last.
    #[error("`{{{0}+}}` takes the rest of the path and must be its last segment")]
    GreedyNotLast(String),
    /// Empty, `.` or `..`, which no canonical path contains.
    #[error("segment `{0}` never occurs in a canonical path")]
    NeverMatches(String),
    /// An encoding that no canonical path contains.
    #[error("segment `{0}` never occurs in a canonical path: {1}")]
    Encoding(String, &'static str),
    /// A character that a path cannot hold.
    #[error("`{0}` cannot stand in a path; percent-encode it")]
    Character(char),
}

impl PathPattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, PathProblem> {
        let rest = text.strip_prefix('/').ok_or(PathProblem::NoLeadingSlash)?;
        let mut segments = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let parts: Vec<&str> = rest.split('/').collect();
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let segment = parse_segment(part)?;
            match &segment {
                Segment::Greedy(name) if !last => {
                    return Err(PathProblem::GreedyNotLast(name.clone()));
                }
                Segment::Literal(text) if text.is_empty() && !last => {
                    return Err(PathProblem::NeverMatches(String::new()));
                }
                _ => {}
            }
            if let Segment::Parameter(_) | Segment::Greedy(_) = &segment {
                let name = part.trim_start_matches('{').trim_end_matches('}').trim_end_matches('+');
                if names.contains(&name) {
                    return Err(PathProblem::Twice(name.to_owned()));
                }
                names.push(name);
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// The segments; a pattern that ends in `/` ends in an empty literal.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The pattern of the same paths below a prefix of plain segments, which ends without a
    /// slash.
    pub(crate) fn below(&self, prefix: &str) -> Self {
        let prefix = prefix.split('/').skip(1).map(|text| Segment::Literal(text.to_owned()));
        Self { segments: prefix.chain(self.segments.iter().cloned()).collect() }
    }

    /// Whether the last segment takes the rest of the path.
    pub fn is_greedy(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Greedy(_)))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
                Segment::Greedy(name) => write!(f, "/{{{name}+}}")?,
            }
        }
        Ok(())
    }
}

/// A path in the form that requests are brought into before they are compared: unreserved
/// characters plain, what else must be encoded with upper-case digits (RFC 3986 §6.2.2).
pub(crate) fn canonical(path: &str) -> String {
    let mut canonical = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let decoded = match (byte, tail) {
            (b'%', [high, low, after @ ..]) => {
                let hex = |digit: &u8| char::from(*digit).to_digit(16);
                let value = hex(high).zip(hex(low)).map(|(high, low)| high * 16 + low);
                value.and_then(|value| u8::try_from(value).ok()).map(|value| (value, after))
            }
            _ => None,
        };
        match decoded {
            Some((value, after)) => {
                rest = after;
                push_canonical(&mut canonical, value, b"-._~");
            }
            None => push_canonical(&mut canonical, byte, b"-._~/!$&'()*+,;=:@%"),
        }
    }
    canonical
}

fn push_canonical(text: &mut String, byte: u8, plain: &[u8]) {
    if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
        text.push(char::from(byte));
    } else {
        text.push_str(&format!("%{byte:02X}"));
    }
}

fn parse_segment(part: &str) -> Result<Segment, PathProblem> {
    if let Some(inner) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        let (name, greedy) = match inner.strip_suffix('+') {
            Some(name) => (name, true),
            None => (inner, false),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(PathProblem::Name(name.to_owned()));
        }
        let name = name.to_owned();
        return Ok(if greedy { Segment::Greedy(name) } else { Segment::Parameter(name) });
    }
    if part.contains(['{', '}']) {
        return Err(PathProblem::Braces(part.to_owned()));
    }
    if part == "." || part == ".." {
        return Err(PathProblem::NeverMatches(part.to_owned()));
    }
    match part.chars().find(|c| {
        !c.is_ascii_graphic() || matches!(c, '?' | '#' | '"' | '<' | '>' | '\\' | '^' | '`' | '|')
    }) {
        Some(odd) => Err(PathProblem::Character(odd)),
        None => encodings(part).map_err(|why| PathProblem::Encoding(part.to_owned(), why)),
    }?;
    Ok(Segment::Literal(part.to_owned()))
}

/// Looks for percent-encodings that the gateway refuses in every request.
fn encodings(part: &str) -> Result<(), &'static str> {
    let mut decoded = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, after) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let hex = |digit: &u8| char::from(*digit).to_digit(16);
                let value = hex(high).zip(hex(low)).map(|(high, low)| high * 16 + low);
                let value = value.and_then(|value| u8::try_from(value).ok());
                let byte = value.ok_or("`%` is followed by two hexadecimal digits")?;
                match byte {
                    b'/' | b'\\' => return Err("requests with an encoded separator are refused"),
                    0..0x20 | 0x7f => return Err("requests with a control character are refused"),
                    _ => (byte, after),
                }
            }
            (b'%', _) => return Err("`%` is followed by two hexadecimal digits"),
            _ => (first, tail),
        };
        decoded.push(byte);
        rest = after;
    }
    // Also `..;a`, which some upstreams cut at the semicolon.
    let name = decoded.split(|byte| *byte == b';').next().unwrap_or_default();
    if name == b"." || name == b".." {
        return Err("requests with dot segments are refused");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, PathProblem>) {
        let parsed = PathPattern::parse(text).map(|pattern| pattern.to_string());
        assert_eq!(parsed, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn patterns_round_trip() {
        for text in ["/", "/orders", "/orders/", "/orders/{id}", "/f/{rest+}", "/a/{b}/c/{d+}"] {
            check(text, Ok(text));
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        check("orders", Err(PathProblem::NoLeadingSlash));
        check("/a{b}", Err(PathProblem::Braces("a{b}".into())));
        check("/{}", Err(PathProblem::Name(String::new())));
        check("/{a}/{a+}", Err(PathProblem::Twice("a".into())));
        check("/{a+}/b", Err(PathProblem::GreedyNotLast("a".into())));
        check("/a//b", Err(PathProblem::NeverMatches(String::new())));
        check("/a/../b", Err(PathProblem::NeverMatches("..".into())));
        check("/a b", Err(PathProblem::Character(' ')));
        for text in ["a%2Fb", "a%5cb", "%00", "%7F", "%2e", "%2E.", "..;a", "%zz", "%2"] {
            let parsed = PathPattern::parse(&format!("/{text}"));
            assert!(matches!(parsed, Err(PathProblem::Encoding(..))), "{text}: {parsed:?}");
        }
        check("/a%20b%3B", Ok("/a%20b%3B"));
    }
}
