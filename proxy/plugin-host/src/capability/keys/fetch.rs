//! Fetches an issuer's discovery document and keys, once.

use std::time::Duration;

use http::{HeaderMap, header};
use portcullis_config::{OriginHost, ServiceUrl};
use serde_json::Value;

use super::key_set::{KeySet, KeySetProblem};
use super::parse_json;
use super::source::{KeyPlace, KeySource, SourceProblem};
use crate::capability::http::{
    AuthoritiesProblem, DocumentClient, Fetching, NoDocument, is_private_address,
};

/// Bytes of a discovery document.
const DISCOVERY_BYTES: usize = 64 << 10;
/// Bytes of a key set.
const KEY_SET_BYTES: usize = 256 << 10;

/// What is known of an issuer after a fetch.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Its keys.
    pub(super) keys: KeySet,
    /// What is wrong with one of them.
    pub(super) passed_over: Option<KeySetProblem>,
    /// Its discovery document.
    pub(super) metadata: Option<String>,
    /// How long it says that its keys hold.
    pub(super) max_age: Option<Duration>,
}

/// Why nothing could be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchProblem {
    /// The first document cannot be asked for.
    #[error(transparent)]
    Source(#[from] SourceProblem),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesProblem),
    /// The discovery document cannot be had.
    #[error("the discovery document: {0}")]
    Discovery(NoDocument),
    /// The discovery document is none.
    #[error("the discovery document is no JSON: {0}")]
    DiscoveryText(String),
    /// It is somebody else's.
    #[error("the discovery document is of the issuer {0:?}")]
    OtherIssuer(String),
    /// It does not say where the keys are, or says it so that they may not be fetched.
    #[error("the `jwks_uri` {url:?} of the discovery document: {problem}")]
    KeysUrl { url: String, problem: &'static str },
    /// The key set cannot be had.
    #[error("the key set: {0}")]
    KeySet(NoDocument),
    /// The key set is none.
    #[error("the key set: {0}")]
    Keys(#[from] KeySetProblem),
}

/// Fetches what one source offers.
#[derive(Debug)]
pub(super) struct Fetcher {
    source: KeySource,
    /// The host that the operator named.
    named: OriginHost,
    first: DocumentClient,
    /// Where the discovery document said last that the keys are.
    discovered: Option<(String, DocumentClient)>,
}

impl Fetcher {
    /// Prepares to fetch. Blocks, to read the system's authorities.
    pub(super) fn new(source: KeySource) -> Result<Self, FetchProblem> {
        let url = source.first_url()?;
        let most_bytes = match source.place {
            KeyPlace::Discovery => DISCOVERY_BYTES,
            KeyPlace::At(_) => KEY_SET_BYTES,
        };
        let named = url.origin.host.clone();
        let first = client(&source, url, &named, most_bytes)?;
        Ok(Self { source, named, first, discovered: None })
    }

    /// Fetches.
    pub(super) async fn fetch(&mut self) -> Result<Fetched, FetchProblem> {
        let (document, metadata) = match self.source.place {
            KeyPlace::At(_) => (self.first.fetch().await, None),
            KeyPlace::Discovery => {
                let document = self.first.fetch().await.map_err(FetchProblem::Discovery)?;
                let url = self.discover(&document.bytes)?;
                let text = String::from_utf8(document.bytes.into());
                let text = text.map_err(|it| FetchProblem::DiscoveryText(it.to_string()))?;
                (self.keys_at(&url)?.fetch().await, Some(text))
            }
        };
        let document = document.map_err(FetchProblem::KeySet)?;
        let jwks = parse_json(&document.bytes)
            .map_err(|problem| KeySetProblem::Json(problem.to_string()))?;
        let (keys, passed_over) = KeySet::parse_what_can_be(&jwks)?;
        Ok(Fetched { keys, passed_over, metadata, max_age: max_age(&document.headers) })
    }

    /// Where a discovery document says that the keys are.
    fn discover(&self, text: &[u8]) -> Result<String, FetchProblem> {
        let document =
            parse_json(text).map_err(|problem| FetchProblem::DiscoveryText(problem.to_string()))?;
        let text = |member: &str| document.get(member).and_then(Value::as_str).unwrap_or_default();
        if text("issuer") != self.source.issuer {
            return Err(FetchProblem::OtherIssuer(cut(text("issuer"))));
        }
        Ok(text("jwks_uri").to_owned())
    }

    fn keys_at(&mut self, url: &str) -> Result<&DocumentClient, FetchProblem> {
        let client = match self.discovered.take() {
            Some((known, client)) if known == url => client,
            _ => self.keys_client(url)?,
        };
        Ok(&self.discovered.insert((url.to_owned(), client)).1)
    }

    fn keys_client(&self, url: &str) -> Result<DocumentClient, FetchProblem> {
        let refused = |problem| FetchProblem::KeysUrl { url: cut(url), problem };
        let parsed = ServiceUrl::parse(url).map_err(refused)?;
        if !parsed.origin.https && !self.source.issuer.starts_with("http://") {
            return Err(refused("it is not `https`, as the issuer is"));
        }
        let host = &parsed.origin.host;
        let private = self.source.private_addresses_of(host, &self.named);
        if is_private_address(host) && *host != self.named && !private {
            return Err(refused("it is a private address, and `private_addresses` is not granted"));
        }
        Ok(client(&self.source, parsed, &self.named, KEY_SET_BYTES)?)
    }
}

fn client(
    source: &KeySource,
    url: ServiceUrl,
    named: &OriginHost,
    most_bytes: usize,
) -> Result<DocumentClient, AuthoritiesProblem> {
    let how = Fetching {
        private_addresses: source.private_addresses_of(&url.origin.host, named),
        authorities: source.authorities.clone(),
        timeout: source.times.timeout,
        most_bytes,
    };
    DocumentClient::new(url, how)
}

/// How long a cache may keep an answer (RFC 9111), if it says so.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(header::CACHE_CONTROL).into_iter();
    let directives = fields.filter_map(|field| field.to_str().ok()).flat_map(|it| it.split(','));
    let seconds = |directive: &str| {
        let (name, value) = directive.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok())?
    };
    directives.filter_map(seconds).min().map(Duration::from_secs)
}

/// What a log line can hold of somebody else's text.
fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use portcullis_config::IssuerGrant;

    use super::super::source::PrivateAddresses;
    use super::*;

    fn fetcher(issuer: &str, private: PrivateAddresses) -> Fetcher {
        let times = IssuerGrant::default().times;
        let (issuer, place) = (issuer.to_owned(), KeyPlace::Discovery);
        let source = KeySource { issuer, place, private, authorities: None, times };
        Fetcher::new(source).unwrap()
    }

    fn keys_url(issuer: &str, document: &str) -> Result<String, FetchProblem> {
        let mut fetcher = fetcher(issuer, PrivateAddresses::Never);
        let url = fetcher.discover(document.as_bytes())?;
        fetcher.keys_at(&url).map(|_| url)
    }

    #[test]
    fn a_discovery_document_is_its_issuers_own() {
        let document = r#"{"issuer": "http://a/", "jwks_uri": "http://b/keys"}"#;

        assert_eq!(keys_url("http://a/", document).unwrap(), "http://b/keys");
        for other in ["http://a", "http://A/", "http://a/b"] {
            let refused = keys_url(other, document).unwrap_err();
            assert!(matches!(refused, FetchProblem::OtherIssuer(_)), "{other}: {refused}");
        }
        let twice = r#"{"issuer": "http://b/", "issuer": "http://a/", "jwks_uri": "http://b/"}"#;
        assert!(matches!(keys_url("http://a/", twice), Err(FetchProblem::DiscoveryText(_))));
    }

    #[test]
    fn keys_are_not_fetched_from_wherever_a_document_says() {
        for url in [
            "",
            "file:///etc/passwd",
            "http://169.254.169.254/latest",
            "http://[::1]/keys",
            "http://127.0.0.1/keys",
            "http://a@b/keys",
        ] {
            let document = format!(r#"{{"issuer": "http://a", "jwks_uri": "{url}"}}"#);
            let refused = keys_url("http://a", &document).unwrap_err();
            assert!(matches!(refused, FetchProblem::KeysUrl { .. }), "{url}: {refused}");
        }
        let named = r#"{"issuer": "http://127.0.0.1:1", "jwks_uri": "http://127.0.0.1:2/keys"}"#;
        assert!(keys_url("http://127.0.0.1:1", named).is_ok());
    }

    #[test]
    fn the_age_of_keys_is_the_least_that_is_said() {
        let age = |field: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, field.parse().unwrap());
            max_age(&headers).map(|age| age.as_secs())
        };

        assert_eq!(age("public, Max-Age=\"3600\""), Some(3600));
        assert_eq!(age("max-age=10, max-age=5"), Some(5));
        assert_eq!(age("max-age=never, no-cache"), None);
    }
}
