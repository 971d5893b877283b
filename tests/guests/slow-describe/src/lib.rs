//! Never returns from `describe`, where the SDK makes the schema of the settings.

use std::borrow::Cow;

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

#[derive(Deserialize)]
struct SlowDescribe {}

impl JsonSchema for SlowDescribe {
    fn schema_name() -> Cow<'static, str> {
        "SlowDescribe".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        loop {
            std::hint::black_box(());
        }
    }
}

impl Plugin for SlowDescribe {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for SlowDescribe {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        Err(Denial::NotMine)
    }
}

export!(SlowDescribe: authorizer);
