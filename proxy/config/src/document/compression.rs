//! `compression` of APIs and routes as typed.

use super::Text;
use crate::read::{Size, Written, table, words};

words! {
    /// A coding of bodies.
    enum Coding { Zstd = "zstd", Brotli = "br", Gzip = "gzip", }
}

table! {
    /// Which responses are compressed for clients that take it.
    "a compression table"
    struct Compression {
        /// Bytes that a body has at least; one whose length is not known is long enough.
        min_size: Size<0> = "1KiB",
        /// The content types: `text/html`, `text/*`, `application/*+json`, `*/*`. Texts, JSON,
        /// XML, JavaScript, WebAssembly, SVG and fonts that are not compressed where absent.
        types: Option<Written<Vec<Text>>>,
        /// The codings, the dearest to the operator first: `["br", "gzip"]` where absent.
        encodings: Option<Written<Vec<Coding>>>,
    }
}
