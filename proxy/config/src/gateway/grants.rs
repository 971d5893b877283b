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
    /// Issuers whose keys it may verify with, and where those keys are.
    pub issuers: BTreeMap<String, IssuerKeys>,
    /// HTTP services it may call.
    pub http: Option<HttpGrant>,
    /// What it may remember from one call to another.
    pub keyvalue: Option<KeyValueGrant>,
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

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum IssuerKeys {
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
