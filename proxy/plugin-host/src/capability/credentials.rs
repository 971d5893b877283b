//! `credentials`: the operator's store of API keys and access keys.

use wasmtime::component::Resource;

use super::crypto::Key;
use crate::abi;
use crate::abi::imports::credentials::{Credential, CredentialError, Host, Kind};
use crate::abi::imports::types::Attribute;
use crate::credentials::{CredentialKind, KnownCredential};
use crate::state::State;

impl Host for State {
    fn find(
        &mut self,
        presented: Vec<u8>,
    ) -> wasmtime::Result<Result<Option<Credential>, CredentialError>> {
        let Some(source) = self.credentials() else { return Ok(Err(CredentialError::NotGranted)) };
        Ok(Ok(source.find(&presented, self.time_ms()).map(told)))
    }

    fn get(
        &mut self,
        kind: Kind,
        id: String,
    ) -> wasmtime::Result<Result<Option<Credential>, CredentialError>> {
        let Some(source) = self.credentials() else { return Ok(Err(CredentialError::NotGranted)) };
        let kind = match kind {
            Kind::ApiKey => CredentialKind::ApiKey,
            Kind::AccessKey => CredentialKind::AccessKey,
        };
        Ok(Ok(source.get(kind, &id, self.time_ms()).map(told)))
    }

    fn as_key(
        &mut self,
        id: String,
        prefix: Vec<u8>,
    ) -> wasmtime::Result<Result<Option<Resource<Key>>, CredentialError>> {
        let Some(source) = self.credentials() else { return Ok(Err(CredentialError::NotGranted)) };
        let Some(secret) = source.secret(&id, self.time_ms()) else { return Ok(Ok(None)) };
        Ok(Ok(Some(self.table.push(Key::prefixed(&prefix, &secret)?)?)))
    }
}

/// A credential in the contract's words.
fn told(known: KnownCredential) -> Credential {
    let attribute = |(name, value)| Attribute { name, value: abi::value(value) };
    Credential {
        id: known.id,
        consumer: known.consumer,
        attributes: known.attributes.into_iter().map(attribute).collect(),
        session_digest: known.session_digest.map(|digest| digest.to_vec()),
        expires_at: known.expires_at_ms,
    }
}
