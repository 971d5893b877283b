//! The keys of one issuer, from its JSON Web Key Set (RFC 7517).

use serde_json::Value;

use super::parse_json;
use super::public_key::{JwkProblem, PublicKey};
use crate::abi::imports::keys::{KeyError, SignatureAlgorithm};

/// Keys a set may have.
const KEYS: usize = 100;
/// Keys of one id that a signature is tried with.
const SAME_ID: usize = 4;

/// The keys of one issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<PublicKey>,
}

/// A signature to judge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    /// The key it names.
    pub(super) key_id: Option<&'a str>,
    /// The algorithm it claims.
    pub(super) algorithm: SignatureAlgorithm,
    /// What is signed.
    pub(super) message: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
}

/// Why a key set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeySetProblem {
    /// The text is no JSON, or ambiguous.
    #[error("no JSON: {0}")]
    Json(String),
    /// The document has no `keys` array.
    #[error("a JSON Web Key Set has a member `keys`, an array")]
    NoKeys,
    /// There are more keys than any issuer needs.
    #[error("it has {0} keys, and {KEYS} are the most")]
    TooMany(usize),
    /// A key cannot be used.
    #[error("key {index}: {problem}")]
    Key {
        /// Which key, from 0.
        index: usize,
        /// Why.
        problem: JwkProblem,
    },
    /// Nothing in the set can verify a signature here.
    #[error("no key of the set can be used here (RSA, P-256, P-384, P-521 and Ed25519 can)")]
    NothingUsable,
}

impl KeySet {
    /// Parses a set that the operator gave, of which each key should be of use; those of
    /// kinds that cannot be used here are passed over.
    pub(crate) fn parse(jwks: &Value) -> Result<Self, KeySetProblem> {
        let (set, problem) = Self::parse_what_can_be(jwks)?;
        match problem {
            Some(problem) => Err(problem),
            None if set.keys.is_empty() => Err(KeySetProblem::NothingUsable),
            None => Ok(set),
        }
    }

    /// As [`parse`](Self::parse), from a text that the operator gave.
    pub(crate) fn parse_text(text: &[u8]) -> Result<Self, KeySetProblem> {
        let jwks = parse_json(text);
        Self::parse(&jwks.map_err(|problem| KeySetProblem::Json(problem.to_string()))?)
    }

    /// Parses a set that somebody else gave: what is wrong with one of its keys is told
    /// and does not spoil the others.
    pub(super) fn parse_what_can_be(
        jwks: &Value,
    ) -> Result<(Self, Option<KeySetProblem>), KeySetProblem> {
        let listed = jwks.get("keys").and_then(Value::as_array).ok_or(KeySetProblem::NoKeys)?;
        if listed.len() > KEYS {
            return Err(KeySetProblem::TooMany(listed.len()));
        }
        let (mut keys, mut first) = (Vec::new(), None);
        for (index, jwk) in listed.iter().enumerate() {
            match PublicKey::parse(jwk) {
                Ok(key) => keys.extend(key),
                Err(problem) => {
                    first.get_or_insert(KeySetProblem::Key { index, problem });
                }
            }
        }
        Ok((Self { keys }, first))
    }

    /// Keys that can be used.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether a key of this set is not in another.
    pub(super) fn has_more_than(&self, other: &Self) -> bool {
        let is_there =
            |key: &PublicKey| other.keys.iter().any(|it| it.fingerprint == key.fingerprint);
        !self.keys.iter().all(is_there)
    }

    /// Judges a signature.
    pub(super) fn verify(&self, signed: Signed<'_>) -> Result<bool, KeyError> {
        let suits = |key: &&PublicKey| key.suits(signed.algorithm);
        let verifies =
            |key: &PublicKey| key.verifies(signed.algorithm, signed.message, signed.signature);
        let Some(id) = signed.key_id else {
            let mut suited = self.keys.iter().filter(suits);
            return match (suited.next(), suited.next()) {
                (Some(key), None) => Ok(verifies(key)),
                // Without an id, several keys would have to be guessed between.
                _ => Err(KeyError::UnknownKey),
            };
        };
        let mut named = self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).peekable();
        if named.peek().is_none() {
            return Err(KeyError::UnknownKey);
        }
        let mut suited = named.filter(suits).take(SAME_ID).peekable();
        if suited.peek().is_none() {
            return Err(KeyError::WrongKeyType);
        }
        Ok(suited.any(verifies))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{self as sign, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ES256: SignatureAlgorithm = SignatureAlgorithm::Es256;

    fn encoded(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A key on a curve, and its signature of `hello`.
    fn ec(algorithm: &'static sign::EcdsaSigningAlgorithm, crv: &str) -> (Value, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let point = pair.public_key().as_ref();
        let half = (point.len() - 1) / 2;
        let (x, y) = (encoded(&point[1..=half]), encoded(&point[1 + half..]));
        let jwk = json!({"kty": "EC", "crv": crv, "kid": "one", "x": x, "y": y});
        (jwk, pair.sign(&SystemRandom::new(), b"hello").unwrap().as_ref().to_vec())
    }

    fn p256() -> (Value, Vec<u8>) {
        ec(&sign::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(&json!({ "keys": keys })).unwrap()
    }

    fn judge(
        set: &KeySet,
        key_id: Option<&str>,
        algorithm: SignatureAlgorithm,
        signature: &[u8],
    ) -> Result<bool, KeyError> {
        set.verify(Signed { key_id, algorithm, message: b"hello", signature })
    }

    #[test]
    fn a_signature_holds_only_for_its_message_key_and_algorithm() {
        let (jwk, signature) = p256();
        let keys = set(&[jwk]);

        assert_eq!(judge(&keys, Some("one"), ES256, &signature).ok(), Some(true));
        assert_eq!(judge(&keys, None, ES256, &signature).ok(), Some(true));
        let other = Signed {
            key_id: Some("one"),
            algorithm: ES256,
            message: b"hallo",
            signature: &signature,
        };
        assert_eq!(keys.verify(other).ok(), Some(false));
        assert!(matches!(judge(&keys, Some("two"), ES256, &signature), Err(KeyError::UnknownKey)));
        let rs256 = SignatureAlgorithm::Rs256;
        let wrong = judge(&keys, Some("one"), rs256, &signature);
        assert!(matches!(wrong, Err(KeyError::WrongKeyType)));
    }

    #[test]
    fn every_curve_verifies_what_was_signed_on_it() {
        let curves = [
            (&sign::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", ES256),
            (&sign::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", SignatureAlgorithm::Es384),
            (&sign::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521", SignatureAlgorithm::Es512),
        ];
        for (signing, crv, algorithm) in curves {
            let (jwk, mut signature) = ec(signing, crv);
            let keys = set(&[jwk]);
            assert_eq!(judge(&keys, None, algorithm, &signature).ok(), Some(true), "{crv}");
            signature[10] ^= 1;
            assert_eq!(judge(&keys, None, algorithm, &signature).ok(), Some(false), "{crv}");
        }
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = encoded(pair.public_key().as_ref());
        let keys = set(&[json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA"})]);
        let signature = pair.sign(b"hello");
        let eddsa = SignatureAlgorithm::Eddsa;
        assert_eq!(judge(&keys, None, eddsa, signature.as_ref()).ok(), Some(true));
    }

    #[test]
    fn an_rsa_key_is_for_what_its_members_say() {
        let pair = sign::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        // Two numbers in DER: after 9 bytes the modulus, after 2 more the exponent.
        let public = pair.public_key().as_ref();
        let (n, e) = (encoded(&public[9..265]), encoded(&public[267..]));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&sign::RSA_PSS_SHA256, &SystemRandom::new(), b"hello", &mut signature).unwrap();
        let ps256 = SignatureAlgorithm::Ps256;
        let judge_with = |more: Value| {
            let mut jwk = json!({"kty": "RSA", "n": n, "e": e, "kid": "one"});
            jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            match KeySet::parse(&json!({ "keys": [jwk] })) {
                Ok(keys) => {
                    judge(&keys, Some("one"), ps256, &signature).map_err(|it| it.to_string())
                }
                Err(problem) => Err(problem.to_string()),
            }
        };

        assert_eq!(judge_with(json!({})), Ok(true));
        assert_eq!(judge_with(json!({"alg": "PS256", "use": "sig"})), Ok(true));
        assert_eq!(judge_with(json!({"key_ops": ["verify"]})), Ok(true));
        let wrong = KeyError::WrongKeyType.to_string();
        assert_eq!(judge_with(json!({"alg": "RS256"})), Err(wrong));
        let nothing = KeySetProblem::NothingUsable.to_string();
        for more in [
            json!({"use": "enc"}),
            json!({"key_ops": ["encrypt"]}),
            json!({"alg": "RSA-OAEP"}),
            json!({"alg": "ES256"}),
            json!({"alg": "HS256"}),
        ] {
            assert_eq!(judge_with(more), Err(nothing.clone()));
        }
    }

    #[test]
    fn one_id_may_be_that_of_several_keys() {
        let ((first, _), (second, signature)) = (p256(), p256());
        let keys = set(&[first, second]);

        assert_eq!(judge(&keys, Some("one"), ES256, &signature).ok(), Some(true));
        assert!(matches!(judge(&keys, None, ES256, &signature), Err(KeyError::UnknownKey)));
    }

    #[test]
    fn a_set_without_usable_keys_is_refused() {
        let problem = |jwks| KeySet::parse(&jwks).unwrap_err();
        let key = |index, problem| KeySetProblem::Key { index, problem };

        assert_eq!(problem(json!({})), KeySetProblem::NoKeys);
        let secret = json!({"keys": [{"kty": "oct", "k": "AA"}]});
        assert_eq!(problem(secret), KeySetProblem::NothingUsable);
        let bad = json!({"keys": [{"kty": "RSA", "n": "AQAB"}]});
        assert_eq!(problem(bad), key(0, JwkProblem::Member("e")));
        let weak = json!({"keys": [{"kty": "RSA", "n": encoded(&[0xff; 128]), "e": "AQAB"}]});
        assert_eq!(problem(weak), key(0, JwkProblem::RsaSize(1024)));
        let mut off_the_curve = p256().0;
        off_the_curve["y"] = off_the_curve["x"].clone();
        assert_eq!(problem(json!({"keys": [off_the_curve]})), key(0, JwkProblem::Value("EC")));
        let many = vec![json!({}); KEYS + 1];
        assert_eq!(problem(json!({ "keys": many })), KeySetProblem::TooMany(KEYS + 1));
    }

    #[test]
    fn one_broken_key_of_an_issuer_does_not_spoil_the_others() {
        let (good, signature) = p256();
        let jwks = json!({"keys": [{"kty": "RSA"}, good]});

        let (keys, problem) = KeySet::parse_what_can_be(&jwks).unwrap();

        assert_eq!(judge(&keys, Some("one"), ES256, &signature).ok(), Some(true));
        assert!(problem.is_some());
    }

    #[test]
    fn a_key_that_is_gone_is_noticed() {
        let ((one, _), (two, _)) = (p256(), p256());
        let (both, first) = (set(&[one.clone(), two]), set(&[one]));

        assert!(both.has_more_than(&first));
        assert!(!first.has_more_than(&both));
        assert!(!both.has_more_than(&both));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_set_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = KeySet::parse_text(&bytes);
        }

        #[test]
        fn any_members_are_a_key_or_none(
            kty in "RSA|EC|OKP|oct|.{0,4}",
            crv in "P-256|P-384|P-521|Ed25519|X25519|.{0,4}",
            numbers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1100), 4),
            alg in proptest::option::of("RS256|ES256|EdDSA|none|.{0,6}"),
        ) {
            let [n, e, x, y] = [0, 1, 2, 3].map(|at: usize| encoded(&numbers[at]));
            let jwk = json!({"kty": kty, "crv": crv, "n": n, "e": e, "x": x, "y": y, "alg": alg});
            if let Ok((keys, _)) = KeySet::parse_what_can_be(&json!({ "keys": [jwk] })) {
                for algorithm in [ES256, SignatureAlgorithm::Ps512, SignatureAlgorithm::Eddsa] {
                    let _judged = judge(&keys, None, algorithm, &numbers[0]);
                }
            }
        }
    }

    #[test]
    fn fuzz_key_set() {
        let words = &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"keys\":",
            "\"kty\":",
            "\"RSA\"",
            "\"EC\"",
            "\"OKP\"",
            "\"crv\":",
            "\"P-256\"",
            "\"P-521\"",
            "\"Ed25519\"",
            "\"n\":",
            "\"e\":",
            "\"AQAB\"",
            "\"x\":",
            "\"kid\":",
            "\"alg\":",
            "\"use\":",
            "\"sig\"",
            "\"key_ops\":",
            "\\u0041",
            "null",
            "1e999",
            "é",
        ];
        portcullis_fuzz::target!("key-set", words, |input| {
            let parsed = parse_json(input);
            if let Ok(value) = &parsed {
                // A laxer reader reads the same, and what is written again reads the same.
                assert_eq!(serde_json::from_slice::<Value>(input).as_ref().ok(), Some(value));
                assert_eq!(parse_json(value.to_string().as_bytes()).as_ref().ok(), Some(value));
            }
            let set = KeySet::parse_text(input);
            assert!(set.is_err() || parsed.is_ok());
            if let Ok(set) = set {
                assert!(set.len() > 0 && !set.has_more_than(&set));
            }
        });
    }
}
