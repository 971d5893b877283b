//! Grants with everything it was shown: `headers`, `parameters`, `attributes`, each
//! a list of `name=value`. Its settings are what its plan declares.

use std::fmt::Display;

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Reads {
    /// Request headers to declare.
    headers: Vec<String>,
    /// Query parameters to declare.
    parameters: Vec<String>,
    /// Attributes to declare.
    attributes: Vec<String>,
    /// Whether grants may be kept.
    cacheable: bool,
    /// The challenge to state.
    challenge: Option<String>,
}

impl Plugin for Reads {
    type Settings = Self;

    fn plan(&self) -> Plan {
        let plan = self.headers.iter().fold(Plan::new(), Plan::reads_header);
        let plan = self.parameters.iter().fold(plan, Plan::reads_parameter);
        let plan = self.attributes.iter().fold(plan, Plan::reads_attribute);
        let plan = self.challenge.iter().fold(plan, Plan::challenges);
        if self.cacheable { plan.cacheable() } else { plan }
    }
}

impl Authorizer for Reads {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let headers = request.headers.iter();
        let headers = headers.map(|it| shown(&it.name, String::from_utf8_lossy(&it.value)));
        let parameters = request.parameters.iter().map(|it| shown(&it.name, &it.value));
        let attributes = request.attributes.iter().map(|it| shown(&it.name, it.value.to_string()));
        Ok(Grant::to("reader")
            .with_attribute("headers", headers.collect::<Vec<_>>())
            .with_attribute("parameters", parameters.collect::<Vec<_>>())
            .with_attribute("attributes", attributes.collect::<Vec<_>>()))
    }
}

export!(Reads: authorizer);

fn shown(name: &str, value: impl Display) -> String {
    format!("{name}={value}")
}
