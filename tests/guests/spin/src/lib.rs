//! Never answers: an endless loop in `authorize`.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spin {}

impl Plugin for Spin {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for Spin {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        loop {
            std::hint::black_box(());
        }
    }
}

export!(Spin: authorizer);
