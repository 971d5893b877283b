//! The provider: where its endpoints are, and what its token endpoint says.

use std::borrow::Cow;

use portcullis_plugin_sdk::http::{HttpError, Request, Response};
use portcullis_plugin_sdk::{Plan, keys, log, secrets};
use tokens::url::{basic, form, origin};
use tokens::{Json, Object};

use crate::refusal::Refusal;
use crate::settings::ClientAuthentication;

/// Bytes of the token endpoint's answer.
const ANSWER_BYTES: usize = 64 << 10;
/// Characters of an error's name.
const ERROR_NAME: usize = 64;

/// A provider, and a client of it.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its name.
    pub(crate) issuer: String,
    /// The client's name.
    pub(crate) client_id: String,
    /// The name of the client's granted secret.
    pub(crate) client_secret: String,
    /// How the client proves itself, where the operator says so.
    pub(crate) authentication: Option<ClientAuthentication>,
    /// Its token endpoint, where the operator says so.
    pub(crate) token_endpoint: Option<String>,
}

/// What the discovery document says.
#[derive(Debug)]
pub(crate) struct Endpoints {
    /// Where browsers are sent to log in.
    pub(crate) authorization: String,
    /// Where codes are given for tokens.
    token: String,
    /// Where browsers are sent to log out.
    pub(crate) end_session: Option<String>,
    /// How the client proves itself.
    authentication: ClientAuthentication,
    /// Whether callbacks say whose they are.
    pub(crate) names_itself: bool,
}

/// What the token endpoint said.
pub(crate) struct Answer {
    /// The ID token; not verified.
    pub(crate) id_token: Option<String>,
    /// The access token.
    pub(crate) access_token: String,
    /// The refresh token.
    pub(crate) refresh_token: Option<String>,
    /// The scopes granted.
    pub(crate) scope: Option<String>,
    expires_in_s: Option<u64>,
}

impl Provider {
    /// What the host must hold ready.
    pub(crate) fn asks(&self, plan: Plan) -> Plan {
        let urls = [Some(&self.issuer), self.token_endpoint.as_ref()];
        let origins = urls.into_iter().flatten().filter_map(|url| origin(url));
        let plan = origins.fold(plan, |plan, origin| plan.calls_origin(origin));
        match self.authentication {
            Some(ClientAuthentication::None) => plan,
            _ => plan.reveals_secret(&self.client_secret),
        }
    }

    /// What the discovery document says.
    pub(crate) fn endpoints(&self) -> Result<Endpoints, Refusal> {
        let document = keys::metadata(&self.issuer).map_err(|_| Refusal::DiscoveryUnavailable)?;
        let malformed = |lacks: &str| {
            log::warn(format!("the provider's discovery document has no usable {lacks}"));
            Refusal::DiscoveryMalformed
        };
        let document = Object::read(document.as_bytes()).ok_or_else(|| malformed("JSON object"))?;
        let text = |name: &str| document.get(name).and_then(Json::text);
        if text("issuer") != Some(&self.issuer) {
            return Err(malformed("`issuer`"));
        }
        let endpoint = |name: &str| {
            let url = text(name).filter(|url| self.may_lead_to(url));
            url.map(str::to_owned)
        };
        let authorization = endpoint("authorization_endpoint");
        let authorization = authorization.ok_or_else(|| malformed("`authorization_endpoint`"))?;
        let token = self.token_endpoint.clone().or_else(|| endpoint("token_endpoint"));
        let token = token.ok_or_else(|| malformed("`token_endpoint`"))?;
        let methods = document.get("token_endpoint_auth_methods_supported").and_then(Json::texts);
        let says = |name: &str| methods.as_ref().is_some_and(|methods| methods.contains(&name));
        let only_in_the_form = says("client_secret_post") && !says("client_secret_basic");
        let authentication = self.authentication.unwrap_or(match only_in_the_form {
            true => ClientAuthentication::ClientSecretPost,
            false => ClientAuthentication::ClientSecretBasic,
        });
        let names_itself = document.get("authorization_response_iss_parameter_supported");
        Ok(Endpoints {
            authorization,
            token,
            end_session: endpoint("end_session_endpoint"),
            authentication,
            names_itself: names_itself == Some(&Json::Bool(true)),
        })
    }

    /// Whether browsers may be sent there: over HTTPS, unless the issuer has none itself.
    fn may_lead_to(&self, url: &str) -> bool {
        let is_as_safe = url.starts_with("https://") || self.issuer.starts_with("http://");
        is_as_safe && origin(url).is_some() && url.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Gives a code for tokens.
    pub(crate) fn redeem(
        &self,
        endpoints: &Endpoints,
        (code, verifier): (&str, &str),
        redirect_uri: &str,
    ) -> Result<Answer, Refusal> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", redirect_uri),
        ];
        self.ask(endpoints, &form)
    }

    /// Gives a refresh token for tokens.
    pub(crate) fn refresh(
        &self,
        endpoints: &Endpoints,
        refresh_token: &str,
    ) -> Result<Answer, Refusal> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.ask(endpoints, &form).map_err(|refusal| match refusal {
            Refusal::CodeRefused => Refusal::RefreshRefused,
            other => other,
        })
    }

    fn ask(&self, endpoints: &Endpoints, said: &[(&str, &str)]) -> Result<Answer, Refusal> {
        let mut pairs: Vec<(&str, Cow<'_, [u8]>)> =
            said.iter().map(|(name, value)| (*name, value.as_bytes().into())).collect();
        let mut request = Request::post(&endpoints.token);
        match endpoints.authentication {
            ClientAuthentication::ClientSecretBasic => {
                let secret = secrets::reveal(&self.client_secret)?;
                request = request.with_header("authorization", basic(&self.client_id, &secret));
            }
            ClientAuthentication::ClientSecretPost => {
                pairs.push(("client_id", self.client_id.as_bytes().into()));
                pairs.push(("client_secret", secrets::reveal(&self.client_secret)?.into()));
            }
            ClientAuthentication::None => {
                pairs.push(("client_id", self.client_id.as_bytes().into()));
            }
        }
        let answer = request
            .with_header("content-type", "application/x-www-form-urlencoded")
            .with_header("accept", "application/json")
            .with_body(form(pairs))
            .reads_at_most(ANSWER_BYTES)
            .send();
        let answer = answer.map_err(|error| unanswered(&endpoints.token, &error))?;
        match answer.status {
            200 => Answer::read(&answer.body).ok_or_else(|| {
                log::warn("the token endpoint's answer is not what it must be");
                Refusal::TokenEndpointMalformed
            }),
            400..500 if answer.status != 429 => Err(refused(&answer)),
            status => {
                log::warn(format!("the token endpoint answered with the status {status}"));
                Err(Refusal::TokenEndpointUnavailable)
            }
        }
    }
}

fn unanswered(endpoint: &str, error: &HttpError) -> Refusal {
    let origin = origin(endpoint).unwrap_or_default();
    match error {
        HttpError::Denied => {
            log::warn(format!(
                "the token endpoint is at `{origin}`, which may not be called: write `token_endpoint` into the settings"
            ));
            Refusal::TokenEndpointNotGranted
        }
        HttpError::TooLong => {
            log::warn("the token endpoint's answer is too long");
            Refusal::TokenEndpointMalformed
        }
        error => {
            log::warn(format!("the token endpoint at `{origin}` cannot be asked: {error}"));
            Refusal::TokenEndpointUnavailable
        }
    }
}

/// Whose fault a refusal is: the client's, which the operator wrote, or the code's.
fn refused(answer: &Response) -> Refusal {
    let body = Object::read(&answer.body).unwrap_or_default();
    let error = body.get("error").and_then(Json::text).and_then(error_name);
    log::warn(format!(
        "the token endpoint refused with the status {} and the error {}",
        answer.status,
        error.unwrap_or("unnamed")
    ));
    match error {
        Some("invalid_client" | "unauthorized_client") => Refusal::ClientRefused,
        _ if answer.status == 401 => Refusal::ClientRefused,
        _ => Refusal::CodeRefused,
    }
}

/// The name of an error, if it is one that may be shown.
pub(crate) fn error_name(written: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let fits = !written.is_empty() && written.len() <= ERROR_NAME;
    (fits && written.bytes().all(is_plain)).then_some(written)
}

impl Answer {
    fn read(body: &[u8]) -> Option<Self> {
        let members = Object::read(body)?;
        let text = |name: &str| match members.get(name) {
            None | Some(Json::Null) => Some(None),
            Some(Json::Text(text)) if text.is_empty() => Some(None),
            Some(Json::Text(text)) => Some(Some(text.clone().into_owned())),
            Some(_) => None,
        };
        let kind = text("token_type")?.unwrap_or_default();
        if !kind.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let expires_in_s = match members.get("expires_in") {
            None | Some(Json::Null) => None,
            Some(Json::Integer(seconds)) => Some(u64::try_from(*seconds).ok()?),
            // Some providers write it as a text.
            Some(Json::Text(seconds)) => Some(seconds.parse().ok()?),
            Some(_) => return None,
        };
        Some(Self {
            id_token: text("id_token")?,
            access_token: text("access_token")??,
            refresh_token: text("refresh_token")?,
            scope: text("scope")?,
            expires_in_s,
        })
    }

    /// Until when the provider's word counts, where it says so.
    pub(crate) fn fresh_until(&self, now_ms: u64) -> Option<u64> {
        let life_ms = self.expires_in_s?.saturating_mul(1000);
        Some(now_ms.saturating_add(life_ms))
    }
}
