//! The double of `crypto`: the same functions, by RustCrypto.

use hmac::digest::InvalidLength;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::crypto::HashAlgorithm;

#[derive(Debug)]
pub(crate) struct Key {
    bytes: Vec<u8>,
    /// Bytes that are secret.
    secret: usize,
}

pub(crate) fn import_key(bytes: &[u8]) -> Key {
    Key::prefixed(b"", bytes)
}

impl Key {
    pub(crate) fn prefixed(prefix: &[u8], secret: &[u8]) -> Self {
        Self { bytes: [prefix, secret].concat(), secret: secret.len() }
    }

    pub(crate) fn hmac(&self, algorithm: HashAlgorithm, message: &[u8]) -> Vec<u8> {
        let code = match algorithm {
            HashAlgorithm::Sha256 => {
                Hmac::<Sha256>::new_from_slice(&self.bytes).map(|mac| finish(mac, message))
            }
            HashAlgorithm::Sha384 => {
                Hmac::<Sha384>::new_from_slice(&self.bytes).map(|mac| finish(mac, message))
            }
            HashAlgorithm::Sha512 => {
                Hmac::<Sha512>::new_from_slice(&self.bytes).map(|mac| finish(mac, message))
            }
        };
        // RFC 2104 takes keys of any length.
        code.unwrap_or_else(|InvalidLength| Vec::new())
    }

    pub(crate) fn derive(&self, algorithm: HashAlgorithm, message: &[u8]) -> Self {
        let bytes = self.hmac(algorithm, message);
        let secret = self.secret.min(bytes.len());
        Self { bytes, secret }
    }

    pub(crate) fn verify(&self, algorithm: HashAlgorithm, message: &[u8], expected: &[u8]) -> bool {
        equal(&self.hmac(algorithm, message), expected)
    }
}

impl Key {
    /// Not encrypted: the associated bytes' code and the plain bytes, which is enough
    /// to tell what a test changed.
    ///
    /// # Panics
    ///
    /// Where the key is short, which is a fault in the host.
    pub(crate) fn seal(&self, plain: &[u8], associated: &[u8]) -> Vec<u8> {
        let least = usize::try_from(crate::crypto::Key::LEAST_TO_SEAL).unwrap_or(usize::MAX);
        assert!(self.secret >= least, "a key of {} secret bytes seals nothing", self.secret);
        let code = self.hmac(HashAlgorithm::Sha256, &[associated, b"\0", plain].concat());
        [code.as_slice(), plain].concat()
    }

    pub(crate) fn open(&self, sealed: &[u8], associated: &[u8]) -> Option<Vec<u8>> {
        let (_, plain) = sealed.split_first_chunk::<32>()?;
        (self.seal(plain, associated) == sealed).then(|| plain.to_vec())
    }
}

/// Counts up: no two answers are equal, and tests repeat.
pub(crate) fn random(count: u32) -> Vec<u8> {
    thread_local!(static DRAWN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
    let drawn = DRAWN.get();
    DRAWN.set(drawn + 1);
    let block = Sha256::digest(drawn.to_le_bytes());
    block.iter().copied().cycle().take(usize::try_from(count).unwrap_or(0)).collect()
}

pub(crate) fn digest(algorithm: HashAlgorithm, message: &[u8]) -> Vec<u8> {
    match algorithm {
        HashAlgorithm::Sha256 => Sha256::digest(message).to_vec(),
        HashAlgorithm::Sha384 => Sha384::digest(message).to_vec(),
        HashAlgorithm::Sha512 => Sha512::digest(message).to_vec(),
    }
}

/// Not in constant time: there is nobody to hide from in a test.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    left == right
}

fn finish(mac: impl Mac, message: &[u8]) -> Vec<u8> {
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231_case_2() {
        let code = import_key(b"Jefe").hmac(HashAlgorithm::Sha256, b"what do ya want for nothing?");

        assert_eq!(code.first_chunk(), Some(&[0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]));
    }
}
