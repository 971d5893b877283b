//! The port to the operator's store of credentials.

use std::fmt;
use std::sync::Arc;

use portcullis_pipeline::Value;
use portcullis_policy::Policy;
use zeroize::Zeroizing;

/// Where plugins that are granted `credentials` find them.
///
/// Asked while a request waits: answers come from memory, without a lock that somebody
/// could hold for long. What is disabled or expired at `time_ms` is not found.
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// Another number after every change; kept grants do not outlive it.
    fn version(&self) -> u64;

    /// The API key that a client presents.
    fn find(&self, presented: &[u8], time_ms: u64) -> Option<KnownCredential>;

    /// The credential of this kind and public id.
    fn get(&self, kind: CredentialKind, id: &str, time_ms: u64) -> Option<KnownCredential>;

    /// The secret of the access key with this id.
    fn secret(&self, id: &str, time_ms: u64) -> Option<Zeroizing<Vec<u8>>>;

    /// What is attached to the credential with this id, as one policy; where nothing is,
    /// a policy that allows nothing.
    fn attached(&self, id: &str) -> Arc<Policy>;
}

/// What a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A secret that clients present as it is.
    ApiKey,
    /// A public id with a secret that clients sign with.
    AccessKey,
}

/// A credential that holds, without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownCredential {
    /// Its public id.
    pub id: String,
    /// Whose it is.
    pub consumer: String,
    /// What else the operator wrote of the consumer and of the credential.
    pub attributes: Vec<(String, Value)>,
    /// The SHA-256 of the session token that must come with it.
    pub session_digest: Option<[u8; 32]>,
    /// When it stops to hold, in milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
}
