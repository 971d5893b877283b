//! What the operator writes of issuers and claims.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;

/// An issuer whose tokens are accepted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// Its name: exactly what `iss` says.
    pub issuer: String,
    /// The audiences of which `aud` must have one; where a token has no `aud`, its
    /// `client_id` counts. `["*"]` accepts every audience.
    pub audience: Option<Texts>,
    /// Where its keys are. Without `jwks_url`, `keys` and `secret`, its discovery document
    /// says so.
    pub jwks_url: Option<String>,
    /// Its keys: a JSON Web Key Set.
    pub keys: Option<Map<String, Value>>,
    /// The granted secret that it signs with, by HMAC; such an issuer has no other keys.
    pub secret: Option<String>,
    /// The signature algorithms it may use. Where absent: all by public keys; with
    /// `secret`, HS256.
    pub algorithms: Option<Vec<Algorithm>>,
    /// What claims must be: a text, a number, true or false, or a list of which one must
    /// match. Of a claim that is a list, one element must match.
    pub claims: Option<BTreeMap<String, Wanted>>,
    /// Amazon Cognito's kind of token, the same as `claims.token_use`.
    pub token_use: Option<TokenUse>,
    /// The media types of its tokens, `["at+jwt"]` for those of RFC 9068. Where absent,
    /// `typ` is `JWT`, `at+jwt` or not there.
    pub typ: Option<Texts>,
}

/// One text or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// What a claim must be.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Wanted {
    /// This.
    One(Scalar),
    /// One of these.
    OneOf(Vec<Scalar>),
}

/// A value of a claim.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// A text; letter case counts.
    Text(String),
}

/// Amazon Cognito's kinds of token.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenUse {
    /// Access tokens.
    Access,
    /// ID tokens.
    Id,
}

/// A length of time, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Span(pub u64);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let unit = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => 0,
        };
        let span = count.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
        span.filter(|_| unit > 0)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no length of time; write `30s`, `5m` or `1h`"))
    }
}

impl Texts {
    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        }
    }
}

impl Wanted {
    /// Those of which one must match.
    pub fn into_vec(self) -> Vec<Scalar> {
        match self {
            Self::One(scalar) => vec![scalar],
            Self::OneOf(scalars) => scalars,
        }
    }
}

impl TokenUse {
    /// As the claim says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
        }
    }
}
