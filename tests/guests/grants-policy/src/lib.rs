//! Grants whoever `x-user` names, with the policies and attributes of its settings.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GrantsPolicy {
    /// The policy documents.
    policies: Vec<String>,
    /// What else is known of every caller.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl Plugin for GrantsPolicy {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new().reads_header("x-user").cacheable()
    }
}

impl Authorizer for GrantsPolicy {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let user = request.headers.first().ok_or(Denial::NotMine)?;
        let grant = Grant::to(String::from_utf8_lossy(&user.value));
        let grant = self.policies.iter().fold(grant, Grant::with_policy_document);
        let attributes = self.attributes.iter();
        Ok(attributes
            .fold(grant, |grant, (name, value)| grant.with_attribute(name, value.as_str())))
    }
}

export!(GrantsPolicy: authorizer);
