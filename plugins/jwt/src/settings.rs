//! What the operator writes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;

/// One issuer in short (`issuer`, `audience`, …), or several under `issuers`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The only issuer; what else is known of it stands beside. For several, `issuers`.
    pub(crate) issuer: Option<String>,
    /// Of the only issuer: see `issuers`.
    pub(crate) audience: Option<Texts>,
    /// Of the only issuer: see `issuers`.
    pub(crate) jwks_url: Option<String>,
    /// Of the only issuer: see `issuers`.
    pub(crate) keys: Option<Map<String, Value>>,
    /// Of the only issuer: see `issuers`.
    pub(crate) secret: Option<String>,
    /// Of the only issuer: see `issuers`.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// Of the only issuer: see `issuers`.
    pub(crate) claims: Option<BTreeMap<String, Wanted>>,
    /// Of the only issuer: see `issuers`.
    pub(crate) token_use: Option<TokenUse>,
    /// Of the only issuer: see `issuers`.
    pub(crate) typ: Option<Texts>,
    /// The issuers whose tokens are accepted; each by its own rules and keys alone.
    #[serde(default)]
    pub(crate) issuers: Vec<IssuerSettings>,
    /// The server that is asked about opaque tokens; without it they are refused.
    pub(crate) introspection: Option<IntrospectionSettings>,

    /// Where the token stands: `header:NAME`, `query:NAME` or `cookie:NAME`; the first
    /// place that has one counts. `header:authorization` takes the scheme `Bearer` only.
    #[serde(default = "bearer")]
    pub(crate) token: Texts,
    /// Bytes of the longest token.
    #[serde(default = "max_bytes")]
    #[schemars(range(min = 64, max = 65_536))]
    pub(crate) max_bytes: usize,
    /// By how much the clocks of issuers may differ from ours: `"30s"`, at most 5 minutes.
    #[serde(default)]
    pub(crate) leeway: Span,
    /// How long after `iat` a token holds at most, whatever its `exp`: `"1h"`.
    pub(crate) max_age: Option<Span>,
    /// The claims that must be there; `["exp"]` where absent.
    pub(crate) required: Option<Vec<String>>,
    /// The claims that hold scopes: lists, or texts with spaces between.
    #[serde(default = "scope_claims")]
    pub(crate) scope_claims: Vec<String>,
    /// The claim that names the caller.
    #[serde(default = "principal")]
    pub(crate) principal: String,
    /// Whether tokens must be bound to the client's certificate (RFC 8705, `cnf.x5t#S256`).
    /// Where absent, those that say so must be; `false` leaves it to another party.
    pub(crate) certificate_bound: Option<bool>,
    /// The claims that become attributes `identity:claim.NAME`; where absent, all that
    /// are scalars or lists of texts.
    pub(crate) attributes: Option<Vec<String>>,
}

/// An issuer whose tokens are accepted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerSettings {
    /// Its name: exactly what `iss` says.
    pub(crate) issuer: String,
    /// The audiences of which `aud` must have one; where a token has no `aud`, its
    /// `client_id` counts. `["*"]` accepts every audience.
    pub(crate) audience: Option<Texts>,
    /// Where its keys are. Without `jwks_url`, `keys` and `secret`, its discovery document
    /// says so.
    pub(crate) jwks_url: Option<String>,
    /// Its keys: a JSON Web Key Set.
    pub(crate) keys: Option<Map<String, Value>>,
    /// The granted secret that it signs with, by HMAC; such an issuer has no other keys.
    pub(crate) secret: Option<String>,
    /// The signature algorithms it may use. Where absent: all by public keys; with
    /// `secret`, HS256.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// What claims must be: a text, a number, true or false, or a list of which one must
    /// match. Of a claim that is a list, one element must match.
    pub(crate) claims: Option<BTreeMap<String, Wanted>>,
    /// Amazon Cognito's kind of token, the same as `claims.token_use`.
    pub(crate) token_use: Option<TokenUse>,
    /// The media types of its tokens, `["at+jwt"]` for those of RFC 9068. Where absent,
    /// `typ` is `JWT`, `at+jwt` or not there.
    pub(crate) typ: Option<Texts>,
}

/// A server that knows opaque tokens (RFC 7662).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntrospectionSettings {
    /// Its introspection endpoint.
    pub(crate) url: String,
    /// As whom the gateway asks.
    pub(crate) client_id: String,
    /// The granted secret of that client; the grant needs `reveal = true`, since it is sent.
    pub(crate) client_secret: String,
    /// The audiences of which the answer's `aud` must have one; where it has none, its
    /// `client_id` counts. `["*"]` accepts every audience.
    pub(crate) audience: Option<Texts>,
    /// What members of the answer must be, as an issuer's `claims`.
    pub(crate) claims: Option<BTreeMap<String, Wanted>>,
}

/// One text or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Texts {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// What a claim must be.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Wanted {
    /// This.
    One(Scalar),
    /// One of these.
    OneOf(Vec<Scalar>),
}

/// A value of a claim.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
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
pub(crate) enum TokenUse {
    /// Access tokens.
    Access,
    /// ID tokens.
    Id,
}

/// A length of time, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct Span(pub(crate) u64);

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
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        }
    }
}

impl Wanted {
    /// Those of which one must match.
    pub(crate) fn into_vec(self) -> Vec<Scalar> {
        match self {
            Self::One(scalar) => vec![scalar],
            Self::OneOf(scalars) => scalars,
        }
    }
}

impl TokenUse {
    /// As the claim says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
        }
    }
}

impl Settings {
    /// Takes the issuers out, in whichever form they are written, each with the JSON
    /// Pointer of its table.
    pub(crate) fn take_issuers(&mut self) -> Vec<(String, IssuerSettings)> {
        let short = self.issuer.take().map(|issuer| {
            let settings = IssuerSettings {
                issuer,
                audience: self.audience.take(),
                jwks_url: self.jwks_url.take(),
                keys: self.keys.take(),
                secret: self.secret.take(),
                algorithms: self.algorithms.take(),
                claims: self.claims.take(),
                token_use: self.token_use.take(),
                typ: self.typ.take(),
            };
            (String::new(), settings)
        });
        let several = std::mem::take(&mut self.issuers).into_iter().enumerate();
        let several = several.map(|(index, issuer)| (format!("/issuers/{index}"), issuer));
        short.into_iter().chain(several).collect()
    }

    /// A member of the short form that is written without `issuer`.
    pub(crate) fn orphan(&self) -> Option<&'static str> {
        let written = [
            ("audience", self.audience.is_some()),
            ("jwks_url", self.jwks_url.is_some()),
            ("keys", self.keys.is_some()),
            ("secret", self.secret.is_some()),
            ("algorithms", self.algorithms.is_some()),
            ("claims", self.claims.is_some()),
            ("token_use", self.token_use.is_some()),
            ("typ", self.typ.is_some()),
        ];
        written.into_iter().find(|(_, is_written)| *is_written).map(|(name, _)| name)
    }
}

fn bearer() -> Texts {
    Texts::One("header:authorization".to_owned())
}

fn max_bytes() -> usize {
    16 << 10
}

fn scope_claims() -> Vec<String> {
    vec!["scope".to_owned(), "scp".to_owned()]
}

fn principal() -> String {
    "sub".to_owned()
}
