//! A session: what a browser keeps of its login, sealed.

use portcullis_plugin_sdk::{Attribute, Grant, Header, Request};
use serde::{Deserialize, Serialize};
use tokens::{Issuer, Object, Parts, Policy};

use crate::cookie::Jar;
use crate::provider::Answer;
use crate::refusal::Refusal;
use crate::vault::{KeyAge, Purpose, Vault};

/// A session is sealed anew once this part of `idle` has passed.
const RENEWALS: u64 = 10;
/// How long before its end a navigation renews what the provider said.
const EARLY_MS: u64 = 60 * 1000;

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lives {
    /// However much they are used, in milliseconds.
    pub(crate) lifetime_ms: u64,
    /// Without being used, in milliseconds.
    pub(crate) idle_ms: u64,
}

/// What a browser keeps of its login.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The ID token, verified before it was sealed.
    pub(crate) id_token: String,
    /// What the provider gives a new one for.
    pub(crate) refresh_token: Option<String>,
    /// The scopes it granted.
    scope: Option<String>,
    /// When the login was, in milliseconds since 1970.
    begun_ms: u64,
    /// When it was last sealed.
    seen_ms: u64,
    /// Until when the provider's word counts; only where it can be asked again.
    fresh_until_ms: Option<u64>,
}

/// What the provider's word is still worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It counts.
    Fresh,
    /// It counts, and ends soon.
    Ending,
    /// It counts no more: the provider must be asked again.
    Stale,
}

impl Session {
    /// The session of a login that the provider confirmed.
    pub(crate) fn begin(answer: Answer, id_token: String, now_ms: u64) -> Self {
        // Who cannot be asked again is believed for as long as the session lasts.
        let can_be_asked = answer.refresh_token.is_some();
        let fresh_until_ms = answer.fresh_until(now_ms).filter(|_| can_be_asked);
        Self {
            id_token,
            refresh_token: answer.refresh_token,
            scope: answer.scope,
            begun_ms: now_ms,
            seen_ms: now_ms,
            fresh_until_ms,
        }
    }

    /// The same after the provider was asked again; what it does not say stays.
    pub(crate) fn renewed(self, answer: Answer, now_ms: u64) -> Self {
        let fresh_until_ms = answer.fresh_until(now_ms);
        Self {
            id_token: answer.id_token.unwrap_or(self.id_token),
            refresh_token: answer.refresh_token.or(self.refresh_token),
            scope: answer.scope.or(self.scope),
            begun_ms: self.begun_ms,
            seen_ms: now_ms,
            fresh_until_ms,
        }
    }

    /// The session of a request, whether it has ended or not, and which key opened it.
    pub(crate) fn of(
        request: &Request,
        jar: &Jar,
        vault: &Vault,
    ) -> Result<(Self, KeyAge), Refusal> {
        let value = jar.session(request)?.ok_or(Refusal::LoginRequired)?;
        let opened = vault.open(Purpose::Session, &value)?.ok_or(Refusal::BadSession)?;
        let session = serde_json::from_slice(&opened.plain).map_err(|_| Refusal::BadSession)?;
        Ok((session, opened.by))
    }

    /// When it ends, unless it is used again.
    fn ends_ms(&self, lives: Lives) -> u64 {
        let at_most = self.begun_ms.saturating_add(lives.lifetime_ms);
        at_most.min(self.seen_ms.saturating_add(lives.idle_ms))
    }

    /// Refuses it once it has ended.
    pub(crate) fn check(&self, lives: Lives, now_ms: u64) -> Result<(), Refusal> {
        match now_ms < self.ends_ms(lives) {
            true => Ok(()),
            false => Err(Refusal::SessionExpired),
        }
    }

    /// What the provider's word is still worth.
    pub(crate) fn freshness(&self, now_ms: u64) -> Freshness {
        match self.fresh_until_ms {
            Some(until) if until <= now_ms => Freshness::Stale,
            Some(until) if until <= now_ms.saturating_add(EARLY_MS) => Freshness::Ending,
            _ => Freshness::Fresh,
        }
    }

    /// Whether it should be sealed anew, so that it does not end while it is used.
    pub(crate) fn is_worn(&self, lives: Lives, by: KeyAge, now_ms: u64) -> bool {
        let worn = self.seen_ms.saturating_add(lives.idle_ms / RENEWALS);
        by == KeyAge::Previous || now_ms >= worn
    }

    /// The same, used now.
    pub(crate) fn used(mut self, now_ms: u64) -> Self {
        self.seen_ms = self.seen_ms.max(now_ms);
        self
    }

    /// Cookies that hold it.
    pub(crate) fn keep(
        &self,
        jar: &Jar,
        vault: &Vault,
        lives: Lives,
    ) -> Result<Vec<Header>, Refusal> {
        let plain = serde_json::to_vec(self).map_err(|_| Refusal::SessionTooLarge)?;
        let sealed = vault.seal(Purpose::Session, &plain)?;
        jar.set_session(&sealed, self.ends_ms(lives).saturating_sub(self.seen_ms))
    }

    /// Whose it is.
    pub(crate) fn grant(
        &self,
        issuer: &Issuer,
        policy: &Policy,
        lives: Lives,
    ) -> Result<Grant, Refusal> {
        let parts = Parts::of(&self.id_token)?;
        let claims = Object::read(&parts.claims).ok_or(tokens::Refusal::MalformedJson)?;
        issuer.check_claims(&claims)?;
        let ends = self.fresh_until_ms.unwrap_or(u64::MAX).min(self.ends_ms(lives));
        let mut grant = policy.grant(&claims, Some(ends))?;
        let attributes = &mut grant.identity.attributes;
        if let Some(scope) = &self.scope
            && attributes.iter().all(|attribute| attribute.name != "scopes")
        {
            let scopes = scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
            attributes.push(Attribute::new("scopes", scopes.collect::<Vec<_>>()));
        }
        Ok(grant)
    }
}
