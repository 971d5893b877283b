//! A JSON Web Signature in its compact form (RFC 7515), taken apart and not yet believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::algorithm::Algorithm;
use crate::json::{Json, Object};
use crate::refusal::Refusal;

/// Bytes of the encoded header.
const HEADER_BYTES: usize = 4 << 10;
/// Bytes of a key id.
const KEY_ID_BYTES: usize = 256;

/// The parts of a token, decoded.
#[derive(Debug)]
pub struct Parts<'a> {
    /// What is signed: the first two parts as written.
    pub signed: &'a [u8],
    /// The header's JSON.
    pub header: Vec<u8>,
    /// The claims' JSON.
    pub claims: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// A token, read and not yet believed.
#[derive(Debug)]
pub struct Token<'a> {
    /// Its parts.
    pub(crate) parts: &'a Parts<'a>,
    /// Its header.
    pub(crate) header: Header<'a>,
    claims: Object<'a>,
}

impl<'a> Token<'a> {
    /// Reads header and claims.
    ///
    /// # Errors
    ///
    /// Where one cannot be read, or the header wants what is not understood here.
    pub fn read(parts: &'a Parts<'a>) -> Result<Self, Refusal> {
        let header = Header::read(&parts.header)?;
        let claims = Object::read(&parts.claims).ok_or(Refusal::MalformedJson)?;
        Ok(Self { parts, header, claims })
    }

    /// What it says.
    pub fn claims(&self) -> &Object<'a> {
        &self.claims
    }

    /// Whose it says that it is.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Json::text)
    }

    /// The algorithm it says that it is signed by.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }
}

impl<'a> Parts<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    ///
    /// Where it has not three parts of strict base64url.
    pub fn of(token: &'a str) -> Result<Self, Refusal> {
        let mut dots = token.match_indices('.').map(|(place, _)| place);
        let places = (dots.next(), dots.next(), dots.next(), dots.next(), dots.next());
        let (first, second) = match places {
            (Some(first), Some(second), None, ..) => (first, second),
            (_, _, _, Some(_), None) => return Err(Refusal::EncryptedToken),
            _ => return Err(Refusal::MalformedToken),
        };
        let part = |from: usize, to: usize| token.get(from..to).ok_or(Refusal::MalformedToken);
        let header = part(0, first)?;
        if header.len() > HEADER_BYTES {
            return Err(Refusal::TokenTooLong);
        }
        Ok(Self {
            signed: part(0, second)?.as_bytes(),
            header: decode(header)?,
            claims: decode(part(first + 1, second)?)?,
            signature: decode(part(second + 1, token.len())?)?,
        })
    }
}

/// Strict: no padding, no other alphabet, no bits beyond the last byte, so that each
/// token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::MalformedToken)
}

/// What a header says that matters here.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    members: Object<'a>,
    /// `alg`.
    pub(crate) algorithm: Algorithm,
}

impl<'a> Header<'a> {
    /// Reads a header and refuses every extension that could change what the signature
    /// means.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let members = Object::read(bytes).ok_or(Refusal::MalformedJson)?;
        let has = |name: &str| members.get(name).is_some();
        // RFC 7515, section 4.1.11: what is critical must be understood, and nothing is.
        let plain = members.get("b64").is_none_or(|value| *value == Json::Bool(true));
        if has("crit") || has("zip") || has("enc") || !plain {
            return Err(Refusal::UnsupportedHeader);
        }
        if let Some(content) = members.get("cty") {
            let content = content.text().ok_or(Refusal::MalformedHeader)?;
            // RFC 7519, section 5.2: a token within a token.
            if is_type(content, "jwt") {
                return Err(Refusal::UnsupportedHeader);
            }
        }
        if ["jwk", "jku", "x5u", "x5c"].into_iter().any(has) {
            return Err(Refusal::EmbeddedKey);
        }
        let algorithm = members.get("alg").and_then(Json::text).ok_or(Refusal::MalformedHeader)?;
        let algorithm = Algorithm::named(algorithm)?;
        if let Some(id) = members.get("kid") {
            let id = id.text().ok_or(Refusal::MalformedHeader)?;
            if id.is_empty() || id.len() > KEY_ID_BYTES {
                return Err(Refusal::MalformedHeader);
            }
        }
        if members.get("typ").is_some_and(|kind| kind.text().is_none()) {
            return Err(Refusal::MalformedHeader);
        }
        Ok(Self { members, algorithm })
    }

    /// `kid`.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.members.get("kid").and_then(Json::text)
    }

    /// `typ`.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.members.get("typ").and_then(Json::text)
    }
}

/// Whether a media type is this one: without regard to case, and to the prefix that RFC
/// 7515, section 4.1.9, advises to leave out.
pub(crate) fn is_type(written: &str, wanted: &str) -> bool {
    let short = match written.split_at_checked(12) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => written,
    };
    short.eq_ignore_ascii_case(wanted)
}
