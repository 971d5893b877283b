//! `credentials`: the operator's store of API keys and access keys.

use wasmtime::component::Resource;

use super::crypto::Key;
use crate::abi::imports::credentials::{Credential, CredentialError, Host, Kind};
use crate::state::State;

impl Host for State {
    fn find(
        &mut self,
        _presented: Vec<u8>,
    ) -> wasmtime::Result<Result<Option<Credential>, CredentialError>> {
        Ok(Err(CredentialError::NotGranted))
    }

    fn get(
        &mut self,
        _kind: Kind,
        _id: String,
    ) -> wasmtime::Result<Result<Option<Credential>, CredentialError>> {
        Ok(Err(CredentialError::NotGranted))
    }

    fn as_key(
        &mut self,
        _id: String,
        _prefix: Vec<u8>,
    ) -> wasmtime::Result<Result<Option<Resource<Key>>, CredentialError>> {
        Ok(Err(CredentialError::NotGranted))
    }
}
