//! Requests to other services, by the standard `wasi:http/outgoing-handler`.
//!
//! Granted by `http` in the configuration; the plan says where to by
//! [`Plan::calls_origin`](crate::Plan::calls_origin).
//!
//! ```
//! use portcullis_plugin_sdk::http::{Request, Response};
//! use portcullis_plugin_sdk::testing::Host;
//!
//! let _host = Host::new()
//!     .with_service(|request| {
//!         assert_eq!(request.url, "https://login.example.com/introspect");
//!         Ok(Response { status: 200, body: b"{}".to_vec(), ..Response::default() })
//!     })
//!     .install();
//!
//! let answer = Request::post("https://login.example.com/introspect")
//!     .with_header("content-type", "application/x-www-form-urlencoded")
//!     .with_body("token=abc")
//!     .send()
//!     .unwrap();
//! assert_eq!(answer.status, 200);
//! ```

#[cfg(target_arch = "wasm32")]
mod wasi;

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::http as host;
#[cfg(target_arch = "wasm32")]
use wasi as host;

use crate::Header;

/// Bytes of an answer's body that are read where the request does not say.
const BODY_BYTES: usize = 1 << 20;

/// A request to another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The URL: a scheme, an authority, a path and perhaps a query.
    pub url: String,
    /// The headers, without `host` and what frames the body.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
    /// Bytes the answer's body may have.
    pub answer_bytes: usize,
}

/// What the service answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
    /// The headers after the body, as gRPC has them.
    pub trailers: Vec<Header>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The URL cannot be asked.
    Url,
    /// A header cannot be sent.
    Header(String),
    /// The grant does not reach that far; the operator's log says why.
    Denied,
    /// The service did not answer in time.
    Timeout,
    /// The answer is longer than may be read.
    TooLong,
    /// The service cannot be reached, or broke off.
    Unreachable,
}

impl HttpError {
    /// A stable code for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url => "http-url",
            Self::Header(_) => "http-header",
            Self::Denied => "http-denied",
            Self::Timeout => "http-timeout",
            Self::TooLong => "http-too-long",
            Self::Unreachable => "http-unreachable",
        }
    }
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url => f.write_str("the URL cannot be asked"),
            Self::Header(name) => write!(f, "the header `{name}` cannot be sent"),
            Self::Denied => f.write_str("the request is not granted"),
            Self::Timeout => f.write_str("the service did not answer in time"),
            Self::TooLong => f.write_str("the answer is longer than may be read"),
            Self::Unreachable => f.write_str("the service cannot be reached"),
        }
    }
}

impl std::error::Error for HttpError {}

impl Request {
    /// A request with this method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            answer_bytes: BODY_BYTES,
        }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Sets the body.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets how many bytes the answer's body may have; the grant may allow fewer.
    pub fn reads_at_most(mut self, bytes: usize) -> Self {
        self.answer_bytes = bytes;
        self
    }

    /// Sends it and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// Where there is none; any status is an answer.
    pub fn send(&self) -> Result<Response, HttpError> {
        host::send(self)
    }
}

impl Response {
    /// The first header of this name, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The first trailer of this name, where it is text.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }
}

fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(&found.value).ok()
}

/// Splits a URL into its scheme, authority, and path with query.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "the double takes whole URLs"))]
fn split(url: &str) -> Option<(&str, &str, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let target = target.split('#').next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Some((scheme, authority, format!("{slash}{target}")))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn urls_are_split_where_their_parts_meet() {
        let parts = |url| {
            split(url).map(|(scheme, authority, target)| format!("{scheme} {authority} {target}"))
        };

        assert_eq!(parts("https://a.test:1/b?c#d").as_deref(), Some("https a.test:1 /b?c"));
        assert_eq!(parts("http://a.test").as_deref(), Some("http a.test /"));
        assert_eq!(parts("http://a.test?b").as_deref(), Some("http a.test /?b"));
        assert_eq!(parts("http://user@a.test/"), None);
        assert_eq!(parts("a.test/"), None);
    }
}
