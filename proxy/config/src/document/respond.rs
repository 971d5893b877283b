//! Answers of the gateway's own, as typed.

use super::{ResponseValue, Text};
use crate::read::{AnyJson, Named, Size, Written, table};

table! {
    /// An answer that the gateway itself gives. Values may hold placeholders, as `{path:id}`,
    /// but not in `body`.
    "a respond table"
    struct Respond {
        /// The status: a number, or a text with placeholders, which is 200 where it becomes no
        /// status from 200 to 599.
        status: ResponseValue = 200,
        /// The headers. One with a missing value is left out.
        headers: Named<Text>,
        /// The body, as it is.
        body: Option<Written<String>>,
        /// The body as a text with placeholders: plain text, or by `content-type` HTML or XML,
        /// whose values are then escaped. Of a missing value there is nothing.
        template: Option<Text>,
        /// The body as a JSON document, whose texts may have placeholders. A text that is only
        /// a placeholder becomes the value with its type; one with a missing value is `null`.
        json: Option<AnyJson>,
        /// Bytes of the request's body that are held where a value is read from it; requests
        /// with more are refused.
        body_limit: Size<1> = "1MiB",
    }
}
