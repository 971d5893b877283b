//! Natively: the very logic of the component.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod dialects;
mod fuzz;
mod hostile;
mod settings;
mod suite;
mod violations;

use portcullis_plugin_sdk::testing::configured;
use portcullis_plugin_sdk::{Request, SettingsError, Validator, Violation};
use serde_json::{Value, json};

use crate::JsonSchema;

/// The plugin with one schema.
fn of_schema(schema: &Value) -> JsonSchema {
    of_settings(json!({ "documents": { "a": schema }, "schemas": { "a": { "document": "a" } } }))
        .unwrap()
}

fn of_settings(settings: Value) -> Result<JsonSchema, SettingsError> {
    configured(settings)
}

fn judge(plugin: &JsonSchema, body: impl Into<Vec<u8>>) -> Vec<Violation> {
    plugin.validate(&Request::post("/", body))
}

/// The violations as `POINTER: MESSAGE`.
fn told(plugin: &JsonSchema, body: impl Into<Vec<u8>>) -> Vec<String> {
    let violations = judge(plugin, body);
    violations.iter().map(|it| format!("{}: {}", it.location, it.message)).collect()
}
