//! Judges JSON bodies by JSON Schema: drafts 4 to 2020-12, and the schemas of OpenAPI 3.0
//! and 3.1.
//!
//! ```text
//! settings ─ documents ─▶ checked, rewritten ─ schemas ─▶ compiled, by name     at load
//! body ─ json::parse ─▶ Body ─ the schema that the argument names ─▶ violations  a request
//! ```
//!
//! One configured use holds every schema of an API, and each route says by its argument
//! which one it means. Patterns are matched in linear time, so those with look-around or
//! back references are refused at load. Nothing is ever fetched.

mod documents;
mod json;
mod message;
mod meta;
mod node;
mod openapi;
mod pointer;
mod schemas;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{Plan, Plugin, Request, SettingsError, Validator, Violation, export};

use crate::json::Limits;
use crate::node::Strict;
use crate::settings::Settings;

/// The plugin, configured.
#[derive(Debug)]
struct JsonSchema {
    schemas: BTreeMap<String, jsonschema::Validator<Strict>>,
    limits: Limits,
}

impl TryFrom<Settings> for JsonSchema {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        let limits = settings.limits.clone();
        Ok(Self { schemas: schemas::compile(settings)?, limits })
    }
}

impl Plugin for JsonSchema {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        Plan::new().buffers_body(self.limits.size)
    }
}

impl Validator for JsonSchema {
    fn validate(&self, request: &Request) -> Vec<Violation> {
        let Some(schema) = self.schema(request.argument.as_deref()) else {
            return vec![Violation::at("", "cannot be judged: the gateway has no such schema")];
        };
        let body = request.body.as_ref().map(|body| body.bytes.as_slice()).unwrap_or_default();
        if body.is_empty() {
            return vec![Violation::at("", "is required")];
        }
        match json::parse(body, &self.limits) {
            Err(refusal) => vec![Violation::at(refusal.pointer, refusal.message)],
            Ok(json) if schema.is_valid(json.root()) => Vec::new(),
            Ok(json) => self.violations(schema, json.root()),
        }
    }
}

impl JsonSchema {
    /// The schema that a route means; the only one there is where it says nothing.
    fn schema(&self, argument: Option<&str>) -> Option<&jsonschema::Validator<Strict>> {
        match argument {
            Some(name) => self.schemas.get(name),
            None if self.schemas.len() == 1 => self.schemas.values().next(),
            None => None,
        }
    }

    fn violations(
        &self,
        schema: &jsonschema::Validator<Strict>,
        json: json::Json<'_>,
    ) -> Vec<Violation> {
        let most = self.limits.violations;
        let mut found: Vec<Violation> = schema
            .iter_errors(json)
            .flat_map(|error| message::violations(&error))
            .take(most + 1)
            .collect();
        if found.is_empty() {
            found.push(Violation::at("", "is not as the schema says"));
        }
        if found.len() > most {
            found.truncate(most);
            found.push(Violation::at("", "is also wrong in other places"));
        }
        found
    }
}

export!(JsonSchema: validator);
