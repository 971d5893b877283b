//! The double of `secrets`.

use super::crypto::{Key, equal};
use super::{INSTALLED, Secret, Sight};
use crate::secrets::SecretError;

pub(crate) fn matches(name: &str, candidate: &[u8]) -> Result<bool, SecretError> {
    granted(name, |secret| equal(&secret.bytes, candidate))
}

pub(crate) fn as_key(name: &str, prefix: &[u8]) -> Result<Key, SecretError> {
    granted(name, |secret| Key::prefixed(prefix, &secret.bytes))
}

pub(crate) fn reveal(name: &str) -> Result<Vec<u8>, SecretError> {
    granted(name, |secret| match secret.sight {
        Sight::Revealable => Ok(secret.bytes.clone()),
        Sight::Hidden => Err(SecretError::NotRevealable),
    })?
}

fn granted<T>(name: &str, using: impl FnOnce(&Secret) -> T) -> Result<T, SecretError> {
    INSTALLED.with_borrow(|host| host.secrets.get(name).map(using)).ok_or(SecretError::NotGranted)
}
