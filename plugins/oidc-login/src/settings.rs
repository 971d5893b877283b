//! What the operator writes.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::SettingsError;
use schemars::JsonSchema;
use serde::Deserialize;
use tokens::Algorithm;
use tokens::settings::{IssuerSettings, Span, Texts, Wanted};
use tokens::url::origin;

/// Parameters of an authorization request that are the plugin's own.
const OWN_PARAMETERS: [&str; 10] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "response_mode",
    "response_type",
    "scope",
    "state",
];
/// The longest that a session may last.
const LONGEST: Span = Span(30 * 24 * 60 * 60 * 1000);
/// The most that clocks may differ by.
const MOST_LEEWAY: Span = Span(5 * 60 * 1000);

/// A provider, a client of it, and how sessions are kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The provider: exactly what its ID tokens say in `iss`.
    pub(crate) issuer: String,
    /// As whom the gateway asks the provider.
    pub(crate) client_id: String,
    /// The granted secret of that client; its grant needs `reveal = true`, since it is sent.
    #[serde(default = "client_secret")]
    pub(crate) client_secret: String,
    /// How the client proves itself; where absent, as the provider says it can. With
    /// `none` no secret is needed: the client is a public one.
    pub(crate) client_authentication: Option<ClientAuthentication>,
    /// The granted secret that cookies are sealed with: at least 32 random bytes.
    #[serde(default = "session_key")]
    pub(crate) session_key: String,
    /// The granted secret that cookies were sealed with before; they still open.
    pub(crate) previous_session_key: Option<String>,

    /// What is asked for; `openid` must be among them, and `offline_access` is how many
    /// providers are asked for a refresh token.
    #[serde(default = "scopes")]
    pub(crate) scopes: Vec<String>,
    /// More parameters of the authorization request: `{ prompt = "select_account" }`.
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
    /// The provider's token endpoint; where absent, its discovery document says where.
    /// Needed where that is not at the issuer's own origin.
    pub(crate) token_endpoint: Option<String>,

    /// The scheme and authority by which browsers know this site, for a gateway behind a
    /// proxy that ends TLS: `"https://shop.example.com"`. Where absent, each request's own.
    pub(crate) origin: Option<String>,
    /// Where the provider sends browsers back to.
    #[serde(default = "callback_path")]
    pub(crate) callback_path: String,
    /// Where a session is ended.
    #[serde(default = "logout_path")]
    pub(crate) logout_path: String,
    /// The path that browsers are sent to once they are logged out; it must be registered
    /// with the provider, behind the origin. Where absent, the provider says goodbye.
    pub(crate) after_logout: Option<String>,

    /// The name of the session's cookie; `__Host-` comes before it over HTTPS.
    #[serde(default = "cookie")]
    pub(crate) cookie: String,
    /// How long a session lasts, however much it is used: at most 30 days.
    #[serde(default = "lifetime")]
    pub(crate) lifetime: Span,
    /// How long a session lasts without being used.
    #[serde(default = "idle")]
    pub(crate) idle: Span,

    /// The signature algorithms of ID tokens; all by public keys where absent.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// What claims must be, for whoever logs in: a text, a number, true or false, or a list
    /// of which one must match. Of a claim that is a list, one element must match.
    pub(crate) claims: Option<BTreeMap<String, Wanted>>,
    /// By how much the provider's clock may differ from ours: at most 5 minutes.
    #[serde(default = "leeway")]
    pub(crate) leeway: Span,
    /// The claims that hold scopes; where an ID token has none of them, the scopes that
    /// the provider granted count.
    #[serde(default = "scope_claims")]
    pub(crate) scope_claims: Vec<String>,
    /// The claim that names the caller.
    #[serde(default = "principal")]
    pub(crate) principal: String,
    /// The claims that become attributes `identity:claim.NAME`; where absent, all that
    /// are scalars or lists of texts.
    pub(crate) attributes: Option<Vec<String>>,
}

/// How a client proves itself at the token endpoint (OpenID Connect Core, section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuthentication {
    /// Name and secret by HTTP Basic.
    ClientSecretBasic,
    /// Name and secret in the form.
    ClientSecretPost,
    /// The name alone.
    None,
}

impl Settings {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let refuse = |member: &str, message: &str| {
            Err(SettingsError::at(format!("/{member}"), message.to_owned()))
        };
        if origin(&self.issuer).is_none() {
            return refuse("issuer", "write an absolute URL, as `https://login.example.com`");
        }
        if self.client_id.is_empty() {
            return refuse("client_id", "write the name by which the provider knows this client");
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return refuse("scopes", "without `openid` the provider does not say who it is");
        }
        if let Some(own) = self.parameters.keys().find(|n| OWN_PARAMETERS.contains(&n.as_str())) {
            return refuse(&format!("parameters/{own}"), "this parameter is the plugin's own");
        }
        if self.token_endpoint.as_deref().is_some_and(|url| origin(url).is_none()) {
            return refuse("token_endpoint", "write an absolute URL, as `https://…/token`");
        }
        if self.origin.as_deref().is_some_and(|written| origin(written) != Some(written)) {
            return refuse(
                "origin",
                "write a scheme and an authority alone, as `https://shop.example.com`",
            );
        }
        let paths = [
            ("callback_path", Some(&self.callback_path)),
            ("logout_path", Some(&self.logout_path)),
            ("after_logout", self.after_logout.as_ref()),
        ];
        for (member, path) in paths {
            if path.is_some_and(|path| !is_path(path)) {
                return refuse(member, "write a path alone, as `/oidc/callback`");
            }
        }
        if self.callback_path == self.logout_path {
            return refuse("logout_path", "this is where the provider sends browsers back to");
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.cookie.is_empty() || self.cookie.len() > 64 || !self.cookie.bytes().all(is_name) {
            return refuse("cookie", "write a short name of letters, digits, `-`, `_` and `.`");
        }
        if self.lifetime == Span(0) || self.lifetime > LONGEST {
            return refuse("lifetime", "a session lasts more than nothing and at most `30d`");
        }
        if self.idle == Span(0) || self.idle > self.lifetime {
            return refuse("idle", "this is more than nothing and at most the `lifetime`");
        }
        if self.previous_session_key.as_ref() == Some(&self.session_key) {
            return refuse(
                "previous_session_key",
                "this is the `session_key`: name the one before",
            );
        }
        if self.leeway > MOST_LEEWAY {
            return refuse("leeway", "clocks that differ by more than 5m are wrong");
        }
        Ok(())
    }

    /// The provider as an issuer of tokens for this client.
    pub(crate) fn issuer(&mut self) -> IssuerSettings {
        IssuerSettings {
            issuer: self.issuer.clone(),
            audience: Some(Texts::One(self.client_id.clone())),
            jwks_url: None,
            keys: None,
            secret: None,
            algorithms: self.algorithms.take(),
            claims: self.claims.take(),
            token_use: None,
            typ: None,
        }
    }
}

/// Whether this is a path of one origin, whoever resolves it: no query, no second slash
/// at its beginning, nothing that browsers drop or take for a slash.
pub(crate) fn is_path(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\?#".contains(&byte);
    text.starts_with('/') && !text.starts_with("//") && text.bytes().all(is_plain)
}

fn client_secret() -> String {
    "client-secret".to_owned()
}

fn session_key() -> String {
    "session-key".to_owned()
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn callback_path() -> String {
    "/oidc/callback".to_owned()
}

fn logout_path() -> String {
    "/oidc/logout".to_owned()
}

fn cookie() -> String {
    "session".to_owned()
}

fn lifetime() -> Span {
    Span(8 * 60 * 60 * 1000)
}

fn idle() -> Span {
    Span(60 * 60 * 1000)
}

fn leeway() -> Span {
    Span(30 * 1000)
}

fn scope_claims() -> Vec<String> {
    vec!["scope".to_owned(), "scp".to_owned()]
}

fn principal() -> String {
    "sub".to_owned()
}
