//! Small documents that the host itself fetches, by the means and checks of the
//! requests of guests.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use portcullis_config::{HttpGrant, OriginHost, ServiceUrl};
use std::time::Duration;
use wasmtime_wasi_http::{RequestOptions, WasiBody};

use super::address::is_public;
use super::client::{HttpClient, NoAnswer};
use super::connect::AuthoritiesProblem;

/// Fetches one document.
#[derive(Debug)]
pub(crate) struct DocumentClient {
    client: HttpClient,
    url: ServiceUrl,
}

/// How a document is fetched.
#[derive(Debug, Clone)]
pub(crate) struct Fetching {
    /// Whether the name may resolve to private addresses.
    pub(crate) private_addresses: bool,
    /// Authorities to trust in the place of the system's.
    pub(crate) authorities: Option<String>,
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// Bytes it may have.
    pub(crate) most_bytes: usize,
}

/// A document as it came.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its header fields.
    pub(crate) headers: HeaderMap,
    /// Its bytes.
    pub(crate) bytes: Bytes,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoDocument {
    /// It was not asked for.
    #[error("{0}")]
    Refused(String),
    /// The service has other things to say.
    #[error("the service answered with status {0}")]
    Status(StatusCode),
    /// Something went wrong on the way.
    #[error("{0}")]
    Failed(String),
}

impl DocumentClient {
    /// Prepares to fetch. Blocks, to read the system's authorities.
    pub(crate) fn new(url: ServiceUrl, how: Fetching) -> Result<Self, AuthoritiesProblem> {
        let grant = HttpGrant {
            origins: vec![url.origin.clone()],
            private_addresses: how.private_addresses,
            authorities: how.authorities,
            timeout: how.timeout,
            request_bytes: 0,
            response_bytes: how.most_bytes,
            requests: 1,
        };
        Ok(Self { client: HttpClient::new(&grant)?, url })
    }

    /// Fetches the document. Redirects are not followed.
    pub(crate) async fn fetch(&self) -> Result<Document, NoDocument> {
        let failed = |problem: &dyn std::fmt::Display| NoDocument::Failed(problem.to_string());
        let request = self.request().map_err(|problem| failed(&problem))?;
        let admitted = self
            .client
            .admit(request)
            .map_err(|refusal| NoDocument::Refused(refusal.to_string()))?;
        let answer = self.client.send(admitted, RequestOptions::default()).await;
        let response = answer.map_err(|problem| match problem {
            NoAnswer::Refused(refusal) => NoDocument::Refused(refusal.to_string()),
            NoAnswer::Failed(problem) => failed(&problem),
        })?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(NoDocument::Status(head.status));
        }
        let bytes = body.collect().await.map_err(|problem| failed(&problem))?.to_bytes();
        Ok(Document { headers: head.headers, bytes })
    }

    fn request(&self) -> Result<Request<WasiBody>, http::Error> {
        let origin = &self.url.origin;
        let host = match &origin.host {
            OriginHost::Name(name) | OriginHost::Below(name) => name.clone(),
            OriginHost::Address(IpAddr::V4(address)) => address.to_string(),
            OriginHost::Address(IpAddr::V6(address)) => format!("[{address}]"),
        };
        let (scheme, own) = if origin.https { ("https", 443) } else { ("http", 80) };
        let authority = if origin.port == own { host } else { format!("{host}:{}", origin.port) };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority.as_str())
            .path_and_query(self.url.target.as_str())
            .build()?;
        Request::get(uri)
            .header(header::HOST, authority)
            .header(header::ACCEPT, "application/json, application/jwk-set+json")
            .header(header::USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            // The next one is asked for in minutes or hours.
            .header(header::CONNECTION, "close")
            .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
    }
}

/// Whether a host is an address that is not the public internet's.
pub(crate) fn is_private_address(host: &OriginHost) -> bool {
    matches!(host, OriginHost::Address(address) if !is_public(*address))
}
