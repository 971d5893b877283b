//! Tells the upstream who the caller is.

use portcullis_plugin_sdk::{
    Plan, Plugin, Request, RequestEdit, RequestOutcome, RequestTransform, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which fact goes into which header.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ClaimsHeader {
    /// The header that the upstream reads.
    header: String,
    /// The attribute that it holds.
    attribute: String,
}

impl Default for ClaimsHeader {
    fn default() -> Self {
        Self { header: "x-caller".to_owned(), attribute: "identity:principal".to_owned() }
    }
}

impl Plugin for ClaimsHeader {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new().reads_attribute(&self.attribute)
    }
}

impl RequestTransform for ClaimsHeader {
    fn transform_request(&self, request: &Request) -> RequestOutcome {
        // Without the fact, what the client wrote under this name must not pass.
        let edit = match request.attribute_value(&self.attribute) {
            Some(value) => RequestEdit::set(&self.header, value.to_string()),
            None => RequestEdit::remove(&self.header),
        };
        vec![edit].into()
    }
}

export!(ClaimsHeader: request_transform);

#[cfg(test)]
mod tests {
    use portcullis_plugin_sdk::testing::configured;
    use serde_json::json;

    use super::*;

    fn check(request: &Request, expected: RequestEdit) {
        let plugin: ClaimsHeader = configured(json!({})).unwrap();

        assert_eq!(plugin.transform_request(request), vec![expected].into());
    }

    #[test]
    fn the_upstream_learns_who_the_caller_is_and_never_from_the_client() {
        let request = Request::get("/").with_header("x-caller", "mallory");

        check(&request, RequestEdit::remove("x-caller"));
        check(
            &request.with_attribute("identity:principal", "alice"),
            RequestEdit::set("x-caller", "alice"),
        );
    }
}
