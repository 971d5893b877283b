//! `request` and `response`, of APIs and routes, as typed.

use super::Text;
use crate::read::{Either, Named, Number, Size, Written, table};

table! {
    /// What is changed of requests on their way to the upstream: first what is removed, then
    /// what is set, then what is appended. Values may hold placeholders, as `{path:id}`.
    "a request table"
    struct RequestMapping {
        /// What is taken off: `header:NAME`, `query:NAME`.
        remove: Option<Vec<Text>>,
        /// What is put in the place of all of its name: `header:NAME`, `query:NAME`; or the
        /// `path`. Where a value is missing, what it would replace is taken off.
        set: Named<Text>,
        /// What is added after those of its name: `header:NAME`, `query:NAME`. Where a value
        /// is missing, nothing is.
        append: Named<Text>,
        /// Bytes of the body that are held where a value is read from it; requests with more
        /// are refused.
        body_limit: Size<1> = "1MiB",
    }
}

table! {
    /// What is changed of the upstream's responses: first what is removed, then what is set,
    /// then what is appended. Values may hold placeholders, as `{response-header:etag}`.
    "a response table"
    struct ResponseMapping {
        /// What is taken off: `header:NAME`.
        remove: Option<Vec<Text>>,
        /// What is put in the place of all of its name: `header:NAME`; or the `status`, a
        /// number. Where a value is missing, what it would replace is taken off.
        set: Named<ResponseValue>,
        /// What is added after those of its name: `header:NAME`. Where a value is missing,
        /// nothing is.
        append: Named<Text>,
        /// More changes by the status as it is before any of them: `404`, or a class as
        /// `4xx`. A class comes before the statuses in it.
        on: Named<StatusMapping>,
        /// Bytes of a body that are held where a value is read from it: longer requests are
        /// refused, and the client does not receive longer responses.
        body_limit: Size<1> = "1MiB",
    }
}

table! {
    /// What is changed of responses with some status.
    "a table of changes"
    struct StatusMapping {
        /// What is taken off: `header:NAME`.
        remove: Option<Vec<Text>>,
        /// What is put in the place of all of its name: `header:NAME`; or the `status`.
        set: Named<ResponseValue>,
        /// What is added after those of its name: `header:NAME`.
        append: Named<Text>,
    }
}

/// A text with placeholders, or a status.
pub(crate) type ResponseValue = Either<Text, Written<Number<200, 599>>>;
