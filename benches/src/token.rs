//! A key, its JSON Web Key Set, and a token signed with it.

use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
    RsaEncoding, RsaKeyPair, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Who issues the tokens, and for whom.
pub(crate) const ISSUER: &str = "https://login.example.com/";
pub(crate) const AUDIENCE: &str = "orders";

/// The end of the tokens' life, 2100-01-01.
const EXPIRES_AT: u64 = 4_102_444_800;

/// Where an RSA key of 2048 bits has its numbers, in DER (RFC 8017, A.1.1).
const MODULUS: std::ops::Range<usize> = 9..265;
const EXPONENT: std::ops::RangeFrom<usize> = 267..;

/// An algorithm by its name in tokens, and how many bits its key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl Algorithm {
    /// All that are measured.
    pub(crate) const ALL: [Self; 6] =
        [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::Es512, Self::EdDsa];

    /// As tokens write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// A token, and what it is verified with.
pub(crate) struct Token {
    /// As clients send it.
    pub(crate) text: String,
    /// The issuer's JSON Web Key Set.
    pub(crate) key_set: String,
    /// What was signed, and the signature.
    signed: (String, Vec<u8>),
    key: ParsedPublicKey,
}

/// Signs a message.
type Sign = Box<dyn Fn(&[u8]) -> Result<Vec<u8>>>;

/// A new key: what makes a signature, its public half as a JWK, and parsed.
struct Key {
    sign: Sign,
    jwk: Value,
    parsed: ParsedPublicKey,
}

impl Token {
    /// A token as providers issue them, some 500 bytes of claims, by a new key of 2048
    /// bits or on the algorithm's curve.
    pub(crate) fn issue(algorithm: Algorithm) -> Result<Self> {
        let key = Key::generate(algorithm)?;
        let mut jwk = key.jwk;
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), json!("one"));
            members.insert("use".to_owned(), json!("sig"));
            members.insert("alg".to_owned(), json!(algorithm.name()));
        }
        let header = json!({ "alg": algorithm.name(), "kid": "one", "typ": "JWT" });
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "3f0a6c1e-9a53-4f57-8a9e-2f4f5c2b7a10",
            "exp": EXPIRES_AT, "iat": 1_767_323_045, "nbf": 1_767_323_045,
            "jti": "0d7d4f0e-4d0a-4f7a-9d55-6a9a4f1a2b3c", "client_id": "shop-frontend",
            "scope": "orders:read orders:write profile email", "email": "alice@example.com",
            "email_verified": true, "name": "Alice Example", "locale": "en-GB",
            "groups": ["staff", "orders", "north"], "tenant": "acme",
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = (key.sign)(message.as_bytes())?;
        Ok(Self {
            text: format!("{message}.{}", URL_SAFE_NO_PAD.encode(&signature)),
            key_set: json!({ "keys": [jwk] }).to_string(),
            signed: (message, signature),
            key: key.parsed,
        })
    }

    /// Verifies the signature as the host does: with a parsed key, and nothing else.
    pub(crate) fn verify(&self) -> bool {
        let (message, signature) = &self.signed;
        self.key.verify_sig(message.as_bytes(), signature).is_ok()
    }
}

impl Key {
    fn generate(algorithm: Algorithm) -> Result<Self> {
        match algorithm {
            Algorithm::Rs256 => {
                Self::rsa(&signature::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256)
            }
            Algorithm::Ps256 => {
                Self::rsa(&signature::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256)
            }
            Algorithm::Es256 => Self::curve(
                "P-256",
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                &signature::ECDSA_P256_SHA256_FIXED,
            ),
            Algorithm::Es384 => Self::curve(
                "P-384",
                &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                &signature::ECDSA_P384_SHA384_FIXED,
            ),
            Algorithm::Es512 => Self::curve(
                "P-521",
                &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
                &signature::ECDSA_P521_SHA512_FIXED,
            ),
            Algorithm::EdDsa => Self::edwards(),
        }
    }

    fn rsa(
        encoding: &'static dyn RsaEncoding,
        verifies: &'static dyn VerificationAlgorithm,
    ) -> Result<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no RSA key"))?;
        let public = pair.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = public
            .as_ref()
            .get(MODULUS)
            .zip(public.as_ref().get(EXPONENT))
            .map(|(n, e)| (number(n), number(e)))
            .ok_or_else(|| anyhow!("a short key"))?;
        let parsed = parsed(verifies, public.as_ref())?;
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                .map_err(|_| anyhow!("no signature"))?;
            Ok(signature)
        };
        Ok(Self { sign: Box::new(sign), jwk: json!({ "kty": "RSA", "n": n, "e": e }), parsed })
    }

    fn curve(
        crv: &str,
        signs: &'static EcdsaSigningAlgorithm,
        verifies: &'static dyn VerificationAlgorithm,
    ) -> Result<Self> {
        let pair = EcdsaKeyPair::generate(signs).map_err(|_| anyhow!("no key on {crv}"))?;
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = point
            .get(1..)
            .and_then(|both| both.split_at_checked(both.len() / 2))
            .ok_or_else(|| anyhow!("an empty point"))?;
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({ "kty": "EC", "crv": crv, "x": number(x), "y": number(y) });
        let parsed = parsed(verifies, &point)?;
        let sign = move |message: &[u8]| {
            let signature = pair.sign(&SystemRandom::new(), message);
            Ok(signature.map_err(|_| anyhow!("no signature"))?.as_ref().to_vec())
        };
        Ok(Self { sign: Box::new(sign), jwk, parsed })
    }

    fn edwards() -> Result<Self> {
        let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("no Ed25519 key"))?;
        let point = pair.public_key().as_ref().to_vec();
        let x = URL_SAFE_NO_PAD.encode(&point);
        let parsed = parsed(&signature::ED25519, &point)?;
        Ok(Self {
            sign: Box::new(move |message| Ok(pair.sign(message).as_ref().to_vec())),
            jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
            parsed,
        })
    }
}

fn parsed(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Result<ParsedPublicKey> {
    ParsedPublicKey::new(algorithm, bytes).map_err(|_| anyhow!("a key that is none"))
}
