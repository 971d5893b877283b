//! `keys`: issuers' public keys, parsed at load, verifying at native speed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature;

use crate::abi::imports::keys::{Host, KeyError, SignatureAlgorithm};
use crate::state::State;

/// The keys of one issuer, from its JSON Web Key Set (RFC 7517).
#[derive(Debug, Default)]
pub(crate) struct IssuerKeySet {
    keys: Vec<PublicKey>,
}

#[derive(Debug)]
struct PublicKey {
    id: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The uncompressed point.
    P256(Vec<u8>),
    /// The uncompressed point.
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Why a key set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeySetProblem {
    /// The document has no `keys` array.
    #[error("a JSON Web Key Set has a member `keys`, an array")]
    NoKeys,
    /// A member is missing or no base64url.
    #[error("key {index}: member `{member}` is missing or no base64url")]
    Member {
        /// Which key, from 0.
        index: usize,
        /// Which member.
        member: &'static str,
    },
    /// Nothing in the set can verify a signature here.
    #[error("no key of the set can be used here (RSA, P-256, P-384 and Ed25519 can)")]
    NothingUsable,
}

impl IssuerKeySet {
    /// Parses a key set; keys of kinds that cannot be used here are passed over.
    pub(crate) fn parse(jwks: &serde_json::Value) -> Result<Self, KeySetProblem> {
        let listed =
            jwks.get("keys").and_then(serde_json::Value::as_array).ok_or(KeySetProblem::NoKeys)?;
        let mut keys = Vec::new();
        for (index, jwk) in listed.iter().enumerate() {
            if let Some(material) = material(index, jwk)? {
                let id = jwk.get("kid").and_then(serde_json::Value::as_str).map(str::to_owned);
                keys.push(PublicKey { id, material });
            }
        }
        if keys.is_empty() { Err(KeySetProblem::NothingUsable) } else { Ok(Self { keys }) }
    }

    fn verify(
        &self,
        key_id: Option<&str>,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signed: &[u8],
    ) -> Result<bool, KeyError> {
        let candidates: Vec<&PublicKey> = match key_id {
            Some(id) => self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).collect(),
            None => self.keys.iter().filter(|key| key.material.suits(algorithm)).collect(),
        };
        match candidates.as_slice() {
            [key] if key.material.suits(algorithm) => {
                Ok(key.material.verify(algorithm, message, signed))
            }
            [_] => Err(KeyError::WrongKeyType),
            // Without a key id, several keys would have to be guessed between.
            _ => Err(KeyError::UnknownKey),
        }
    }
}

fn material(index: usize, jwk: &serde_json::Value) -> Result<Option<Material>, KeySetProblem> {
    let text = |member: &str| jwk.get(member).and_then(serde_json::Value::as_str);
    if text("use").is_some_and(|usage| usage != "sig") {
        return Ok(None);
    }
    let bytes = |member: &'static str| {
        text(member)
            .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
            .ok_or(KeySetProblem::Member { index, member })
    };
    let point = || -> Result<Vec<u8>, KeySetProblem> {
        let mut uncompressed = vec![0x04];
        uncompressed.extend(bytes("x")?);
        uncompressed.extend(bytes("y")?);
        Ok(uncompressed)
    };
    Ok(match (text("kty"), text("crv")) {
        (Some("RSA"), _) => Some(Material::Rsa { modulus: bytes("n")?, exponent: bytes("e")? }),
        (Some("EC"), Some("P-256")) => Some(Material::P256(point()?)),
        (Some("EC"), Some("P-384")) => Some(Material::P384(point()?)),
        (Some("OKP"), Some("Ed25519")) => Some(Material::Ed25519(bytes("x")?)),
        _ => None,
    })
}

impl Material {
    fn suits(&self, algorithm: SignatureAlgorithm) -> bool {
        use SignatureAlgorithm as A;
        match self {
            Self::Rsa { .. } => {
                matches!(algorithm, A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512)
            }
            Self::P256(_) => algorithm == A::Es256,
            Self::P384(_) => algorithm == A::Es384,
            Self::Ed25519(_) => algorithm == A::Eddsa,
        }
    }

    fn verify(&self, algorithm: SignatureAlgorithm, message: &[u8], signed: &[u8]) -> bool {
        match self {
            Self::Rsa { modulus, exponent } => rsa(algorithm).is_some_and(|parameters| {
                let components = signature::RsaPublicKeyComponents { n: modulus, e: exponent };
                components.verify(parameters, message, signed).is_ok()
            }),
            Self::P256(point) => {
                unparsed(&signature::ECDSA_P256_SHA256_FIXED, point, message, signed)
            }
            Self::P384(point) => {
                unparsed(&signature::ECDSA_P384_SHA384_FIXED, point, message, signed)
            }
            Self::Ed25519(key) => unparsed(&signature::ED25519, key, message, signed),
        }
    }
}

fn rsa(algorithm: SignatureAlgorithm) -> Option<&'static signature::RsaParameters> {
    use SignatureAlgorithm as A;
    match algorithm {
        A::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        A::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        A::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        A::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        A::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        A::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        A::Es256 | A::Es384 | A::Es512 | A::Eddsa => None,
    }
}

fn unparsed(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signed: &[u8],
) -> bool {
    signature::UnparsedPublicKey::new(algorithm, key).verify(message, signed).is_ok()
}

impl Host for State {
    fn metadata(&mut self, issuer: String) -> wasmtime::Result<Result<String, KeyError>> {
        Ok(Err(match self.issuer(&issuer) {
            None => KeyError::NotGranted,
            Some(_) => KeyError::Unavailable,
        }))
    }

    async fn verify(
        &mut self,
        issuer: String,
        key_id: Option<String>,
        algorithm: SignatureAlgorithm,
        message: Vec<u8>,
        signed: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, KeyError>> {
        Ok(match self.issuer(&issuer) {
            None => Err(KeyError::NotGranted),
            Some(keys) => keys.verify(key_id.as_deref(), algorithm, &message, &signed),
        })
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    fn signed_set() -> (serde_json::Value, Vec<u8>) {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
                .unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "x": x, "y": y}]});
        (jwks, pair.sign(&random, b"hello").unwrap().as_ref().to_vec())
    }

    #[test]
    fn a_signature_holds_only_for_its_message_key_and_algorithm() {
        let (jwks, signed) = signed_set();
        let keys = IssuerKeySet::parse(&jwks).unwrap();

        let es256 = SignatureAlgorithm::Es256;
        assert_eq!(keys.verify(Some("one"), es256, b"hello", &signed).ok(), Some(true));
        assert_eq!(keys.verify(None, es256, b"hello", &signed).ok(), Some(true));
        assert_eq!(keys.verify(Some("one"), es256, b"hallo", &signed).ok(), Some(false));
        assert!(matches!(
            keys.verify(Some("two"), es256, b"hello", &signed),
            Err(KeyError::UnknownKey)
        ));
        let rs256 = SignatureAlgorithm::Rs256;
        assert!(matches!(
            keys.verify(Some("one"), rs256, b"hello", &signed),
            Err(KeyError::WrongKeyType)
        ));
    }

    #[test]
    fn a_set_without_usable_keys_is_refused() {
        let problem = |jwks| IssuerKeySet::parse(&jwks).unwrap_err();

        assert_eq!(problem(json!({})), KeySetProblem::NoKeys);
        assert_eq!(
            problem(json!({"keys": [{"kty": "oct", "k": "AA"}]})),
            KeySetProblem::NothingUsable
        );
        let bad = json!({"keys": [{"kty": "RSA", "n": "AQAB"}]});
        assert_eq!(problem(bad), KeySetProblem::Member { index: 0, member: "e" });
    }
}
