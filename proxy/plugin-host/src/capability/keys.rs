//! `keys`: issuers' public keys, fetched in the background, verifying at native speed.
//!
//! ```text
//! grant, plan ─ source ─▶ issuers ─ one for each source ─▶ upkeep: when ─▶ fetch: what
//!                                                            │
//! verify ─▶ issuer: what is known ◀──────── key_set ◀────────┘
//! ```

mod fetch;
mod issuer;
mod issuers;
mod key_set;
mod public_key;
mod source;
#[cfg(test)]
mod standards;
mod upkeep;

use std::sync::Arc;

use portcullis_pipeline::strict_json;
use serde_json::Value;

use crate::abi::imports::keys::{Host, KeyError, SignatureAlgorithm};
use crate::state::State;
pub(crate) use issuer::FetchedKeys;
pub use issuer::IssuerReading;
pub(crate) use issuers::{IssuerProblem, Issuers, first_keys};
use key_set::Signed;
pub(crate) use key_set::{KeySet, KeySetProblem};
pub(crate) use source::{KeyPlace, KeySource, PrivateAddresses};

/// The keys of one issuer, for one plugin use.
#[derive(Debug, Clone)]
pub(crate) enum IssuerKeySet {
    /// As the operator gave them.
    Given(Arc<KeySet>),
    /// As the issuer says.
    Fetched(Arc<FetchedKeys>),
}

/// Reads what somebody says of keys; a text is as long as its source lets it be.
fn parse_json(text: &[u8]) -> Result<Value, serde_json::Error> {
    strict_json(text, usize::MAX)
}

impl IssuerKeySet {
    /// Grows when the keys change.
    pub(crate) fn generation(&self) -> u64 {
        match self {
            Self::Given(_) => 0,
            Self::Fetched(keys) => keys.generation(),
        }
    }

    /// What is fetched.
    pub(crate) fn fetched(&self) -> Option<&Arc<FetchedKeys>> {
        match self {
            Self::Given(_) => None,
            Self::Fetched(keys) => Some(keys),
        }
    }
}

impl Host for State {
    fn metadata(&mut self, issuer: String) -> wasmtime::Result<Result<String, KeyError>> {
        Ok(match self.issuer(&issuer) {
            None => Err(KeyError::NotGranted),
            Some(IssuerKeySet::Given(_)) => Err(KeyError::Unavailable),
            Some(IssuerKeySet::Fetched(keys)) => keys.metadata().ok_or(KeyError::Unavailable),
        })
    }

    async fn verify(
        &mut self,
        issuer: String,
        key_id: Option<String>,
        algorithm: SignatureAlgorithm,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, KeyError>> {
        let (key_id, message, signature) = (key_id.as_deref(), &message, &signature);
        let signed = Signed { key_id, algorithm, message, signature };
        let keys = match self.issuer(&issuer) {
            None => return Ok(Err(KeyError::NotGranted)),
            Some(IssuerKeySet::Given(keys)) => return Ok(keys.verify(signed)),
            Some(IssuerKeySet::Fetched(keys)) => keys,
        };
        if let Some(answer) = keys.verify_now(signed) {
            return Ok(answer);
        }
        // Half of the call's time, so that a slow issuer is never the plugin's fault.
        let patience = self.shared.budget.wall_time / 2;
        let keys = Arc::clone(keys);
        Ok(keys.verify_later(signed, patience).await)
    }
}
