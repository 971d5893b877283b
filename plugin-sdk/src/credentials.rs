//! Credentials that the operator keeps in the gateway's store.
//!
//! Granted by `credentials = true`.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::credentials as host;
use crate::crypto::Key;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::credentials as host;

pub use crate::bindings::host::credentials::{Credential, CredentialError, Kind};

/// Finds the API key that a client presents.
pub fn find(presented: impl AsRef<[u8]>) -> Result<Option<Credential>, CredentialError> {
    host::find(presented.as_ref())
}

/// Finds a credential by its kind and public id.
pub fn get(kind: Kind, id: &str) -> Result<Option<Credential>, CredentialError> {
    host::get(kind, id)
}

/// Gives the secret of an access key as a handle; the prefix comes before it, as
/// `AWS4` does in Signature Version 4. More than 4096 bytes together are a fault.
pub fn as_key(id: &str, prefix: impl AsRef<[u8]>) -> Result<Option<Key>, CredentialError> {
    Ok(host::as_key(id, prefix.as_ref())?.map(Key))
}
