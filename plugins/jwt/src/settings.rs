//! What the operator writes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokens::Algorithm;
use tokens::settings::{IssuerSettings, Span, Texts, TokenUse, Wanted};

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
    /// The realm that clients are told in `WWW-Authenticate`: a name of what they may reach
    /// with a token.
    pub(crate) realm: Option<String>,
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
