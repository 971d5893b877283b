//! What CORS adds to the answers of an exchange, whoever gives them.

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    AsHeaderName, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::{AllowedOrigins, Cors};

use crate::vary::vary;

/// The headers of CORS on every answer of an exchange.
#[derive(Debug, Clone)]
pub struct CorsReply {
    cors: Arc<Cors>,
    /// The origin that may read, as the header that tells so.
    reader: Option<HeaderValue>,
}

impl CorsReply {
    /// Headers of responses that only the gateway writes where CORS is configured.
    pub const NAMES: [HeaderName; 7] = [
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
        HeaderName::from_static("access-control-allow-private-network"),
    ];

    /// What the rules say of a request with these headers.
    pub(crate) fn to(cors: &Arc<Cors>, request: &HeaderMap) -> Self {
        Self { cors: Arc::clone(cors), reader: reader(cors, request) }
    }

    /// What is said to pages that may read nothing.
    pub(crate) fn silent(cors: &Arc<Cors>) -> Self {
        Self { cors: Arc::clone(cors), reader: None }
    }

    /// The headers that let the page read, if it may.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        self.reader.iter().flat_map(|reader| {
            let exposed = self.cors.expose.clone();
            allowed(&self.cors, reader)
                .into_iter()
                .chain(exposed.map(|names| (ACCESS_CONTROL_EXPOSE_HEADERS, names)))
        })
    }

    /// The `Vary` that these response headers need; `None` where theirs is enough.
    pub fn vary(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        // Everybody hears the same.
        if self.cors.origins == AllowedOrigins::Any { None } else { vary(headers, &["Origin"]) }
    }

    /// Puts the gateway's word in the place of whatever the headers say of CORS.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in Self::NAMES {
            headers.remove(name);
        }
        headers.extend(self.headers());
        if let Some(vary) = self.vary(headers) {
            headers.insert(VARY, vary);
        }
    }
}

/// The origin of a request whose page may read the answer, as the answer names it.
pub(crate) fn reader(cors: &Cors, request: &HeaderMap) -> Option<HeaderValue> {
    let origin = only(request, ORIGIN)?;
    match &cors.origins {
        AllowedOrigins::Any => Some(HeaderValue::from_static("*")),
        these => origin.to_str().is_ok_and(|text| these.allow(text)).then(|| origin.clone()),
    }
}

/// The headers that every answer to an allowed page has.
pub(crate) fn allowed(cors: &Cors, reader: &HeaderValue) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![(ACCESS_CONTROL_ALLOW_ORIGIN, reader.clone())];
    if cors.credentials {
        headers.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
    }
    headers
}

/// The value of a header that is there once.
pub(crate) fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}
