//! Admits requests that carry a JSON Web Token (RFC 7519) of an issuer it knows.
//!
//! ```text
//! place ─▶ Token::read ─▶ issuer.admit ─▶ policy.grant
//! where    parts, claims   does it hold?   who it is
//! ```
//!
//! A token that is none by its form is asked about, where `introspection` says whom.
//! Everything before the signature is cheap and says no more to the client than that the
//! token is bad. The keys are the host's: this plugin never sees one.

mod binding;
mod denial;
mod introspection;
mod place;
mod settings;

use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, SettingsError, export,
};
use tokens::settings::{Span, Texts};
use tokens::{Issuer, Parts, Policy, Refusal, Token};

use crate::binding::Binding;
use crate::denial::Challenge;
use crate::introspection::{Introspection, is_opaque};
use crate::place::Place;
use crate::settings::Settings;

/// The most that clocks may differ by.
const MOST_LEEWAY: Span = Span(5 * 60 * 1000);

/// An authorizer by JSON Web Token.
#[derive(Debug)]
struct Jwt {
    places: Vec<Place>,
    max_bytes: usize,
    issuers: Vec<Issuer>,
    introspection: Option<Introspection>,
    policy: Policy,
    /// How clients are told to bring a token.
    challenge: Challenge,
    /// When tokens must be bound to the client's certificate.
    binding: Binding,
}

impl TryFrom<Settings> for Jwt {
    type Error = SettingsError;

    fn try_from(mut settings: Settings) -> Result<Self, SettingsError> {
        if settings.issuer.is_some() && !settings.issuers.is_empty() {
            return Err(SettingsError::at(
                "/issuers",
                "one issuer is written in short, several stand here: move `issuer` here",
            ));
        }
        let required = settings.required.clone().unwrap_or_else(|| vec!["exp".to_owned()]);
        let mut issuers: Vec<Issuer> = Vec::new();
        for (pointer, issuer) in settings.take_issuers() {
            let issuer = Issuer::new(issuer, &required, &pointer)?;
            if issuers.iter().any(|other| other.name == issuer.name) {
                let pointer = format!("{pointer}/issuer");
                return Err(SettingsError::at(pointer, "this issuer is named twice"));
            }
            issuers.push(issuer);
        }
        if let Some(orphan) = settings.orphan() {
            let message =
                format!("`{orphan}` is of an issuer: add `issuer`, or move it under `issuers`");
            return Err(SettingsError::at(format!("/{orphan}"), message));
        }
        let introspection = settings.introspection.take();
        let introspection =
            introspection.map(|settings| Introspection::new(settings, &required)).transpose()?;
        if issuers.is_empty() && introspection.is_none() {
            return Err(SettingsError::new(
                "without an issuer nobody is admitted: add `issuer = \"https://…\"`",
            ));
        }
        if settings.leeway > MOST_LEEWAY {
            return Err(SettingsError::at(
                "/leeway",
                "clocks that differ by more than 5m are wrong",
            ));
        }
        let places = places(settings.token)?;
        let challenge = Challenge::new(settings.realm.as_deref())?;
        let policy = Policy {
            leeway_ms: settings.leeway.0,
            max_age_ms: settings.max_age.map(|age| age.0),
            scope_claims: settings.scope_claims,
            principal: settings.principal,
            attributes: settings.attributes,
        };
        let binding = Binding::written(settings.certificate_bound);
        let max_bytes = settings.max_bytes;
        Ok(Self { places, max_bytes, issuers, introspection, policy, challenge, binding })
    }
}

fn places(written: Texts) -> Result<Vec<Place>, SettingsError> {
    let places = written.into_vec();
    if places.is_empty() {
        return Err(SettingsError::at("/token", "name a place, such as `header:authorization`"));
    }
    places.iter().map(|text| Place::named(text, "/token")).collect()
}

impl Plugin for Jwt {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        let plan = self.places.iter().fold(Plan::new(), |plan, place| place.reads(plan));
        let plan = self.issuers.iter().fold(plan, |plan, issuer| issuer.asks(plan));
        let plan = self.introspection.iter().fold(plan, |plan, server| server.asks(plan));
        self.binding.reads(plan).challenges(self.challenge.plain()).cacheable()
    }
}

impl Authorizer for Jwt {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let denial = |refusal| self.challenge.denial(refusal);
        let token = self.token(request).map_err(denial)?.ok_or(Denial::NotMine)?;
        self.admit(token, request).map_err(denial)
    }
}

impl Jwt {
    /// The token of the first place that has one.
    fn token<'r>(&self, request: &'r Request) -> Result<Option<&'r str>, Refusal> {
        let found = self.places.iter().map(|place| place.token(request));
        found.map(Result::transpose).find_map(|found| found).transpose()
    }

    /// Judges a token of a request.
    fn admit(&self, token: &str, request: &Request) -> Result<Grant, Refusal> {
        if token.len() > self.max_bytes {
            return Err(Refusal::TokenTooLong);
        }
        if let Some(server) = &self.introspection
            && is_opaque(token)
        {
            return server.admit(token, (&self.policy, self.binding), request);
        }
        let parts = Parts::of(token)?;
        let token = Token::read(&parts)?;
        // The name decides whose keys and rules count; no other issuer's ever do.
        let name = token.issuer().ok_or(Refusal::UnknownIssuer)?;
        let issuer = self.issuers.iter().find(|issuer| issuer.name == name);
        let issuer = issuer.ok_or(Refusal::UnknownIssuer)?;
        let expires_at = issuer.admit(&token, &self.policy, request.time)?;
        self.binding.check(token.claims(), request)?;
        self.policy.grant(token.claims(), expires_at)
    }
}

export!(Jwt: authorizer);

#[cfg(test)]
mod tests;
