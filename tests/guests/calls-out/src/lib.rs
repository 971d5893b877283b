//! Asks an HTTP service whether a token is good, by plain `wasi:http`: 200 opens, and
//! the answer's body is the attribute `said`. A reason tells what else came of it.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, IoError, OutgoingRequest, Scheme, http_error_code,
};
use wasip2::io::streams::StreamError;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CallsOut {
    /// Where to ask, without a scheme or a path.
    authority: String,
    /// Whether to ask over TLS.
    #[serde(default)]
    tls: bool,
    /// How often to ask; the last answer counts.
    #[serde(default = "once")]
    times: u32,
    /// The header that carries the token.
    #[serde(default = "authorization")]
    header: String,
}

impl Plugin for CallsOut {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new().reads_header("x-token")
    }
}

impl Authorizer for CallsOut {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let token = request.header("x-token").ok_or(Denial::NotMine)?;
        let mut said = String::new();
        for _ in 0..self.times {
            said = self.ask(token)?;
        }
        Ok(Grant::to("asked").with_attribute("said", said))
    }
}

impl CallsOut {
    fn ask(&self, token: &str) -> Result<String, Denial> {
        let headers = Fields::new();
        let set = headers.set(&self.header, &[token.as_bytes().to_vec()]);
        set.map_err(|_| Denial::forbidden("header-refused"))?;
        let question = OutgoingRequest::new(headers);
        let scheme = if self.tls { Scheme::Https } else { Scheme::Http };
        question.set_scheme(Some(&scheme)).map_err(|()| unusable())?;
        question.set_authority(Some(&self.authority)).map_err(|()| unusable())?;
        question.set_path_with_query(Some("/token")).map_err(|()| unusable())?;
        let coming = handle(question, None).map_err(|error| denial(&error))?;
        coming.subscribe().block();
        let answer = coming.get().and_then(Result::ok).ok_or_else(unusable)?;
        let answer = answer.map_err(|error| denial(&error))?;
        match answer.status() {
            200 => text(&answer),
            status => Err(Denial::unauthenticated(format!("status-{status}"))),
        }
    }
}

fn text(answer: &IncomingResponse) -> Result<String, Denial> {
    let body = answer.consume().map_err(|()| unusable())?;
    let stream = body.stream().map_err(|()| unusable())?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(broken(&error));
            }
        }
    }
}

/// The host's `http-error-code` does not know the errors of its own bodies (wasmtime 48),
/// so their words have to do.
fn broken(error: &IoError) -> Denial {
    let words = error.to_debug_string();
    let said = |what: &str| words.contains(what);
    Denial::forbidden(match http_error_code(error) {
        None if said("response body size exceeds") => "answer-too-long",
        None if said("response timeout") => "answer-too-late",
        None => "unusable",
        Some(code) => return denial(&code),
    })
}

fn denial(error: &ErrorCode) -> Denial {
    Denial::forbidden(match error {
        ErrorCode::HttpRequestDenied => "request-denied",
        ErrorCode::DestinationIpProhibited => "address-prohibited",
        ErrorCode::HttpResponseBodySize(_) => "answer-too-long",
        ErrorCode::HttpResponseTimeout => "answer-too-late",
        ErrorCode::TlsCertificateError => "certificate-refused",
        _ => "unreachable",
    })
}

fn unusable() -> Denial {
    Denial::forbidden("unusable")
}

fn once() -> u32 {
    1
}

fn authorization() -> String {
    "authorization".to_owned()
}

export!(CallsOut: authorizer);
