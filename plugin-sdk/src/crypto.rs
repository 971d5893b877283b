//! Cryptography at native speed, done by the host.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::crypto as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::crypto as host;

pub use crate::bindings::host::crypto::HashAlgorithm;

/// A symmetric key whose bytes stay in the host.
///
/// It may not outlive the call it was made in: keep names of secrets, not keys.
#[derive(Debug)]
pub struct Key(pub(crate) host::Key);

impl Key {
    /// Secret bytes that a key has at the least which [seals](Self::seal).
    pub const LEAST_TO_SEAL: u32 = 32;

    /// Makes a key of bytes the plugin already has, at most 4096 of them. More are a fault,
    /// as is any call during `configure`.
    pub fn import(bytes: impl AsRef<[u8]>) -> Self {
        Self(host::import_key(bytes.as_ref()))
    }

    /// Computes an HMAC (RFC 2104) and shows it.
    pub fn hmac(&self, algorithm: HashAlgorithm, message: impl AsRef<[u8]>) -> Vec<u8> {
        self.0.hmac(algorithm, message.as_ref())
    }

    /// Computes an HMAC and keeps it as a key, so that derivations chain without
    /// showing one.
    pub fn derive(&self, algorithm: HashAlgorithm, message: impl AsRef<[u8]>) -> Self {
        Self(self.0.derive(algorithm, message.as_ref()))
    }

    /// Compares an HMAC with the one expected, in constant time.
    pub fn verify(
        &self,
        algorithm: HashAlgorithm,
        message: impl AsRef<[u8]>,
        expected: impl AsRef<[u8]>,
    ) -> bool {
        self.0.verify(algorithm, message.as_ref(), expected.as_ref())
    }

    /// Encrypts and authenticates; the associated bytes are authenticated only. A key with
    /// fewer secret bytes than [`LEAST_TO_SEAL`](Self::LEAST_TO_SEAL) is a fault.
    pub fn seal(&self, plain: impl AsRef<[u8]>, associated: impl AsRef<[u8]>) -> Vec<u8> {
        self.0.seal(plain.as_ref(), associated.as_ref())
    }

    /// Gives back what was sealed with this key and these associated bytes. As with
    /// [`seal`](Self::seal), a short key is a fault.
    pub fn open(&self, sealed: impl AsRef<[u8]>, associated: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        self.0.open(sealed.as_ref(), associated.as_ref())
    }
}

/// Gives unpredictable bytes, at most 1024. Not during `configure`.
pub fn random(count: u32) -> Vec<u8> {
    host::random(count)
}

/// Hashes a message.
pub fn digest(algorithm: HashAlgorithm, message: impl AsRef<[u8]>) -> Vec<u8> {
    host::digest(algorithm, message.as_ref())
}

/// Compares two byte strings in constant time.
pub fn equal(left: impl AsRef<[u8]>, right: impl AsRef<[u8]>) -> bool {
    host::equal(left.as_ref(), right.as_ref())
}
