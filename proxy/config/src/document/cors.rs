//! `cors` of APIs and routes as typed.

use super::Text;
use crate::read::{TimeOrZero, Written, table};

table! {
    /// Which pages of other origins may call, and read what is answered (CORS).
    "a cors table"
    struct Cors {
        /// The origins: `https://app.example.com`, `https://*.example.com` for every name
        /// below, `https://*`, `null`, or `*` for all.
        origins: Written<Vec<Text>>,
        /// The methods that pages may use; `["*"]`, as where absent, for all that a path is
        /// served with.
        methods: Option<Vec<Text>>,
        /// The request headers that pages may set beside those that all may; `["*"]` for any.
        headers: Option<Vec<Text>>,
        /// The response headers that pages may read beside those that all may; `["*"]` for
        /// any, where `credentials` is false.
        expose: Option<Vec<Text>>,
        /// Whether browsers send cookies, certificates and passwords along. Not with the
        /// origin `*`.
        credentials: bool = false,
        /// How long a browser may keep the answer to a preflight, up to `"24h"`; `"0s"` not
        /// at all.
        max_age: Option<Written<TimeOrZero>>,
    }
}
