//! `secrets`: granted by name, used without being seen.

use wasmtime::component::Resource;

use super::crypto::{Key, equal};
use crate::abi::imports::secrets::{Host, SecretError};
use crate::state::State;

impl Host for State {
    fn matches(
        &mut self,
        name: String,
        candidate: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, SecretError>> {
        let answer = self.secret(&name).map(|granted| equal(granted.secret.expose(), &candidate));
        Ok(answer.ok_or(SecretError::NotGranted))
    }

    fn as_key(
        &mut self,
        name: String,
        prefix: Vec<u8>,
    ) -> wasmtime::Result<Result<Resource<Key>, SecretError>> {
        let Some(key) =
            self.secret(&name).map(|granted| Key::prefixed(&prefix, granted.secret.expose()))
        else {
            return Ok(Err(SecretError::NotGranted));
        };
        Ok(Ok(self.table.push(key?.named(name))?))
    }

    fn reveal(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, SecretError>> {
        Ok(match self.secret(&name) {
            None => Err(SecretError::NotGranted),
            Some(granted) if !granted.reveal => Err(SecretError::NotRevealable),
            Some(granted) => Ok(granted.secret.expose().to_vec()),
        })
    }
}
