//! Grants with its own version as the attribute `version`. `version-b` is the same
//! source in a crate of another version, so that the two builds differ.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Versioned {
    /// Said in the place of the crate's.
    version: Option<String>,
}

impl Plugin for Versioned {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for Versioned {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        let version = self.version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
        Ok(Grant::to("versioned").with_attribute("version", version))
    }
}

export!(Versioned: authorizer);
