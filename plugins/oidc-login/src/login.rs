//! A login that a browser has begun: what we must remember of it, sealed in a cookie of its
//! own, so that several tabs may log in at once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_plugin_sdk::crypto::{HashAlgorithm, digest, equal, random};
use portcullis_plugin_sdk::{Header, Request};
use serde::{Deserialize, Serialize};

use crate::cookie::{Jar, only};
use crate::refusal::Refusal;
use crate::vault::{Purpose, Vault};

/// How long a login may take.
const LIFE_MS: u64 = 10 * 60 * 1000;
/// Logins that one browser may have begun; of more, the oldest are forgotten.
const MOST: usize = 5;
/// Cookies that are looked at to find them.
const MOST_SEEN: usize = 32;
/// Characters of `state` that name the cookie.
const ID: usize = 8;
/// Characters of `state`.
const STATE: usize = 22;

/// A login that has begun.
#[derive(Serialize, Deserialize)]
pub(crate) struct Login {
    /// `state`: what the callback must repeat.
    pub(crate) state: String,
    /// `nonce`: what the ID token must repeat.
    pub(crate) nonce: String,
    /// The verifier of PKCE (RFC 7636): what makes the code ours.
    pub(crate) verifier: String,
    /// The path and query to return to.
    pub(crate) return_to: String,
    /// When it began, in milliseconds since 1970.
    begun_ms: u64,
}

impl Login {
    /// Begins one, to return to there.
    pub(crate) fn begin(return_to: String, now_ms: u64) -> Self {
        let draw = |bytes| URL_SAFE_NO_PAD.encode(random(bytes));
        Self { state: draw(16), nonce: draw(16), verifier: draw(32), return_to, begun_ms: now_ms }
    }

    /// The challenge of PKCE, by S256.
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(HashAlgorithm::Sha256, &self.verifier))
    }

    /// Cookies that remember it, and forget the oldest of many.
    pub(crate) fn keep(
        &self,
        request: &Request,
        jar: &Jar,
        vault: &Vault,
    ) -> Result<Vec<Header>, Refusal> {
        let plain = serde_json::to_vec(self).map_err(|_| Refusal::UnknownLogin)?;
        let name = jar.login(self.state.get(..ID).unwrap_or_default());
        let mut cookies = vec![jar.set(&name, &vault.seal(Purpose::Login, &plain)?, LIFE_MS)];
        let mut others: Vec<(u64, &str)> = Vec::new();
        for (name, value) in jar.logins(request).take(MOST_SEEN) {
            let begun = Self::open(vault, value)?.map_or(0, |login| login.begun_ms);
            others.push((begun, name));
        }
        others.sort_unstable_by(|left, right| right.cmp(left));
        let is_old = |begun: u64| begun.saturating_add(LIFE_MS) <= self.begun_ms;
        let kept = others.iter().take(MOST - 1).take_while(|(begun, _)| !is_old(*begun)).count();
        cookies.extend(others.iter().skip(kept).map(|(_, name)| jar.clear(name)));
        Ok(cookies)
    }

    /// The login that a callback ends, and the cookie that takes it away.
    pub(crate) fn ended_by(
        state: &str,
        request: &Request,
        (jar, vault): (&Jar, &Vault),
    ) -> Result<(Self, Header), Refusal> {
        if state.len() != STATE {
            return Err(Refusal::UnknownLogin);
        }
        let name = jar.login(state.get(..ID).ok_or(Refusal::UnknownLogin)?);
        let value = only(request, &name).ok().flatten().ok_or(Refusal::UnknownLogin)?;
        let login = Self::open(vault, value)?.ok_or(Refusal::UnknownLogin)?;
        if !equal(&login.state, state) {
            return Err(Refusal::UnknownLogin);
        }
        if request.time >= login.begun_ms.saturating_add(LIFE_MS) {
            return Err(Refusal::LoginExpired);
        }
        Ok((login, jar.clear(&name)))
    }

    fn open(vault: &Vault, value: &str) -> Result<Option<Self>, Refusal> {
        let opened = vault.open(Purpose::Login, value)?;
        Ok(opened.and_then(|opened| serde_json::from_slice(&opened.plain).ok()))
    }
}
