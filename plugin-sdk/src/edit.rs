//! What transforms say.

use crate::{FullResponse, Header, RequestEdit, RequestOutcome, ResponseEdit, ResponseOutcome};

macro_rules! header_and_body_edits {
    ($edit:ident) => {
        impl $edit {
            /// Replaces every header of this name by this one.
            pub fn set(name: &str, value: impl Into<Vec<u8>>) -> Self {
                Self::SetHeader(Header::new(name, value))
            }

            /// Adds a header after those of the same name.
            pub fn append(name: &str, value: impl Into<Vec<u8>>) -> Self {
                Self::AppendHeader(Header::new(name, value))
            }

            /// Removes every header of this name.
            pub fn remove(name: &str) -> Self {
                Self::RemoveHeader(name.to_ascii_lowercase())
            }

            /// Replaces the body; only where the plan buffers it.
            pub fn body(bytes: impl Into<Vec<u8>>) -> Self {
                Self::SetBody(bytes.into())
            }
        }
    };
}

header_and_body_edits!(RequestEdit);
header_and_body_edits!(ResponseEdit);

impl RequestEdit {
    /// Replaces the path that the upstream sees; starts with `/`.
    pub fn path(path: impl Into<String>) -> Self {
        Self::SetPath(path.into())
    }

    /// Replaces the query string.
    pub fn query(query: impl Into<String>) -> Self {
        Self::SetQuery(Some(query.into()))
    }
}

impl ResponseEdit {
    /// Replaces the status.
    pub fn status(status: u16) -> Self {
        Self::SetStatus(status)
    }
}

impl From<Vec<RequestEdit>> for RequestOutcome {
    fn from(edits: Vec<RequestEdit>) -> Self {
        Self::Edit(edits)
    }
}

impl From<FullResponse> for RequestOutcome {
    fn from(response: FullResponse) -> Self {
        Self::Respond(response)
    }
}

impl From<Vec<ResponseEdit>> for ResponseOutcome {
    fn from(edits: Vec<ResponseEdit>) -> Self {
        Self::Edit(edits)
    }
}

impl From<FullResponse> for ResponseOutcome {
    fn from(response: FullResponse) -> Self {
        Self::Replace(response)
    }
}
