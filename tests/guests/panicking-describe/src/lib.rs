//! Panics in `describe`, where the SDK makes the schema of the settings.

#![expect(clippy::panic, reason = "this is the misbehaviour")]

use std::borrow::Cow;

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

#[derive(Deserialize)]
struct PanickingDescribe {}

impl JsonSchema for PanickingDescribe {
    fn schema_name() -> Cow<'static, str> {
        "PanickingDescribe".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        panic!("who wants to know?")
    }
}

impl Plugin for PanickingDescribe {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for PanickingDescribe {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        Err(Denial::NotMine)
    }
}

export!(PanickingDescribe: authorizer);
