//! Grants with an attribute of a hundred megabytes.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BigAnswer {
    /// How large the attribute is.
    #[serde(default = "hundred_megabytes")]
    size_bytes: usize,
}

impl Plugin for BigAnswer {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for BigAnswer {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        Ok(Grant::to("big").with_attribute("blob", "x".repeat(self.size_bytes)))
    }
}

export!(BigAnswer: authorizer);

fn hundred_megabytes() -> usize {
    100_000_000
}
