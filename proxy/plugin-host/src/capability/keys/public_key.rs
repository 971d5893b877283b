//! One public key of a JSON Web Key Set (RFC 7517, 7518, 8037), parsed once.

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::abi::imports::keys::SignatureAlgorithm as Algorithm;
use crate::code_cache::Digest;

/// Bits a modulus may have. Shorter ones are no protection, longer ones a burden.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Bytes of a public exponent; more make verification slow, and nobody has more.
const EXPONENT_BYTES: usize = 4;
/// Bytes of a key's id.
pub(super) const ID_BYTES: usize = 256;

/// A public key, ready to verify with.
pub(super) struct PublicKey {
    /// What tokens call it.
    pub(super) id: Option<String>,
    /// A digest of the key, its id and its uses: equal keys are the same.
    pub(super) fingerprint: Digest,
    /// One verifier for each algorithm it may be used with.
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

/// What is wrong with a member of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwkProblem {
    /// It is missing or no base64url.
    #[error("member `{0}` is missing or no base64url")]
    Member(&'static str),
    /// An RSA key is too weak or too large.
    #[error("an RSA key has 2048 to 8192 bits and an exponent of at most 32, not {0} bits")]
    RsaSize(usize),
    /// The numbers are no key.
    #[error("this is no point or number of the kind `{0}`")]
    Value(&'static str),
    /// The id is too long to be kept.
    #[error("its `kid` is longer than {ID_BYTES} bytes")]
    Id,
}

impl PublicKey {
    /// Parses a key; nothing where it is of a kind or for a use that is none of ours,
    /// as symmetric keys and keys for encryption are.
    pub(super) fn parse(jwk: &Value) -> Result<Option<Self>, JwkProblem> {
        if !is_for_verifying(jwk) {
            return Ok(None);
        }
        let Some(kind) = Kind::of(jwk) else { return Ok(None) };
        let algorithms = match text(jwk, "alg") {
            None => kind.algorithms().to_vec(),
            Some(only) => kind.algorithms().iter().copied().filter(|it| named(*it, only)).collect(),
        };
        let material = kind.material(jwk)?;
        let parse = |algorithm: &Algorithm| Ok((*algorithm, material.verifier(*algorithm)?));
        let verifiers = algorithms.iter().map(parse).collect::<Result<Vec<_>, JwkProblem>>()?;
        if verifiers.is_empty() {
            return Ok(None);
        }
        let id = text(jwk, "kid").map(str::to_owned);
        if id.as_ref().is_some_and(|id| id.len() > ID_BYTES) {
            return Err(JwkProblem::Id);
        }
        let fingerprint = fingerprint(id.as_deref(), &algorithms, &material);
        Ok(Some(Self { id, fingerprint, verifiers }))
    }

    /// Whether it may be used with this algorithm.
    pub(super) fn suits(&self, algorithm: Algorithm) -> bool {
        self.verifiers.iter().any(|(suited, _)| *suited == algorithm)
    }

    /// Whether it made this signature, by this algorithm.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> bool {
        let mut verifiers = self.verifiers.iter();
        verifiers
            .find(|(suited, _)| *suited == algorithm)
            .is_some_and(|(_, key)| key.verify_sig(message, signed).is_ok())
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn text<'a>(jwk: &'a Value, member: &str) -> Option<&'a str> {
    jwk.get(member).and_then(Value::as_str)
}

/// Whether `use` and `key_ops`, where they are given, say that it verifies signatures.
fn is_for_verifying(jwk: &Value) -> bool {
    let used = jwk.get("use").is_none_or(|usage| usage == "sig");
    let verifies = |operations: &Value| {
        operations.as_array().is_some_and(|listed| listed.iter().any(|it| it == "verify"))
    };
    used && jwk.get("key_ops").is_none_or(verifies)
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

/// The numbers of a key.
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An uncompressed point, or the 32 bytes of an Ed25519 key.
    Point(Vec<u8>),
}

impl Kind {
    fn of(jwk: &Value) -> Option<Self> {
        match (text(jwk, "kty")?, text(jwk, "crv")) {
            ("RSA", _) => Some(Self::Rsa),
            ("EC", Some("P-256")) => Some(Self::P256),
            ("EC", Some("P-384")) => Some(Self::P384),
            ("EC", Some("P-521")) => Some(Self::P521),
            ("OKP", Some("Ed25519")) => Some(Self::Ed25519),
            _ => None,
        }
    }

    fn algorithms(self) -> &'static [Algorithm] {
        use Algorithm as A;
        match self {
            Self::Rsa => &[A::Rs256, A::Rs384, A::Rs512, A::Ps256, A::Ps384, A::Ps512],
            Self::P256 => &[A::Es256],
            Self::P384 => &[A::Es384],
            Self::P521 => &[A::Es512],
            Self::Ed25519 => &[A::Eddsa],
        }
    }

    fn material(self, jwk: &Value) -> Result<Material, JwkProblem> {
        let bytes = |member: &'static str| {
            text(jwk, member)
                .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
                .ok_or(JwkProblem::Member(member))
        };
        let point = |bytes_each: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if (x.len(), y.len()) != (bytes_each, bytes_each) {
                return Err(JwkProblem::Value("EC"));
            }
            Ok(Material::Point([&[0x04], x.as_slice(), y.as_slice()].concat()))
        };
        match self {
            Self::Rsa => rsa(&bytes("n")?, &bytes("e")?),
            Self::P256 => point(32),
            Self::P384 => point(48),
            Self::P521 => point(66),
            Self::Ed25519 => Ok(Material::Point(bytes("x")?)),
        }
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Material, JwkProblem> {
    // Some write the sign that ASN.1 has in front of a number.
    let bare = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number.get(zeros..).unwrap_or_default().to_vec()
    };
    let (modulus, exponent) = (bare(modulus), bare(exponent));
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - unused;
    if !RSA_BITS.contains(&bits) || exponent.len() > EXPONENT_BYTES {
        return Err(JwkProblem::RsaSize(bits));
    }
    Ok(Material::Rsa { modulus, exponent })
}

impl Material {
    fn verifier(&self, algorithm: Algorithm) -> Result<ParsedPublicKey, JwkProblem> {
        match self {
            Self::Rsa { modulus, exponent } => {
                let components = RsaPublicKeyComponents { n: modulus, e: exponent };
                rsa_parameters(algorithm)
                    .and_then(|parameters| components.to_parsed_public_key(parameters).ok())
                    .ok_or(JwkProblem::Value("RSA"))
            }
            Self::Point(point) => match ec_algorithm(algorithm) {
                Some(ec) => ParsedPublicKey::new(ec, point).map_err(|_| JwkProblem::Value("EC")),
                None => ParsedPublicKey::new(&signature::ED25519, point)
                    .map_err(|_| JwkProblem::Value("OKP")),
            },
        }
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    use Algorithm as A;
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

fn ec_algorithm(algorithm: Algorithm) -> Option<&'static EcdsaVerificationAlgorithm> {
    match algorithm {
        Algorithm::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::Es512 => Some(&signature::ECDSA_P521_SHA512_FIXED),
        _ => None,
    }
}

/// Whether an algorithm has this name in `alg` (RFC 7518, 8037, 9864).
fn named(algorithm: Algorithm, name: &str) -> bool {
    use Algorithm as A;
    match algorithm {
        A::Rs256 => name == "RS256",
        A::Rs384 => name == "RS384",
        A::Rs512 => name == "RS512",
        A::Ps256 => name == "PS256",
        A::Ps384 => name == "PS384",
        A::Ps512 => name == "PS512",
        A::Es256 => name == "ES256",
        A::Es384 => name == "ES384",
        A::Es512 => name == "ES512",
        A::Eddsa => matches!(name, "EdDSA" | "Ed25519"),
    }
}

fn fingerprint(id: Option<&str>, algorithms: &[Algorithm], material: &Material) -> Digest {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(format!("{id:?} {algorithms:?}").as_bytes());
    match material {
        Material::Rsa { modulus, exponent } => {
            part(modulus);
            part(exponent);
        }
        Material::Point(point) => part(point),
    }
    hash.finalize().into()
}
