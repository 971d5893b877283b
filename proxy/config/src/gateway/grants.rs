//! What a plugin may do beyond computing and logging.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use super::origin::{Origin, OriginHost};
use crate::secret::Secret;

/// What a plugin may do beyond computing and logging.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one grant, apart from the others")]
pub struct Grants {
    /// Secrets it may use, by the name the plugin asks with.
    pub secrets: BTreeMap<String, SecretGrant>,
    /// Issuers whose keys it may verify with, by the name that tokens give them.
    pub issuers: BTreeMap<String, IssuerGrant>,
    /// HTTP services it may call.
    pub http: Option<HttpGrant>,
    /// What it may remember from one call to another.
    pub keyvalue: Option<KeyValueGrant>,
    /// Whether it may ask the operator's store of credentials.
    pub credentials: bool,
    /// Real randomness in the place of a stream seeded for each instance.
    pub random: bool,
    /// The real clock in the place of the request's time.
    pub clock: bool,
}

/// A secret a plugin may use.
#[derive(Debug, Clone)]
pub struct SecretGrant {
    /// The secret.
    pub secret: Secret,
    /// Whether the plugin may see its bytes.
    pub reveal: bool,
}

/// An issuer whose keys a plugin may verify with.
#[derive(Debug, Clone)]
pub struct IssuerGrant {
    /// Where its keys are.
    pub keys: IssuerKeys,
    /// Whether the names in its URLs may resolve to private addresses.
    pub private_addresses: bool,
    /// Authorities to trust in the place of the system's: the content of a PEM file.
    pub authorities: Option<String>,
    /// When its keys are fetched.
    pub times: KeyTimes,
}

impl Default for IssuerGrant {
    /// What holds where the configuration says nothing.
    fn default() -> Self {
        Self {
            keys: IssuerKeys::AsPlanned,
            private_addresses: false,
            authorities: None,
            times: KeyTimes {
                timeout: Duration::from_millis(1500),
                refresh: None,
                min_refresh: Duration::from_secs(10),
                max_stale: Duration::from_secs(24 * 60 * 60),
            },
        }
    }
}

/// When an issuer's keys are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyTimes {
    /// How long one document may take.
    pub timeout: Duration,
    /// How often they are fetched again; as the issuer says where absent.
    pub refresh: Option<Duration>,
    /// The least time between two fetches for tokens whose key is unknown.
    pub min_refresh: Duration,
    /// How long they go on being used while none can be fetched.
    pub max_stale: Duration,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum IssuerKeys {
    /// Where the plugin's plan says.
    AsPlanned,
    /// Where the issuer's discovery document says.
    Discovery,
    /// At this URL, as a JSON Web Key Set.
    At(String),
    /// A JSON Web Key Set (RFC 7517), read from a file at load.
    File {
        /// The file.
        path: PathBuf,
        /// Its content.
        jwks: serde_json::Value,
    },
}

/// HTTP services a plugin may call, and how much of them.
#[derive(Debug, Clone)]
pub struct HttpGrant {
    /// The origins it may call; no other is reached.
    pub origins: Vec<Origin>,
    /// Whether the names of origins may resolve to private addresses.
    pub private_addresses: bool,
    /// Authorities to trust in the place of the system's: the content of a PEM file.
    pub authorities: Option<String>,
    /// How long one request may take, its answer's body included.
    pub timeout: Duration,
    /// Bytes the body of one request may have.
    pub request_bytes: usize,
    /// Bytes the body of one answer may have.
    pub response_bytes: usize,
    /// Requests that one call of the plugin may make.
    pub requests: u32,
}

impl HttpGrant {
    /// These origins, with the limits of a grant that says nothing of them. Whoever
    /// names an origin means its addresses, private ones too.
    pub fn of_origins(origins: Vec<Origin>) -> Self {
        Self {
            origins,
            private_addresses: true,
            authorities: None,
            timeout: Duration::from_secs(2),
            request_bytes: 1 << 20,
            response_bytes: 1 << 20,
            requests: 4,
        }
    }
}

/// How much a plugin may remember from one call to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyValueGrant {
    /// Bytes of all keys and values together, with what it costs to keep them.
    pub size_bytes: usize,
    /// Keys there may be.
    pub keys: usize,
}
