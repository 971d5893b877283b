//! What a plugin may do beyond computing and logging.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

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

/// Where a plugin may send requests: a scheme, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whether it is `https`, and not `http`.
    pub https: bool,
    /// The host.
    pub host: OriginHost,
    /// The port.
    pub port: u16,
}

/// The host of an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginHost {
    /// A name, in lower case.
    Name(String),
    /// Every name below this one, which is in lower case: `*.example.com`.
    Below(String),
    /// An address, which is meant by being written.
    Address(IpAddr),
}

/// How much a plugin may remember from one call to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyValueGrant {
    /// Bytes of all keys and values together, with what it costs to keep them.
    pub size_bytes: usize,
    /// Keys there may be.
    pub keys: usize,
}
