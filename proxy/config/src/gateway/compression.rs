//! Which responses are compressed.

use super::MediaRange;

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

impl Compression {
    /// The content types that are compressed where the configuration does not say.
    pub fn usual_types() -> Vec<MediaRange> {
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
        ranges.iter().filter_map(|range| MediaRange::parse(range)).collect()
    }
}
