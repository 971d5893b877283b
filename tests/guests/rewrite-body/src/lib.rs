//! Writes response bodies in capitals, up to 16 MiB of them.

use portcullis_plugin_sdk::{
    Plan, Plugin, Request, Response, ResponseEdit, ResponseOutcome, ResponseTransform, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RewriteBody {}

impl Plugin for RewriteBody {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new().buffers_response_body(16 << 20)
    }
}

impl ResponseTransform for RewriteBody {
    fn transform_response(&self, _: &Request, response: &Response) -> ResponseOutcome {
        let body = response.body.as_ref().map(|body| body.bytes.to_ascii_uppercase());
        body.map(ResponseEdit::body).into_iter().collect::<Vec<_>>().into()
    }
}

export!(RewriteBody: response_transform);
