//! Judges and measures bodies: as a validator it refuses those that end in `!`, as
//! a request-transform it tells the upstream `x-body-length` and `x-body-sha256`. What it
//! is shown of a body that it peeks into is a body to it.

use portcullis_plugin_sdk::crypto::{HashAlgorithm, digest};
use portcullis_plugin_sdk::{
    Body, Plan, Plugin, Request, RequestEdit, RequestOutcome, RequestTransform, Validator, Value,
    Violation, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EchoBody {
    /// The longest body to read, in bytes.
    #[serde(default = "sixteen_mebibytes")]
    max: u64,
    /// How much of the beginning to read, in the place of all.
    peek: Option<u64>,
}

impl Plugin for EchoBody {
    type Settings = Self;

    fn plan(&self) -> Plan {
        match self.peek {
            Some(bytes) => Plan::new().peeks_body(bytes),
            None => Plan::new().buffers_body(self.max),
        }
    }
}

impl Validator for EchoBody {
    fn validate(&self, request: &Request) -> Vec<Violation> {
        match bytes(request.body.as_ref()).ends_with(b"!") {
            true => vec![Violation::at("", "must not end in `!`")],
            false => Vec::new(),
        }
    }
}

impl RequestTransform for EchoBody {
    fn transform_request(&self, request: &Request) -> RequestOutcome {
        let body = bytes(request.body.as_ref());
        let digest = Value::Bytes(digest(HashAlgorithm::Sha256, body));
        vec![
            RequestEdit::set("x-body-length", body.len().to_string()),
            RequestEdit::set("x-body-sha256", digest.to_string()),
        ]
        .into()
    }
}

fn bytes(body: Option<&Body>) -> &[u8] {
    body.map(|body| body.bytes.as_slice()).unwrap_or_default()
}

fn sixteen_mebibytes() -> u64 {
    16 << 20
}

export!(EchoBody: validator, request_transform);
