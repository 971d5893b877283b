//! Where a request came to, and how: what browsers say of it.

use portcullis_plugin_sdk::{FullResponse, Header, Request};

use crate::refusal::Refusal;
use crate::settings::is_path;

/// Bytes of a path and query that a login returns to.
const RETURN_BYTES: usize = 1024;

/// The site that a browser is at.
#[derive(Debug)]
pub(crate) struct Site {
    /// Its scheme and authority.
    pub(crate) origin: String,
    /// How it is reached.
    pub(crate) transport: Transport,
}

/// How browsers reach a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Over HTTPS.
    Secure,
    /// Over plain HTTP, which the operator wrote or which does not leave the machine.
    Plain,
}

impl Site {
    /// The site that the operator wrote, or else the one that was asked for.
    pub(crate) fn of(request: &Request, written: Option<&str>) -> Result<Self, Refusal> {
        if let Some(origin) = written {
            let transport = match origin.starts_with("https:") {
                true => Transport::Secure,
                false => Transport::Plain,
            };
            return Ok(Self { origin: origin.to_owned(), transport });
        }
        let transport = match request.scheme.as_str() {
            "https" => Transport::Secure,
            _ if is_this_machine(&request.authority) => Transport::Plain,
            _ => return Err(Refusal::InsecureOrigin),
        };
        if request.authority.is_empty() {
            return Err(Refusal::InsecureOrigin);
        }
        Ok(Self { origin: format!("{}://{}", request.scheme, request.authority), transport })
    }

    /// Whether the browser asks because of the site itself, or of the user alone; another
    /// site can make it neither say so nor keep silent.
    pub(crate) fn asked_by_itself(&self, request: &Request) -> bool {
        match request.header("sec-fetch-site") {
            Some(site) => matches!(site, "same-origin" | "none"),
            None => request.header("origin") == Some(&self.origin),
        }
    }
}

fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    matches!(host, Some("localhost" | "127.0.0.1" | "::1"))
}

/// Whether a browser goes somewhere, and would show what it is answered. A script that asks
/// for HTML is none that can be sent to another site.
pub(crate) fn is_navigation(request: &Request) -> bool {
    let shows = match request.header("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => request.header("accept").is_some_and(|accept| accept.contains("text/html")),
    };
    request.method == "GET" && shows
}

/// The path and query of a request, to come back to; the site's root where they would lead
/// elsewhere or are too long.
pub(crate) fn return_path(request: &Request) -> String {
    let path = &request.raw_path;
    let whole = match &request.query {
        Some(query) => format!("{path}?{query}"),
        None => path.clone(),
    };
    let is_safe = is_path(path) && whole.bytes().all(|byte| byte.is_ascii_graphic());
    match is_safe && whole.len() <= RETURN_BYTES {
        true => whole,
        false => "/".to_owned(),
    }
}

/// Sends a browser elsewhere, with these headers.
pub(crate) fn redirect(status: u16, location: &str, headers: Vec<Header>) -> FullResponse {
    let response = FullResponse::new(status)
        .with_header("location", location)
        .with_header("cache-control", "no-store")
        .with_header("referrer-policy", "no-referrer");
    with_headers(response, headers)
}

/// A response and more headers.
pub(crate) fn with_headers(response: FullResponse, headers: Vec<Header>) -> FullResponse {
    headers
        .into_iter()
        .fold(response, |response, header| response.with_header(&header.name, header.value))
}
