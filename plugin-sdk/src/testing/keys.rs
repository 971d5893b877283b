//! The double of `keys`.

use super::INSTALLED;
use crate::keys::{KeyError, SignatureAlgorithm, Signed};

pub(crate) fn verify(
    issuer: &str,
    key_id: Option<&str>,
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, KeyError> {
    INSTALLED.with_borrow(|host| match host.issuers.get(issuer) {
        None => Err(KeyError::NotGranted),
        Some(verify) => verify(Signed { key_id, algorithm, message, signature }),
    })
}

pub(crate) fn metadata(issuer: &str) -> Result<String, KeyError> {
    INSTALLED.with_borrow(|host| {
        host.metadata.get(issuer).cloned().ok_or(match host.issuers.contains_key(issuer) {
            true => KeyError::Unavailable,
            false => KeyError::NotGranted,
        })
    })
}
