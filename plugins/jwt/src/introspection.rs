//! Opaque tokens, of which only the server that issued them knows what they are worth: it
//! is asked (RFC 7662).

use portcullis_plugin_sdk::http::{Request, Response};
use portcullis_plugin_sdk::{Grant, Plan, Request as Incoming, SettingsError, log, secrets};
use tokens::url::{basic, form, origin};
use tokens::{Json, Object, Policy, Refusal, Rules};

use crate::binding::Binding;
use crate::settings::IntrospectionSettings;

/// Bytes of the server's answer.
const ANSWER_BYTES: usize = 64 << 10;

/// A server that knows opaque tokens.
#[derive(Debug)]
pub(crate) struct Introspection {
    url: String,
    origin: String,
    client_id: String,
    /// The name of the granted secret.
    client_secret: String,
    rules: Rules,
}

/// Whether a token is no JSON Web Signature by its form, so that only a server can tell.
pub(crate) fn is_opaque(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() != 2
}

impl Introspection {
    /// Checks the settings `introspection`.
    pub(crate) fn new(
        settings: IntrospectionSettings,
        required: &[String],
    ) -> Result<Self, SettingsError> {
        let origin = origin(&settings.url).ok_or_else(|| {
            SettingsError::at(
                "/introspection/url",
                "write an absolute URL, as `https://login.example.com/introspect`",
            )
        })?;
        let origin = origin.to_owned();
        let rules =
            Rules::new(settings.audience, settings.claims, required.to_vec(), "/introspection")?;
        Ok(Self {
            url: settings.url,
            origin,
            client_id: settings.client_id,
            client_secret: settings.client_secret,
            rules,
        })
    }

    /// What the host must hold ready.
    pub(crate) fn asks(&self, plan: Plan) -> Plan {
        plan.calls_origin(&self.origin).reveals_secret(&self.client_secret)
    }

    /// Asks about the token of a request, and judges the answer.
    pub(crate) fn admit(
        &self,
        token: &str,
        (policy, binding): (&Policy, Binding),
        request: &Incoming,
    ) -> Result<Grant, Refusal> {
        // RFC 6750, section 2.1: what has another character is nobody's token.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !token.bytes().all(is_token) {
            return Err(Refusal::MalformedToken);
        }
        let answer = self.ask(token)?;
        let claims = Object::read(&answer.body).ok_or_else(|| no_answer("no JSON object"))?;
        match claims.get("active") {
            Some(Json::Bool(true)) => {}
            Some(Json::Bool(false)) => return Err(Refusal::Inactive),
            _ => return Err(no_answer("without `active`")),
        }
        // A token that is bound to a key (RFC 9449) is worth nothing without its proof.
        let kind = claims.get("token_type").map(Json::text);
        if kind.is_some_and(|kind| !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))) {
            return Err(Refusal::WrongType);
        }
        let expires_at = self.rules.judge(&claims, policy, request.time)?;
        binding.check(&claims, request)?;
        policy.grant(&claims, expires_at)
    }

    fn ask(&self, token: &str) -> Result<Response, Refusal> {
        let secret = secrets::reveal(&self.client_secret).map_err(|error| {
            log::warn(format!("the client's secret cannot be sent: {error}"));
            Refusal::Unanswered
        })?;
        let answer = Request::post(&self.url)
            .with_header("authorization", basic(&self.client_id, &secret))
            .with_header("content-type", "application/x-www-form-urlencoded")
            .with_header("accept", "application/json")
            .with_body(form([("token", token), ("token_type_hint", "access_token")]))
            .reads_at_most(ANSWER_BYTES)
            .send()
            .map_err(|error| {
                log::warn(format!("the introspection endpoint cannot be asked: {error}"));
                Refusal::Unanswered
            })?;
        match answer.status {
            200 => Ok(answer),
            status => Err(no_answer(&format!("with the status {status}"))),
        }
    }
}

/// The server said nothing of the token: its fault or the operator's, not the client's.
fn no_answer(how: &str) -> Refusal {
    log::warn(format!("the introspection endpoint answered {how}"));
    Refusal::Unanswered
}
