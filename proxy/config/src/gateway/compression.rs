//! Which responses are compressed.

use std::str::FromStr;

/// Which responses are compressed for clients that take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// Bytes that a body has at least, where its length is known.
    pub min_size: u64,
    /// The content types.
    pub types: Vec<MediaRange>,
    /// The codings, the dearest first; never empty.
    pub encodings: Vec<Coding>,
}

/// A coding of bodies (RFC 9110 §8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// Gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// Its name in headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// A content type, or a form of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaRange {
    /// `*/*`.
    Any,
    /// `text/html`, in lower case.
    Exact(String),
    /// `text/*`: all that begin so, up to the slash.
    Within(String),
    /// `application/*+json`: a beginning up to the slash, and an end from the plus.
    Suffixed(String, String),
}

impl MediaRange {
    /// What is compressed where the configuration does not say.
    pub fn defaults() -> Vec<Self> {
        let ranges = [
            "text/*",
            "application/json",
            "application/*+json",
            "application/xml",
            "application/*+xml",
            "application/javascript",
            "application/wasm",
            "image/svg+xml",
            "image/x-icon",
            "font/otf",
            "font/ttf",
        ];
        ranges.iter().filter_map(|range| range.parse().ok()).collect()
    }

    /// Whether a type, in lower case and without parameters, is in it.
    pub fn holds(&self, essence: &str) -> bool {
        match self {
            Self::Any => essence.contains('/'),
            Self::Exact(exact) => exact == essence,
            Self::Within(start) => essence.starts_with(start),
            Self::Suffixed(start, end) => {
                essence.strip_prefix(start.as_str()).is_some_and(|rest| rest.ends_with(end))
            }
        }
    }

    /// Whether it is this one type, by its name.
    pub fn names(&self, essence: &str) -> bool {
        matches!(self, Self::Exact(exact) if exact == essence)
    }
}

impl FromStr for MediaRange {
    /// What to write.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.to_ascii_lowercase();
        if text.contains([';', ' ']) {
            return Err("write the type alone, without parameters");
        }
        let is_token = |token: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
            !token.is_empty() && token.bytes().all(plain)
        };
        match text.split_once('/') {
            Some(("*", "*")) => Ok(Self::Any),
            Some((kind, "*")) if is_token(kind) => Ok(Self::Within(format!("{kind}/"))),
            Some((kind, subtype)) if is_token(kind) => match subtype.strip_prefix('*') {
                Some(end) if end.starts_with('+') && is_token(end) => {
                    Ok(Self::Suffixed(format!("{kind}/"), end.to_owned()))
                }
                None if is_token(subtype) => Ok(Self::Exact(text.clone())),
                _ => Err("`*` stands for a whole subtype, or before `+json` and the like"),
            },
            _ => Err("write it as `application/json`, `text/*` or `application/*+json`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_in_the_ranges_that_mean_it() {
        let check = |range: &str, inside: &[&str], outside: &[&str]| {
            let range: MediaRange = range.parse().unwrap();
            assert!(inside.iter().all(|essence| range.holds(essence)), "{range:?}");
            assert!(!outside.iter().any(|essence| range.holds(essence)), "{range:?}");
        };
        check("*/*", &["a/b", "image/png"], &["", "text"]);
        check("Text/HTML", &["text/html"], &["text/htm", "text/html2"]);
        check("text/*", &["text/html", "text/plain"], &["application/text", "textual/x"]);
        check(
            "application/*+json",
            &["application/problem+json"],
            &["application/json", "text/a+json"],
        );
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in ["", "text", "text/", "/html", "*/html", "text/*html", "text/a*", "a/b;c=d"] {
            assert!(text.parse::<MediaRange>().is_err(), "{text}");
        }
        assert_eq!(MediaRange::defaults().len(), 11);
    }
}
