//! Secrets the configuration granted by name: used without being seen.
//!
//! The plan asks for each by [`Plan::asks_secret`](crate::Plan::asks_secret), or by
//! [`Plan::asks_key`](crate::Plan::asks_key) where it makes a key of it.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::secrets as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::secrets as host;

use crate::crypto::Key;

pub use crate::bindings::host::secrets::SecretError;

/// Compares a candidate with a secret in constant time.
pub fn matches(name: &str, candidate: impl AsRef<[u8]>) -> Result<bool, SecretError> {
    host::matches(name, candidate.as_ref())
}

/// Gives a handle that [`crypto`](crate::crypto) can use, without the bytes.
///
/// The prefix comes before the secret, as `AWS4` does in Signature Version 4. More than
/// 4096 bytes together are a fault.
pub fn as_key(name: &str, prefix: impl AsRef<[u8]>) -> Result<Key, SecretError> {
    host::as_key(name, prefix.as_ref()).map(Key)
}

/// Shows a secret's bytes; only where the plan asks for that by
/// [`Plan::reveals_secret`](crate::Plan::reveals_secret), and the grant says `reveal = true`.
pub fn reveal(name: &str) -> Result<Vec<u8>, SecretError> {
    host::reveal(name)
}
