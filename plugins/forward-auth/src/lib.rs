//! Asks an HTTP service whether a request may go on: forward authentication, as
//! other proxies do it (`auth_request`, `ForwardAuth`).
//!
//! 2xx opens; 401, 403 and redirects are the client's answer; whatever else, or
//! none at all, is no decision, and denies.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::http::{self, HttpError};
use portcullis_plugin_sdk::{
    Authorizer, Denial, FullResponse, Grant, Header, Plan, Plugin, Request, SettingsError, export,
    log,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The service, asked with GET: `http://auth.internal:9091/verify`.
    url: String,
    /// Request headers that it sees. Without a single one of them a request is left
    /// to other authorizers, unless `ask_always`.
    #[serde(default = "credentials")]
    request_headers: Vec<String>,
    /// Ask also about requests with none of these headers.
    #[serde(default)]
    ask_always: bool,
    /// The header of its answer that names the caller.
    #[serde(default = "remote_user")]
    principal_header: String,
    /// Headers of its answer that become `identity:<name>`, by that name.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// Headers of a refusal that the client receives.
    #[serde(default = "refusal_headers")]
    refusal_headers: Vec<String>,
    /// Headers of an approval that the client receives, such as `set-cookie`.
    #[serde(default)]
    response_headers: Vec<String>,
    /// How long an approval may be kept, in seconds, by `cache`; as long as that says
    /// where absent.
    max_age: Option<u32>,
}

/// An authorizer that asks.
#[derive(Debug)]
struct ForwardAuth {
    origin: String,
    settings: Settings,
}

/// Bytes of an answer's body; only a refusal's is used.
const ANSWER_BYTES: usize = 64 << 10;

impl TryFrom<Settings> for ForwardAuth {
    type Error = SettingsError;

    fn try_from(mut settings: Settings) -> Result<Self, SettingsError> {
        let origin = origin(&settings.url).ok_or_else(|| {
            SettingsError::at(
                "/url",
                "write an absolute URL, as `http://auth.internal:9091/verify`",
            )
        })?;
        let origin = origin.to_owned();
        for name in [&mut settings.request_headers, &mut settings.refusal_headers]
            .into_iter()
            .chain([&mut settings.response_headers])
            .flatten()
            .chain([&mut settings.principal_header])
        {
            name.make_ascii_lowercase();
        }
        if let Some(index) = settings.request_headers.iter().position(|name| name == "*") {
            return Err(SettingsError::at(
                format!("/request_headers/{index}"),
                "name each header that the service may see",
            ));
        }
        Ok(Self { origin, settings })
    }
}

impl Plugin for ForwardAuth {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        let plan = Plan::new().calls_origin(&self.origin).cacheable();
        self.settings.request_headers.iter().fold(plan, Plan::reads_header)
    }
}

impl Authorizer for ForwardAuth {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        if request.headers.is_empty() && !self.settings.ask_always {
            return Err(Denial::NotMine);
        }
        let answer = self.question(request).send().map_err(|error| unreachable(&error))?;
        match answer.status {
            200..=299 => self.grant(request, &answer),
            300..=399 | 401 | 403 => Err(self.refusal(answer)),
            status => {
                log::warn(format!("the service answered {status}, which is no decision"));
                Err(Denial::unavailable(format!("status-{status}")))
            }
        }
    }
}

impl ForwardAuth {
    /// What the service is asked. The names of the `x-forwarded-*` headers are those
    /// that such services already read.
    fn question(&self, request: &Request) -> http::Request {
        let target = match &request.query {
            Some(query) => format!("{}?{query}", request.raw_path),
            None => request.raw_path.clone(),
        };
        let mut question = http::Request::get(&self.settings.url).reads_at_most(ANSWER_BYTES);
        question.headers = request.headers.clone();
        question.headers.retain(|header| !header.name.starts_with("x-forwarded-"));
        question
            .with_header("x-forwarded-method", request.method.as_bytes())
            .with_header("x-forwarded-proto", request.scheme.as_bytes())
            .with_header("x-forwarded-host", request.authority.as_bytes())
            .with_header("x-forwarded-uri", target.as_bytes())
            .with_header("x-forwarded-for", request.client_address.as_bytes())
    }

    fn grant(&self, request: &Request, answer: &http::Response) -> Result<Grant, Denial> {
        let principal = answer.header(&self.settings.principal_header).unwrap_or_default();
        let mut grant = Grant::to(principal);
        for (name, header) in &self.settings.attributes {
            if let Some(value) = answer.header(header) {
                grant = grant.with_attribute(name, value);
            }
        }
        for header in selected(&answer.headers, &self.settings.response_headers) {
            grant = grant.with_response_header(&header.name, header.value.clone());
        }
        if let Some(seconds) = self.settings.max_age {
            grant = grant.expires_at_ms(request.time.saturating_add(u64::from(seconds) * 1000));
        }
        Ok(grant)
    }

    fn refusal(&self, answer: http::Response) -> Denial {
        let mut response = FullResponse::new(answer.status).with_body(answer.body);
        response.headers =
            selected(&answer.headers, &self.settings.refusal_headers).cloned().collect();
        Denial::Respond(response)
    }
}

fn selected<'a>(headers: &'a [Header], names: &'a [String]) -> impl Iterator<Item = &'a Header> {
    headers.iter().filter(|header| names.iter().any(|name| header.name.eq_ignore_ascii_case(name)))
}

fn unreachable(error: &HttpError) -> Denial {
    log::warn(format!("the service cannot be asked: {error}"));
    Denial::unavailable(error.code())
}

/// The scheme and authority that a URL begins with.
fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| rest.get(..end).unwrap_or(rest));
    if !matches!(scheme, "http" | "https") || authority.is_empty() {
        return None;
    }
    url.get(..scheme.len() + "://".len() + authority.len())
}

fn credentials() -> Vec<String> {
    vec!["authorization".to_owned(), "cookie".to_owned()]
}

fn remote_user() -> String {
    "remote-user".to_owned()
}

fn refusal_headers() -> Vec<String> {
    ["content-type", "location", "set-cookie", "www-authenticate"].map(str::to_owned).to_vec()
}

export!(ForwardAuth: authorizer);

#[cfg(test)]
mod tests;
