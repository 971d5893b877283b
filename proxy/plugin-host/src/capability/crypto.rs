//! `crypto`: hashes, HMACs whose output may stay here, constant-time comparison.

use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{aead, digest, hkdf, hmac};
use subtle::ConstantTimeEq as _;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use crate::abi::imports::crypto::{HashAlgorithm, Host, HostKey};
use crate::state::State;

/// Bytes that one call of `random` may ask for.
const MOST_RANDOM: u32 = 1024;
/// Bytes of one key, its prefix included: a guest may hold as many keys as handles, and
/// they are no part of its `memory`.
const MOST_KEY: usize = 4 << 10;

/// Secret bytes that a key has at the least which seals.
const LEAST_TO_SEAL: usize = 32;

/// Key bytes that a guest holds by a handle only.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Key {
    bytes: Zeroizing<Vec<u8>>,
    /// How many of them nobody knows, at the most.
    secret: usize,
    /// The secret that it was made of, by its name.
    name: Option<String>,
}

/// A key that is too short to seal, and what it was made of.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} has {secret} bytes, and a key that seals is made of {LEAST_TO_SEAL}: openssl rand -hex 32",
    name.as_ref().map_or_else(|| "a key's secret".to_owned(), |name| format!("the secret `{name}`"))
)]
pub(crate) struct ShortKey {
    name: Option<String>,
    secret: usize,
}

impl Key {
    /// Takes the bytes, behind a prefix. A longer key than [`MOST_KEY`] is a fault.
    pub(crate) fn prefixed(prefix: &[u8], bytes: &[u8]) -> wasmtime::Result<Self> {
        let length = prefix.len().saturating_add(bytes.len());
        if length > MOST_KEY {
            wasmtime::bail!("a key of {length} bytes: one has at most {MOST_KEY}");
        }
        let (secret, bytes) = (bytes.len(), Zeroizing::new([prefix, bytes].concat()));
        Ok(Self { bytes, secret, name: None })
    }

    /// The same, known to be made of the secret of this name.
    pub(crate) fn named(self, name: String) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Encrypts: the nonce, then the sealed bytes with their tag.
    fn seal(&self, plain: Vec<u8>, associated: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let mut nonce = [0; aead::NONCE_LEN];
        fill(&mut nonce)?;
        let mut bytes = plain;
        let tag = self.sealing_key()?.seal_in_place_separate_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(associated),
            &mut bytes,
        );
        let tag = tag.map_err(|_| wasmtime::format_err!("too long to seal"))?;
        Ok([&nonce, bytes.as_slice(), tag.as_ref()].concat())
    }

    fn open(&self, sealed: Vec<u8>, associated: &[u8]) -> wasmtime::Result<Option<Vec<u8>>> {
        let Some((nonce, rest)) = sealed.split_first_chunk::<{ aead::NONCE_LEN }>() else {
            return Ok(None);
        };
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let mut bytes = rest.to_vec();
        let opened =
            self.sealing_key()?.open_in_place(nonce, aead::Aad::from(associated), &mut bytes);
        Ok(opened.ok().map(|plain| plain.to_vec()))
    }

    /// The key for sealing, derived so that it is never the one of an HMAC (RFC 5869).
    fn sealing_key(&self) -> wasmtime::Result<aead::LessSafeKey> {
        if self.secret < LEAST_TO_SEAL {
            return Err(ShortKey { name: self.name.clone(), secret: self.secret }.into());
        }
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.bytes);
        let derived = secret.expand(&[b"portcullis seal"], &aead::AES_256_GCM);
        let derived = derived.map_err(|_| wasmtime::format_err!("no key of this length"))?;
        Ok(aead::LessSafeKey::new(derived.into()))
    }

    fn hmac(&self, algorithm: HashAlgorithm, message: &[u8]) -> hmac::Tag {
        let algorithm = match algorithm {
            HashAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HashAlgorithm::Sha384 => hmac::HMAC_SHA384,
            HashAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, &self.bytes), message)
    }

    /// An HMAC as a key, which is no harder to guess than this one.
    fn derive(&self, algorithm: HashAlgorithm, message: &[u8]) -> Self {
        let tag = self.hmac(algorithm, message);
        let bytes = Zeroizing::new(tag.as_ref().to_vec());
        let secret = self.secret.min(bytes.len());
        Self { bytes, secret, name: self.name.clone() }
    }

    /// Whether an HMAC is the one expected, told in constant time.
    pub(crate) fn verifies(
        &self,
        algorithm: HashAlgorithm,
        message: &[u8],
        expected: &[u8],
    ) -> bool {
        equal(self.hmac(algorithm, message).as_ref(), expected)
    }
}

/// Fills with unpredictable bytes.
fn fill(bytes: &mut [u8]) -> wasmtime::Result<()> {
    let drawn = SystemRandom::new().fill(bytes);
    drawn.map_err(|_| wasmtime::format_err!("the system gives no randomness"))
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

impl Host for State {
    fn import_key(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Resource<Key>> {
        if !self.is_serving() {
            wasmtime::bail!(
                "`crypto.import-key` during `configure`: an image would not have the key"
            );
        }
        Ok(self.table.push(Key::prefixed(&[], &bytes)?)?)
    }

    fn random(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        if !self.is_serving() {
            wasmtime::bail!("`crypto.random` during `configure`: an image would repeat it");
        }
        let mut bytes = vec![0; usize::try_from(count.min(MOST_RANDOM))?];
        fill(&mut bytes)?;
        Ok(bytes)
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
    fn seal(
        &mut self,
        key: Resource<Key>,
        plain: Vec<u8>,
        associated: Vec<u8>,
    ) -> wasmtime::Result<Vec<u8>> {
        self.table.get(&key)?.seal(plain, &associated)
    }

    fn open(
        &mut self,
        key: Resource<Key>,
        sealed: Vec<u8>,
        associated: Vec<u8>,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        self.table.get(&key)?.open(sealed, &associated)
    }

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
        let derived = self.table.get(&key)?.derive(algorithm, &message);
        Ok(self.table.push(derived)?)
    }

    fn verify(
        &mut self,
        key: Resource<Key>,
        algorithm: HashAlgorithm,
        message: Vec<u8>,
        expected: Vec<u8>,
    ) -> wasmtime::Result<bool> {
        Ok(self.table.get(&key)?.verifies(algorithm, &message, &expected))
    }

    fn drop(&mut self, key: Resource<Key>) -> wasmtime::Result<()> {
        self.table.delete(key)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PLAIN: &[u8] = b"sub=alice";

    const SECRET: &[u8; 32] = b"a secret of as many bytes as AES";

    fn key() -> Key {
        Key::prefixed(b"", SECRET).unwrap()
    }

    fn open(key: &Key, sealed: &[u8], associated: &[u8]) -> Option<Vec<u8>> {
        key.open(sealed.to_vec(), associated).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_associated_bytes() {
        let sealed = key().seal(PLAIN.to_vec(), b"session").unwrap();

        assert_eq!(open(&key(), &sealed, b"session").as_deref(), Some(PLAIN));
        assert_eq!(open(&key(), &sealed, b"login"), None);
        assert_eq!(open(&key(), &sealed, b""), None);
        let other = Key::prefixed(b"", &SECRET.to_ascii_uppercase()).unwrap();
        assert_eq!(open(&other, &sealed, b"session"), None);
        let prefixed = Key::prefixed(b"A", SECRET).unwrap();
        assert_eq!(open(&prefixed, &sealed, b"session"), None);
        assert!(!sealed.windows(5).any(|part| part == b"alice"));
        let nothing = key().seal(Vec::new(), b"").unwrap();
        assert_eq!(open(&key(), &nothing, b"").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn no_bit_of_what_is_sealed_can_be_changed() {
        let sealed = key().seal(PLAIN.to_vec(), b"session").unwrap();

        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key(), &changed, b"session"), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(open(&key(), &sealed[..length], b"session"), None, "{length} bytes");
        }
        let longer = [sealed.as_slice(), b"\0"].concat();
        assert_eq!(open(&key(), &longer, b"session"), None);
    }

    #[test]
    fn no_nonce_is_drawn_twice() {
        let nonce = |_| {
            let sealed = key().seal(PLAIN.to_vec(), b"").unwrap();
            sealed[..aead::NONCE_LEN].to_vec()
        };
        let nonces: HashSet<Vec<u8>> = (0..2000).map(nonce).collect();

        assert_eq!(nonces.len(), 2000);
    }

    #[test]
    fn a_key_with_its_prefix_is_bounded() {
        let long = vec![1; MOST_KEY];

        assert!(Key::prefixed(b"", &long).is_ok());
        assert!(Key::prefixed(&long, b"").is_ok());
        let refused = Key::prefixed(b"A", &long).err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some("a key of 4097 bytes: one has at most 4096"));
    }

    #[test]
    fn a_sealing_key_is_no_hmac_of_its_secret() {
        let tag = key().hmac(HashAlgorithm::Sha256, b"portcullis seal");
        let sealed = key().seal(PLAIN.to_vec(), b"").unwrap();

        assert_eq!(open(&Key::prefixed(b"", tag.as_ref()).unwrap(), &sealed, b""), None);
    }

    #[test]
    fn a_key_of_few_secret_bytes_neither_seals_nor_opens() {
        let sealed = key().seal(PLAIN.to_vec(), b"").unwrap();
        let keys = [
            Key::prefixed(b"", b"key").unwrap(),
            Key::prefixed(b"", &SECRET[1..]).unwrap(),
            // A prefix makes no secret longer, nor does deriving.
            Key::prefixed(SECRET, b"key").unwrap(),
            Key::prefixed(b"", b"key").unwrap().derive(HashAlgorithm::Sha512, b"more"),
        ];
        for (key, bytes) in keys.into_iter().zip([3, 31, 3, 3]) {
            let key = key.named("session-key".to_owned());
            let expected = format!(
                "the secret `session-key` has {bytes} bytes, and a key that seals is made of 32: \
                 openssl rand -hex 32"
            );
            let refused = key.seal(PLAIN.to_vec(), b"").unwrap_err();
            assert_eq!(refused.to_string(), expected);
            let short = ShortKey { name: Some("session-key".to_owned()), secret: bytes };
            assert_eq!(refused.downcast_ref(), Some(&short));
            assert!(key.open(sealed.clone(), b"").is_err());
        }
        let derived = key().derive(HashAlgorithm::Sha512, b"more");
        assert!(derived.seal(PLAIN.to_vec(), b"").is_ok());
        let unnamed = Key::prefixed(b"", b"").unwrap().seal(PLAIN.to_vec(), b"").unwrap_err();
        assert!(unnamed.to_string().starts_with("a key's secret has 0 bytes"), "{unnamed}");
    }
}
