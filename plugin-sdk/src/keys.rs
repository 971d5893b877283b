//! Public keys of issuers, kept fresh and parsed by the host.
//!
//! The plan asks for each by [`Plan::asks_issuer`](crate::Plan::asks_issuer).

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::keys as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::keys as host;

pub use crate::bindings::host::keys::{KeyError, SignatureAlgorithm};

/// A signature to judge, and the key it names.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The key's id; without one, the issuer's only key of the right kind is used.
    pub key_id: Option<&'a str>,
    /// The algorithm it claims.
    pub algorithm: SignatureAlgorithm,
    /// What is signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Verifies a signature with an issuer's key at native speed.
pub fn verify(issuer: &str, signed: Signed<'_>) -> Result<bool, KeyError> {
    host::verify(issuer, signed.key_id, signed.algorithm, signed.message, signed.signature)
}

/// The issuer's discovery document, a JSON text, kept fresh.
pub fn metadata(issuer: &str) -> Result<String, KeyError> {
    host::metadata(issuer)
}
