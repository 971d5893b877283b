//! Logs browsers in at an OpenID Connect provider (authorization code with PKCE), and keeps
//! their session in a sealed cookie.
//!
//! ```text
//! session cookie ─ session ─▶ a grant                        (renewed by itself)
//! none, a navigation ─ login ─▶ 302 to the provider          (state, nonce, verifier: a cookie)
//! callback path ─ callback ─▶ code for tokens, ID token verified ─▶ 302 back, session cookie
//! logout path ─ logout ─▶ cookie cleared ─▶ 303 to the provider's logout
//! none, anything else ─▶ 401
//! ```
//!
//! Nothing is kept here: what a login or a session needs is in the browser, sealed with a
//! key that this plugin never sees. Deliberately absent: answers from a cache, redirects to
//! another origin than the provider's, and any trust in a cookie that does not open.

mod cookie;
mod login;
mod provider;
mod refusal;
mod session;
mod settings;
mod site;
mod vault;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_plugin_sdk::crypto::{digest, equal};
use portcullis_plugin_sdk::{
    Authorizer, Denial, FullResponse, Grant, Header, Plan, Plugin, Request, SettingsError, export,
    log,
};
use tokens::url::form;
use tokens::{Issuer, Json, Object, Parts, Policy, Token};

use crate::cookie::Jar;
use crate::login::Login;
use crate::provider::{Provider, error_name};
use crate::refusal::Refusal;
use crate::session::{Freshness, Lives, Session};
use crate::settings::Settings;
use crate::site::{Site, is_navigation, redirect, return_path, with_headers};
use crate::vault::{KeyAge, Vault};

/// Claims that an ID token must have (OpenID Connect Core, section 2).
const REQUIRED: [&str; 5] = ["iss", "sub", "aud", "exp", "iat"];
/// What the callback reads.
const PARAMETERS: [&str; 4] = ["code", "error", "iss", "state"];
/// What a browser says of its request.
const HEADERS: [&str; 5] = ["accept", "cookie", "origin", "sec-fetch-mode", "sec-fetch-site"];

/// An authorizer that logs browsers in.
#[derive(Debug)]
struct OidcLogin {
    provider: Provider,
    issuer: Issuer,
    policy: Policy,
    vault: Vault,
    lives: Lives,
    /// What every authorization request says.
    question: String,
    cookie: String,
    origin: Option<String>,
    callback_path: String,
    logout_path: String,
    after_logout: Option<String>,
}

/// A request, and what it came with.
struct Visit<'r> {
    request: &'r Request,
    site: Site,
    jar: Jar,
}

impl TryFrom<Settings> for OidcLogin {
    type Error = SettingsError;

    fn try_from(mut settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let required = REQUIRED.map(str::to_owned);
        let issuer = Issuer::new(settings.issuer(), &required, "")?;
        let policy = Policy {
            leeway_ms: settings.leeway.0,
            max_age_ms: None,
            scope_claims: settings.scope_claims,
            principal: settings.principal,
            attributes: settings.attributes,
        };
        let own = [
            ("response_type", "code".to_owned()),
            ("client_id", settings.client_id.clone()),
            ("scope", settings.scopes.join(" ")),
            ("code_challenge_method", "S256".to_owned()),
        ];
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let more = settings.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let question = form(own.chain(more));
        let bound = [&settings.issuer, &settings.client_id, &settings.cookie];
        let vault = Vault::new(
            settings.session_key,
            settings.previous_session_key,
            bound.map(String::as_str),
        );
        Ok(Self {
            issuer,
            policy,
            vault,
            lives: Lives { lifetime_ms: settings.lifetime.0, idle_ms: settings.idle.0 },
            question,
            cookie: settings.cookie,
            origin: settings.origin,
            callback_path: settings.callback_path,
            logout_path: settings.logout_path,
            after_logout: settings.after_logout,
            provider: Provider {
                issuer: settings.issuer,
                client_id: settings.client_id,
                client_secret: settings.client_secret,
                authentication: settings.client_authentication,
                token_endpoint: settings.token_endpoint,
            },
        })
    }
}

impl Plugin for OidcLogin {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        let plan = HEADERS.iter().fold(Plan::new(), |plan, name| plan.reads_header(name));
        let plan = PARAMETERS.iter().fold(plan, |plan, name| plan.reads_parameter(*name));
        self.provider
            .asks(self.issuer.asks(self.vault.asks(plan)))
            .answers_path(&self.callback_path)
    }
}

impl Authorizer for OidcLogin {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let site = Site::of(request, self.origin.as_deref())?;
        let jar = Jar::new(&self.cookie, site.transport);
        let visit = Visit { request, site, jar };
        if request.path == self.callback_path {
            return Err(self.callback(&visit));
        }
        if request.path == self.logout_path {
            return Err(Denial::Respond(self.logout(&visit)?));
        }
        match self.visit(&visit) {
            Err(refusal) if refusal.ends_by_login() && is_navigation(request) => {
                Err(Denial::Respond(self.login(&visit)?))
            }
            answer => Ok(answer?),
        }
    }
}

impl OidcLogin {
    /// Admits a request by its session.
    fn visit(&self, visit: &Visit<'_>) -> Result<Grant, Refusal> {
        let now_ms = visit.request.time;
        let (session, by) = Session::of(visit.request, &visit.jar, &self.vault)?;
        session.check(self.lives, now_ms)?;
        let (session, cookies) = self.refreshed(session, by, visit)?;
        let mut grant = session.grant(&self.issuer, &self.policy, self.lives)?;
        grant.response_headers = cookies;
        Ok(grant)
    }

    /// The session with the provider's newest word, and the cookies that must be set.
    fn refreshed(
        &self,
        session: Session,
        by: KeyAge,
        visit: &Visit<'_>,
    ) -> Result<(Session, Vec<Header>), Refusal> {
        let now_ms = visit.request.time;
        let keep = |session: Session| {
            let cookies = session.keep(&visit.jar, &self.vault, self.lives)?;
            Ok((session, cookies))
        };
        match session.freshness(now_ms) {
            Freshness::Stale => return keep(self.ask_again(&session, now_ms)?),
            // One request of many that a page makes: a refresh token often serves once.
            Freshness::Ending if is_navigation(visit.request) => {
                if let Ok(renewed) = self.ask_again(&session, now_ms) {
                    return keep(renewed);
                }
            }
            Freshness::Ending | Freshness::Fresh => {}
        }
        match session.is_worn(self.lives, by, now_ms) {
            true => keep(session.used(now_ms)),
            false => Ok((session, Vec::new())),
        }
    }

    fn ask_again(&self, session: &Session, now_ms: u64) -> Result<Session, Refusal> {
        let refresh_token = session.refresh_token.as_deref().ok_or(Refusal::RefreshRefused)?;
        let answer = self.provider.refresh(&self.provider.endpoints()?, refresh_token)?;
        if let Some(renewed) = &answer.id_token {
            let known = Parts::of(&session.id_token)?;
            let known = Token::read(&known)?;
            let subject = known.claims().get("sub");
            self.believe(renewed, &answer.access_token, now_ms, |claims| {
                let nonce = claims.get("nonce");
                match claims.get("sub") == subject {
                    false => Err(Refusal::WrongSubject),
                    // OpenID Connect Core, section 12.2: absent, or the same.
                    true if nonce.is_some() && nonce != known.claims().get("nonce") => {
                        Err(Refusal::WrongNonce)
                    }
                    true => Ok(()),
                }
            })?;
        }
        Ok(session.clone().renewed(answer, now_ms))
    }

    /// Sends a browser to the provider.
    fn login(&self, visit: &Visit<'_>) -> Result<FullResponse, Refusal> {
        let endpoints = self.provider.endpoints()?;
        let login = Login::begin(return_path(visit.request), visit.request.time);
        let cookies = login.keep(visit.request, &visit.jar, &self.vault)?;
        let redirect_uri = self.redirect_uri(visit);
        let own = form([
            ("redirect_uri", redirect_uri.as_str()),
            ("state", &login.state),
            ("nonce", &login.nonce),
            ("code_challenge", &login.challenge()),
        ]);
        let question = format!("{}&{own}", self.question);
        Ok(redirect(302, &with_query(&endpoints.authorization, &question), cookies))
    }

    fn redirect_uri(&self, visit: &Visit<'_>) -> String {
        format!("{}{}", visit.site.origin, self.callback_path)
    }

    /// Ends a login: whatever becomes of it, its cookie is used up.
    fn callback(&self, visit: &Visit<'_>) -> Denial {
        let begun = one(visit.request, "state").and_then(|state| {
            let state = state.ok_or(Refusal::CallbackMalformed)?;
            Login::ended_by(state, visit.request, (&visit.jar, &self.vault))
        });
        let (login, used_up) = match begun {
            Ok(begun) => begun,
            Err(refusal) => return refusal.into(),
        };
        let ended = self.confirmed(&login, visit).and_then(|session| {
            let mut cookies = session.keep(&visit.jar, &self.vault, self.lives)?;
            cookies.push(used_up.clone());
            Ok(redirect(302, &login.return_to, cookies))
        });
        match ended {
            Ok(response) => Denial::Respond(response),
            Err(refusal) => refusal.with_headers(vec![used_up]),
        }
    }

    /// The session that the provider's answer in a callback opens.
    fn confirmed(&self, login: &Login, visit: &Visit<'_>) -> Result<Session, Refusal> {
        let (request, now_ms) = (visit.request, visit.request.time);
        let endpoints = self.provider.endpoints()?;
        // RFC 9207: an answer that another provider sent must not be given to this one.
        match one(request, "iss")? {
            Some(issuer) if issuer == self.provider.issuer => {}
            None if !endpoints.names_itself => {}
            _ => return Err(Refusal::WrongIssuer),
        }
        if let Some(error) = one(request, "error")? {
            let error = error_name(error).unwrap_or("unnamed");
            log::info(format!("the provider refused a login: {error}"));
            return Err(Refusal::LoginRefused);
        }
        let code = one(request, "code")?.filter(|code| !code.is_empty());
        let code = code.ok_or(Refusal::CallbackMalformed)?;
        let redirect_uri = self.redirect_uri(visit);
        let answer = self.provider.redeem(&endpoints, (code, &login.verifier), &redirect_uri)?;
        let id_token = answer.id_token.clone().ok_or(Refusal::TokenEndpointMalformed)?;
        self.believe(&id_token, &answer.access_token, now_ms, |claims| {
            let nonce = claims.get("nonce").and_then(Json::text);
            match nonce.is_some_and(|nonce| equal(nonce, &login.nonce)) {
                true => Ok(()),
                false => Err(Refusal::WrongNonce),
            }
        })?;
        let session = Session::begin(answer, id_token, now_ms);
        // Who cannot be named, or may not come in, has no session.
        session.grant(&self.issuer, &self.policy, self.lives)?;
        Ok(session)
    }

    /// Verifies an ID token (OpenID Connect Core, section 3.1.3.7), and what else its
    /// claims must be.
    fn believe(
        &self,
        id_token: &str,
        access_token: &str,
        now_ms: u64,
        check: impl FnOnce(&Object<'_>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let parts = Parts::of(id_token)?;
        let token = Token::read(&parts)?;
        if token.issuer() != Some(&self.provider.issuer) {
            return Err(tokens::Refusal::UnknownIssuer.into());
        }
        self.issuer.admit(&token, &self.policy, now_ms)?;
        let claims = token.claims();
        let audiences = claims.get("aud").and_then(Json::texts).map_or(0, |texts| texts.len());
        match claims.get("azp") {
            Some(party) if party.text() == Some(&self.provider.client_id) => {}
            None if audiences == 1 => {}
            _ => return Err(Refusal::WrongParty),
        }
        if let Some(hash) = claims.get("at_hash") {
            let whole = digest(token.algorithm().hash(), access_token);
            let half = whole.get(..whole.len() / 2).unwrap_or_default();
            if hash.text() != Some(&URL_SAFE_NO_PAD.encode(half)) {
                return Err(Refusal::WrongAccessToken);
            }
        }
        check(claims)
    }

    /// Ends the session here, and at the provider where that can be.
    fn logout(&self, visit: &Visit<'_>) -> Result<FullResponse, Refusal> {
        if !visit.site.asked_by_itself(visit.request) {
            return Err(Refusal::CrossSiteLogout);
        }
        let cookies = visit.jar.clear_session(visit.request);
        // A session that cannot be read, or a provider that is away, keeps nobody here.
        let session = Session::of(visit.request, &visit.jar, &self.vault).ok();
        let end_session =
            self.provider.endpoints().ok().and_then(|endpoints| endpoints.end_session);
        Ok(match (session, end_session) {
            (Some((session, _)), Some(end_session)) => {
                let back = self.after_logout.as_ref();
                let back = back.map(|path| format!("{}{path}", visit.site.origin));
                let own = [
                    ("client_id", Some(self.provider.client_id.as_str())),
                    ("id_token_hint", Some(session.id_token.as_str())),
                    ("post_logout_redirect_uri", back.as_deref()),
                ];
                let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
                redirect(303, &with_query(&end_session, &form(own)), cookies)
            }
            _ => match &self.after_logout {
                Some(path) => redirect(303, path, cookies),
                None => goodbye(cookies),
            },
        })
    }
}

/// What is said where nobody else says it.
fn goodbye(headers: Vec<Header>) -> FullResponse {
    let response = FullResponse::new(200)
        .with_header("content-type", "text/plain; charset=utf-8")
        .with_header("cache-control", "no-store")
        .with_body("You are logged out.\n");
    with_headers(response, headers)
}

/// The one value of a parameter of the callback.
fn one<'r>(request: &'r Request, name: &str) -> Result<Option<&'r str>, Refusal> {
    let mut values = request.parameters_all(name);
    let first = values.next();
    match values.next() {
        Some(_) => Err(Refusal::CallbackMalformed),
        None => Ok(first),
    }
}

fn with_query(url: &str, query: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{query}")
}

export!(OidcLogin: authorizer);

#[cfg(test)]
mod tests;
