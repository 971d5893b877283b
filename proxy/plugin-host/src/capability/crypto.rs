//! `crypto`: hashes, HMACs whose output may stay here, constant-time comparison.

use ring::{digest, hmac};
use subtle::ConstantTimeEq as _;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use crate::abi::imports::crypto::{HashAlgorithm, Host, HostKey};
use crate::state::State;

/// Key bytes that a guest holds by a handle only.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// Takes the bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Takes the bytes, behind a prefix.
    pub(crate) fn prefixed(prefix: &[u8], bytes: &[u8]) -> Self {
        Self(Zeroizing::new([prefix, bytes].concat()))
    }

    fn hmac(&self, algorithm: HashAlgorithm, message: &[u8]) -> hmac::Tag {
        let algorithm = match algorithm {
            HashAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HashAlgorithm::Sha384 => hmac::HMAC_SHA384,
            HashAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, &self.0), message)
    }
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

impl Host for State {
    fn import_key(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Resource<Key>> {
        Ok(self.table.push(Key(Zeroizing::new(bytes)))?)
    }

    fn digest(&mut self, algorithm: HashAlgorithm, message: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        let algorithm = match algorithm {
            HashAlgorithm::Sha256 => &digest::SHA256,
            HashAlgorithm::Sha384 => &digest::SHA384,
            HashAlgorithm::Sha512 => &digest::SHA512,
        };
        Ok(digest::digest(algorithm, &message).as_ref().to_vec())
    }

    fn equal(&mut self, left: Vec<u8>, right: Vec<u8>) -> wasmtime::Result<bool> {
        Ok(equal(&left, &right))
    }
}

impl HostKey for State {
    fn hmac(
        &mut self,
        key: Resource<Key>,
        algorithm: HashAlgorithm,
        message: Vec<u8>,
    ) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&key)?.hmac(algorithm, &message).as_ref().to_vec())
    }

    fn derive(
        &mut self,
        key: Resource<Key>,
        algorithm: HashAlgorithm,
        message: Vec<u8>,
    ) -> wasmtime::Result<Resource<Key>> {
        let tag = self.table.get(&key)?.hmac(algorithm, &message);
        Ok(self.table.push(Key::new(tag.as_ref()))?)
    }

    fn verify(
        &mut self,
        key: Resource<Key>,
        algorithm: HashAlgorithm,
        message: Vec<u8>,
        expected: Vec<u8>,
    ) -> wasmtime::Result<bool> {
        Ok(equal(self.table.get(&key)?.hmac(algorithm, &message).as_ref(), &expected))
    }

    fn drop(&mut self, key: Resource<Key>) -> wasmtime::Result<()> {
        self.table.delete(key)?;
        Ok(())
    }
}
