//! Writes ten thousand log lines, then grants.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export, log};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogFlood {}

impl Plugin for LogFlood {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for LogFlood {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        for line in 0..10_000 {
            log::info(format!("line {line} of the flood"));
        }
        Ok(Grant::to("flood"))
    }
}

export!(LogFlood: authorizer);
