//! Sleeps before it grants.

use std::time::Duration;

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sleep {
    /// How long.
    #[serde(default = "ten")]
    seconds: u64,
}

impl Plugin for Sleep {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for Sleep {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        std::thread::sleep(Duration::from_secs(self.seconds));
        Ok(Grant::to("sleeper"))
    }
}

export!(Sleep: authorizer);

fn ten() -> u64 {
    10
}
