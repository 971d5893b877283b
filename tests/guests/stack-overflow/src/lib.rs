//! Recurses without end in `authorize`.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StackOverflow {}

impl Plugin for StackOverflow {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for StackOverflow {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        Ok(Grant::to(deeper(0).to_string()))
    }
}

export!(StackOverflow: authorizer);

#[expect(unconditional_recursion, reason = "this is the misbehaviour")]
fn deeper(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    deeper(depth + 1) + frame.iter().sum::<u64>()
}
