//! Is a validator and nothing else, to be configured as what it is not.

use portcullis_plugin_sdk::{Plan, Plugin, Request, Validator, Violation, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrongRole {}

impl Plugin for WrongRole {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Validator for WrongRole {
    fn validate(&self, _: &Request) -> Vec<Violation> {
        Vec::new()
    }
}

export!(WrongRole: validator);
