//! Allocates without end in `authorize`.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemoryBomb {}

impl Plugin for MemoryBomb {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for MemoryBomb {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        let mut hoard = Vec::new();
        loop {
            hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        }
    }
}

export!(MemoryBomb: authorizer);
