//! What claims must be for a token to hold, and what they tell of its bearer.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{Attribute, Grant, SettingsError, Value};

use crate::json::{Json, Object};
use crate::refusal::Refusal;
use crate::settings::{Scalar, Texts, Wanted};

/// The last second that counts, of the year 9999: seconds since 1970 that are beyond it
/// are milliseconds, or a mischief.
const LAST_SECOND: f64 = 253_402_300_799.0;
/// Claims that have rules of their own.
const RESERVED: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "scope", "scp"];

/// What holds for every issuer.
#[derive(Debug)]
pub struct Policy {
    /// By how much clocks may differ, in milliseconds.
    pub leeway_ms: u64,
    /// How long after `iat` a token holds, in milliseconds.
    pub max_age_ms: Option<u64>,
    /// The claims that hold scopes.
    pub scope_claims: Vec<String>,
    /// The claim that names the caller.
    pub principal: String,
    /// The claims that become attributes; all where absent.
    pub attributes: Option<Vec<String>>,
}

/// What one issuer's tokens must say.
#[derive(Debug)]
pub struct Rules {
    audience: Audience,
    claims: Vec<(String, Vec<Scalar>)>,
    required: Vec<String>,
}

#[derive(Debug)]
enum Audience {
    Any,
    OneOf(Vec<String>),
}

impl Rules {
    /// Checks the rules of a table of settings, which the pointer names.
    ///
    /// # Errors
    ///
    /// Where they contradict one another; with the member at fault.
    pub fn new(
        audience: Option<Texts>,
        claims: Option<BTreeMap<String, Wanted>>,
        required: Vec<String>,
        pointer: &str,
    ) -> Result<Self, SettingsError> {
        let audience = audience.map(Texts::into_vec).unwrap_or_default();
        let audience = match audience.as_slice() {
            [] => {
                return Err(SettingsError::at(
                    format!("{pointer}/audience"),
                    "say whom the tokens are for: `audience = [\"…\"]`, or `[\"*\"]` for every audience",
                ));
            }
            [any] if any == "*" => Audience::Any,
            _ => Audience::OneOf(audience),
        };
        let claims = claims.unwrap_or_default();
        if let Some(name) = claims.keys().find(|name| RESERVED.contains(&name.as_str())) {
            return Err(SettingsError::at(
                format!("{pointer}/claims/{name}"),
                format!(
                    "`{name}` has a rule of its own: `audience`, `leeway`, or a route's `scopes`"
                ),
            ));
        }
        let claims = claims.into_iter().map(|(name, wanted)| (name, wanted.into_vec())).collect();
        Ok(Self { audience, claims, required })
    }

    /// Judges claims at a time, in milliseconds since 1970; gives when they stop to hold.
    ///
    /// # Errors
    ///
    /// Where they do not hold.
    pub fn judge(
        &self,
        claims: &Object<'_>,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Option<u64>, Refusal> {
        let ends = times(claims, policy, now_ms)?;
        if self.required.iter().any(|name| matches!(claims.get(name), None | Some(Json::Null))) {
            return Err(Refusal::MissingClaim);
        }
        self.check_audience(claims)?;
        self.check_claims(claims)?;
        Ok(ends)
    }

    pub(crate) fn check_claims(&self, claims: &Object<'_>) -> Result<(), Refusal> {
        for (name, wanted) in &self.claims {
            let claim = claims.get(name).ok_or(Refusal::ClaimMismatch)?;
            if !wanted.iter().any(|wanted| matches(claim, wanted)) {
                return Err(Refusal::ClaimMismatch);
            }
        }
        Ok(())
    }

    fn check_audience(&self, claims: &Object<'_>) -> Result<(), Refusal> {
        let said = match (claims.get("aud"), claims.get("client_id")) {
            (Some(audience), _) => audience.texts().ok_or(Refusal::MalformedClaim)?,
            (None, Some(client)) => vec![client.text().ok_or(Refusal::MalformedClaim)?],
            (None, None) => Vec::new(),
        };
        match &self.audience {
            Audience::Any => Ok(()),
            Audience::OneOf(ours) if said.iter().any(|name| ours.iter().any(|our| our == name)) => {
                Ok(())
            }
            Audience::OneOf(_) => Err(Refusal::WrongAudience),
        }
    }
}

/// Checks `exp`, `nbf` and `iat`; gives when the claims stop to hold.
fn times(claims: &Object<'_>, policy: &Policy, now_ms: u64) -> Result<Option<u64>, Refusal> {
    let expires = time(claims, "exp")?.map(|at| at.saturating_add(policy.leeway_ms));
    let latest = now_ms.saturating_add(policy.leeway_ms);
    if expires.is_some_and(|ends| now_ms >= ends) {
        return Err(Refusal::Expired);
    }
    if time(claims, "nbf")?.is_some_and(|begins| begins > latest) {
        return Err(Refusal::NotYetValid);
    }
    let issued = time(claims, "iat")?;
    if issued.is_some_and(|at| at > latest) {
        return Err(Refusal::IssuedInFuture);
    }
    let Some(age) = policy.max_age_ms else { return Ok(expires) };
    let issued = issued.ok_or(Refusal::MissingClaim)?;
    let grows_old = issued.saturating_add(age).saturating_add(policy.leeway_ms);
    match now_ms >= grows_old {
        true => Err(Refusal::TooOld),
        false => Ok(Some(expires.map_or(grows_old, |ends| ends.min(grows_old)))),
    }
}

/// A claim that is a time, in milliseconds since 1970; fractions of seconds count.
fn time(claims: &Object<'_>, name: &str) -> Result<Option<u64>, Refusal> {
    #[expect(clippy::cast_precision_loss, reason = "what is not exact is out of range")]
    let seconds = match claims.get(name) {
        None => return Ok(None),
        Some(Json::Integer(seconds)) => *seconds as f64,
        Some(Json::Number(seconds)) => *seconds,
        Some(_) => return Err(Refusal::MalformedClaim),
    };
    match (0.0..=LAST_SECOND).contains(&seconds) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in range and not negative"
        )]
        true => Ok(Some((seconds * 1000.0) as u64)),
        false => Err(Refusal::MalformedClaim),
    }
}

fn matches(claim: &Json<'_>, wanted: &Scalar) -> bool {
    match (claim, wanted) {
        (Json::List(list), _) => {
            list.iter().any(|element| !matches!(element, Json::List(_)) && matches(element, wanted))
        }
        (Json::Bool(claim), Scalar::Bool(wanted)) => claim == wanted,
        (Json::Integer(claim), Scalar::Integer(wanted)) => claim == wanted,
        #[expect(clippy::float_cmp, reason = "the same digits are the same number")]
        (Json::Number(claim), Scalar::Number(wanted)) => claim == wanted,
        (Json::Text(claim), Scalar::Text(wanted)) => claim == wanted,
        _ => false,
    }
}

impl Policy {
    /// Who bears a token with these claims.
    ///
    /// # Errors
    ///
    /// Where they name nobody, or scopes in a way that cannot be read.
    pub fn grant(&self, claims: &Object<'_>, expires_at: Option<u64>) -> Result<Grant, Refusal> {
        let principal = claims.get(&self.principal).and_then(Json::text);
        let principal = principal.filter(|name| !name.is_empty()).ok_or(Refusal::NoPrincipal)?;
        let mut grant = Grant::to(principal);
        grant.expires_at = expires_at;
        let attributes = &mut grant.identity.attributes;
        attributes.reserve(16);
        for (name, claim) in claims.members() {
            let is_wanted = |names: &Vec<String>| names.iter().any(|wanted| wanted == name);
            if self.attributes.as_ref().is_none_or(is_wanted)
                && let Some(value) = value(claim)
            {
                attributes.push(Attribute { name: ["claim.", name].concat(), value });
            }
        }
        for (name, claim) in [("issuer", "iss"), ("subject", "sub")] {
            if let Some(text) = claims.get(claim).and_then(Json::text) {
                attributes.push(Attribute::new(name, text));
            }
        }
        if let Some(scopes) = self.scopes(claims)? {
            attributes.push(Attribute::new("scopes", scopes));
        }
        Ok(grant)
    }

    /// All scopes of the claims that hold some; none where there is no such claim.
    fn scopes(&self, claims: &Object<'_>) -> Result<Option<Vec<String>>, Refusal> {
        let mut scopes: Option<Vec<String>> = None;
        for claim in self.scope_claims.iter().filter_map(|name| claims.get(name)) {
            let texts = claim.texts().ok_or(Refusal::MalformedClaim)?;
            let words = texts.iter().flat_map(|text| text.split(' ')).filter(|it| !it.is_empty());
            scopes.get_or_insert_default().extend(words.map(str::to_owned));
        }
        Ok(scopes)
    }
}

/// The value of an attribute; none for what is neither a scalar nor a list of texts.
fn value(claim: &Json<'_>) -> Option<Value> {
    Some(match claim {
        Json::Text(text) => Value::Text(text.clone().into_owned()),
        Json::Bool(value) => Value::Boolean(*value),
        Json::Integer(value) => Value::Integer(*value),
        Json::Number(value) => Value::Text(value.to_string()),
        Json::List(_) => Value::Texts(claim.texts()?.into_iter().map(str::to_owned).collect()),
        Json::Null | Json::Texts(_) | Json::Deep => return None,
    })
}
