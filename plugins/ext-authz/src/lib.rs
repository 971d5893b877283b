//! Asks a service that speaks Envoy's external authorization over gRPC.
//!
//! Its OK opens; its denial is the client's answer; whatever else, or none at all, is
//! no decision, and denies.

mod grpc;
mod proto;

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{
    Authorizer, Denial, FullResponse, Grant, Header, Plan, Plugin, Request, SettingsError, export,
    log,
};
use schemars::JsonSchema;
use serde::Deserialize;

use proto::{
    Address, AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption,
    HttpRequest, HttpResponse, OkHttpResponse, Peer, SocketAddress, Timestamp,
};

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the service is: a scheme, a host and a port, as `http://10.0.0.7:9001`.
    target: String,
    /// Request headers that it sees; `*` shows it all of them.
    #[serde(default = "all")]
    request_headers: Vec<String>,
    /// Bytes of the beginning of the body that it sees; none where absent.
    body_bytes: Option<u64>,
    /// What it is told beside the request (`context_extensions`).
    #[serde(default)]
    context: BTreeMap<String, String>,
    /// The header that it would have added to the request to name the caller.
    #[serde(default = "user")]
    principal_header: String,
    /// Headers that it would have added to the request, which become
    /// `identity:<name>`, by that name.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// An authorizer that asks.
#[derive(Debug)]
struct ExtAuthz {
    url: String,
    settings: Settings,
}

impl TryFrom<Settings> for ExtAuthz {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        let target = settings.target.trim_end_matches('/');
        let authority = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"));
        if !authority.is_some_and(|authority| !authority.is_empty() && !authority.contains('/')) {
            let message = "write a scheme, a host and a port, as `http://10.0.0.7:9001`";
            return Err(SettingsError::at("/target", message));
        }
        Ok(Self { url: format!("{target}{}", proto::CHECK), settings })
    }
}

impl Plugin for ExtAuthz {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        let plan = Plan::new()
            .calls_origin(self.settings.target.trim_end_matches('/'))
            .reads_attribute("request:id")
            .reads_attribute("identity:principal")
            .cacheable();
        let plan = match self.settings.body_bytes {
            Some(bytes) => plan.peeks_body(bytes),
            None => plan,
        };
        self.settings.request_headers.iter().fold(plan, Plan::reads_header)
    }
}

impl Authorizer for ExtAuthz {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let answer: Result<CheckResponse, _> = grpc::call(&self.url, &self.question(request));
        let answer = answer.map_err(|error| no_decision(error.code()))?;
        match (answer.status.map(|status| status.code), answer.http_response) {
            (Some(0), Some(HttpResponse::Ok(ok))) => Ok(self.grant(&ok)),
            (Some(0), None) => Ok(self.grant(&OkHttpResponse::default())),
            (Some(code), Some(HttpResponse::Denied(denied))) if code != 0 => Err(refusal(denied)),
            (Some(code), None) if code != 0 => Err(Denial::forbidden(format!("grpc-{code}"))),
            _ => Err(no_decision("contradictory-answer".to_owned())),
        }
    }
}

impl ExtAuthz {
    fn question(&self, request: &Request) -> CheckRequest {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for header in &request.headers {
            let value = String::from_utf8_lossy(&header.value);
            let joined = headers.entry(header.name.clone()).or_default();
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(&value);
        }
        let path = match &request.query {
            Some(query) => format!("{}?{query}", request.raw_path),
            None => request.raw_path.clone(),
        };
        let raw_body = request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default();
        let http = HttpRequest {
            id: request.attribute("request:id").unwrap_or_default().to_owned(),
            method: request.method.clone(),
            headers,
            path,
            host: request.authority.clone(),
            scheme: request.scheme.clone(),
            size: request
                .header("content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or(-1),
            raw_body,
        };
        let source = Peer {
            address: Some(Address {
                socket_address: Some(SocketAddress { address: request.client_address.clone() }),
            }),
            principal: request.attribute("identity:principal").unwrap_or_default().to_owned(),
        };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(source),
                request: Some(proto::Request { time: Some(time(request.time)), http: Some(http) }),
                context_extensions: self.settings.context.clone(),
            }),
        }
    }

    fn grant(&self, ok: &OkHttpResponse) -> Grant {
        let added = |name: &str| {
            let mut headers = ok.headers.iter().filter_map(|option| option.header.as_ref());
            let header = headers.find(|header| header.key.eq_ignore_ascii_case(name))?;
            match header.raw_value.as_slice() {
                [] => Some(header.value.clone()),
                raw => String::from_utf8(raw.to_vec()).ok(),
            }
        };
        let mut grant = Grant::to(added(&self.settings.principal_header).unwrap_or_default());
        for (name, header) in &self.settings.attributes {
            if let Some(value) = added(header) {
                grant = grant.with_attribute(name, value);
            }
        }
        grant.response_headers = headers(&ok.response_headers_to_add);
        grant
    }
}

fn refusal(denied: DeniedHttpResponse) -> Denial {
    let code = denied.status.and_then(|status| u16::try_from(status.code).ok());
    let status = code.filter(|code| (200..600).contains(code)).unwrap_or(403);
    let mut response = FullResponse::new(status).with_body(denied.body);
    response.headers = headers(&denied.headers);
    Denial::Respond(response)
}

fn headers(options: &[HeaderValueOption]) -> Vec<Header> {
    let header = |option: &HeaderValueOption| {
        let header = option.header.as_ref()?;
        let value = match header.raw_value.as_slice() {
            [] => header.value.as_bytes(),
            raw => raw,
        };
        Some(Header::new(&header.key, value))
    };
    options.iter().filter_map(header).collect()
}

fn no_decision(code: String) -> Denial {
    log::warn(format!("the service made no decision: {code}"));
    Denial::unavailable(code)
}

fn time(ms: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(ms % 1000).unwrap_or(0) * 1_000_000,
    }
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

fn user() -> String {
    "x-user".to_owned()
}

export!(ExtAuthz: authorizer);

#[cfg(test)]
mod tests;
