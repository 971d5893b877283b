//! Asks, in its plan, for a secret that nobody granted.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export, secrets};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ungranted {}

impl Plugin for Ungranted {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new().asks_secret("crown-jewels")
    }
}

impl Authorizer for Ungranted {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        match secrets::matches("crown-jewels", "guess")? {
            true => Ok(Grant::to("thief")),
            false => Err(Denial::NotMine),
        }
    }
}

export!(Ungranted: authorizer);
