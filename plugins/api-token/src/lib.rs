//! Admits requests that carry a known token.
//!
//! Settings name tokens; the tokens themselves are secrets that the
//! configuration grants and that this plugin never sees.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, SettingsError, export, secrets,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The header that holds the token. Without it and without `parameter`:
    /// `authorization`, with the scheme `Bearer`.
    header: Option<String>,
    /// The query parameter that holds the token, in the place of a header.
    parameter: Option<String>,
    /// The known tokens, by the name of who holds each: the principal.
    tokens: BTreeMap<String, Token>,
}

/// A known token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Token {
    /// The name of the secret that the token must equal, as granted under
    /// `grants.secrets`.
    secret: String,
    /// What else is known of the holder: `identity:<name>` for later phases.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// An authorizer by token.
#[derive(Debug)]
struct ApiToken {
    place: Place,
    tokens: BTreeMap<String, Token>,
}

/// Where requests carry their token.
#[derive(Debug)]
enum Place {
    Bearer,
    Header(String),
    Parameter(String),
}

impl TryFrom<Settings> for ApiToken {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        let place = match (settings.header, settings.parameter) {
            (None, None) => Place::Bearer,
            (Some(header), None) if header.eq_ignore_ascii_case("authorization") => Place::Bearer,
            (Some(header), None) => Place::Header(header.to_ascii_lowercase()),
            (None, Some(parameter)) => Place::Parameter(parameter),
            (Some(_), Some(_)) => {
                return Err(SettingsError::at(
                    "/parameter",
                    "a token has one place: remove `header` or `parameter`",
                ));
            }
        };
        if settings.tokens.is_empty() {
            return Err(SettingsError::at(
                "/tokens",
                "without a token nobody is admitted; name one",
            ));
        }
        Ok(Self { place, tokens: settings.tokens })
    }
}

impl Plugin for ApiToken {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        let plan = match &self.place {
            Place::Bearer => Plan::new().reads_header("authorization").challenges("Bearer"),
            Place::Header(name) => Plan::new().reads_header(name),
            Place::Parameter(name) => Plan::new().reads_parameter(name),
        };
        self.tokens.values().fold(plan.cacheable(), |plan, token| plan.asks_secret(&token.secret))
    }
}

impl Authorizer for ApiToken {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let candidate = self.place.candidate(request)?;
        for (principal, token) in &self.tokens {
            if secrets::matches(&token.secret, candidate)? {
                return Ok(token.grant(principal));
            }
        }
        Err(self.place.denial("unknown-token"))
    }
}

impl Place {
    /// Finds the credential; one that is there but cannot be a token is refused,
    /// never skipped.
    fn candidate<'a>(&self, request: &'a Request) -> Result<&'a str, Denial> {
        match self {
            Self::Bearer => {
                let mut values = request.headers_all("authorization");
                if !values.any(has_bearer_scheme) {
                    return Err(Denial::NotMine);
                }
                request.bearer_token().ok_or_else(|| self.denial("malformed-token"))
            }
            Self::Header(name) => {
                request.headers_all(name).next().ok_or(Denial::NotMine)?;
                request.header(name).ok_or_else(|| self.denial("malformed-token"))
            }
            Self::Parameter(name) => {
                request.parameters_all(name).next().ok_or(Denial::NotMine)?;
                request.parameter(name).ok_or_else(|| self.denial("malformed-token"))
            }
        }
    }

    /// Refuses a token, with the challenge of RFC 6750 where the scheme is its.
    fn denial(&self, code: &str) -> Denial {
        let denial = Denial::unauthenticated(code);
        match self {
            Self::Bearer => {
                denial.with_header("www-authenticate", r#"Bearer error="invalid_token""#)
            }
            Self::Header(_) | Self::Parameter(_) => denial,
        }
    }
}

impl Token {
    fn grant(&self, principal: &str) -> Grant {
        let grant = Grant::to(principal).with_usage_key(principal);
        self.attributes.iter().fold(grant, |grant, (name, value)| grant.with_attribute(name, value))
    }
}

fn has_bearer_scheme(value: &[u8]) -> bool {
    let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer")
}

export!(ApiToken: authorizer);

#[cfg(test)]
mod tests;
