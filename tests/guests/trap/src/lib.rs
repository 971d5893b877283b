//! Panics in every role, having said why.

#![expect(clippy::panic, reason = "this is the misbehaviour")]

use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, RequestOutcome, RequestTransform, Response,
    ResponseOutcome, ResponseTransform, Validator, Violation, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Trap {}

impl Plugin for Trap {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for Trap {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        panic!("the authorizer panicked on purpose")
    }
}

impl Validator for Trap {
    fn validate(&self, _: &Request) -> Vec<Violation> {
        panic!("the validator panicked on purpose")
    }
}

impl RequestTransform for Trap {
    fn transform_request(&self, _: &Request) -> RequestOutcome {
        panic!("the request-transform panicked on purpose")
    }
}

impl ResponseTransform for Trap {
    fn transform_response(&self, _: &Request, _: &Response) -> ResponseOutcome {
        panic!("the response-transform panicked on purpose")
    }
}

export!(Trap: authorizer, validator, request_transform, response_transform);
