//! Signature algorithms (RFC 7518, RFC 8037), and which go together.

use portcullis_plugin_sdk::crypto::HashAlgorithm;
use portcullis_plugin_sdk::keys::SignatureAlgorithm;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::refusal::Refusal;

/// A signature algorithm, as `alg` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    Eddsa,
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// How a signature is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With a public key of the issuer.
    PublicKey(SignatureAlgorithm),
    /// With a secret that issuer and gateway share.
    Secret(HashAlgorithm),
}

impl Algorithm {
    /// What issuers with public keys may use where the settings do not say.
    pub const BY_KEYS: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Eddsa,
    ];

    /// Reads `alg`; names are case-sensitive.
    ///
    /// # Errors
    ///
    /// Where it is `none`, or no algorithm known here.
    pub fn named(name: &str) -> Result<Self, Refusal> {
        Ok(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            // RFC 9864 names the curve.
            "EdDSA" | "Ed25519" => Self::Eddsa,
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            none if none.eq_ignore_ascii_case("none") => return Err(Refusal::Unsigned),
            _ => return Err(Refusal::UnknownAlgorithm),
        })
    }

    /// How its signatures are verified.
    pub fn kind(self) -> Kind {
        use SignatureAlgorithm as S;
        match self {
            Self::Rs256 => Kind::PublicKey(S::Rs256),
            Self::Rs384 => Kind::PublicKey(S::Rs384),
            Self::Rs512 => Kind::PublicKey(S::Rs512),
            Self::Ps256 => Kind::PublicKey(S::Ps256),
            Self::Ps384 => Kind::PublicKey(S::Ps384),
            Self::Ps512 => Kind::PublicKey(S::Ps512),
            Self::Es256 => Kind::PublicKey(S::Es256),
            Self::Es384 => Kind::PublicKey(S::Es384),
            Self::Es512 => Kind::PublicKey(S::Es512),
            Self::Eddsa => Kind::PublicKey(S::Eddsa),
            Self::Hs256 => Kind::Secret(HashAlgorithm::Sha256),
            Self::Hs384 => Kind::Secret(HashAlgorithm::Sha384),
            Self::Hs512 => Kind::Secret(HashAlgorithm::Sha512),
        }
    }

    /// The hash function within it; of Ed25519, SHA-512.
    pub fn hash(self) -> HashAlgorithm {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 | Self::Hs256 => HashAlgorithm::Sha256,
            Self::Rs384 | Self::Ps384 | Self::Es384 | Self::Hs384 => HashAlgorithm::Sha384,
            Self::Rs512 | Self::Ps512 | Self::Es512 | Self::Hs512 | Self::Eddsa => {
                HashAlgorithm::Sha512
            }
        }
    }

    /// Bytes that the hash function within it gives.
    pub fn hash_bytes(self) -> u32 {
        match self.hash() {
            HashAlgorithm::Sha256 => 32,
            HashAlgorithm::Sha384 => 48,
            HashAlgorithm::Sha512 => 64,
        }
    }

    /// Whether a signature can be this long, in bytes. What cannot is not worth a call of
    /// the host, and an HMAC cut short is none.
    pub fn fits(self, length: usize) -> bool {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                (256..=1024).contains(&length)
            }
            Self::Es256 | Self::Eddsa | Self::Hs512 => length == 64,
            Self::Es384 => length == 96,
            Self::Es512 => length == 132,
            Self::Hs256 => length == 32,
            Self::Hs384 => length == 48,
        }
    }
}
