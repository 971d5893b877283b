//! Stamps responses: adds and removes headers, and writes a member of a JSON body.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{
    Plan, Plugin, Request, Response, ResponseEdit, ResponseOutcome, ResponseTransform, export,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

const BODY_LIMIT_BYTES: u64 = 16 << 20;

/// What is stamped.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct ResponseStamp {
    /// Headers to set.
    headers: BTreeMap<String, String>,
    /// Headers to remove, such as those that tell too much.
    remove: Vec<String>,
    /// Members to write into the body, where it is a JSON object.
    members: BTreeMap<String, Value>,
}

impl Plugin for ResponseStamp {
    type Settings = Self;

    fn plan(&self) -> Plan {
        match self.members.is_empty() {
            true => Plan::new(),
            false => Plan::new().buffers_response_body(BODY_LIMIT_BYTES),
        }
    }
}

impl ResponseTransform for ResponseStamp {
    fn transform_response(&self, _: &Request, response: &Response) -> ResponseOutcome {
        let removed = self.remove.iter().map(|name| ResponseEdit::remove(name));
        let set = self.headers.iter().map(|(name, value)| ResponseEdit::set(name, value.as_str()));
        let body = self.stamped_body(response).map(ResponseEdit::body);
        removed.chain(set).chain(body).collect::<Vec<_>>().into()
    }
}

impl ResponseStamp {
    /// The body with the members written; none where there is nothing to write.
    fn stamped_body(&self, response: &Response) -> Option<String> {
        if self.members.is_empty() {
            return None;
        }
        // A body that is no JSON object is somebody else's business.
        let mut object: Map<String, Value> = response.json().ok()?;
        object.extend(self.members.clone());
        Some(Value::Object(object).to_string())
    }
}

export!(ResponseStamp: response_transform);

#[cfg(test)]
mod tests {
    use portcullis_plugin_sdk::testing::configured;
    use serde_json::json;

    use super::*;

    fn check(body: &str, expected: Vec<ResponseEdit>) {
        let settings = json!({
            "headers": { "x-stamp": "portcullis" },
            "remove": ["server"],
            "members": { "served_by": "portcullis" },
        });
        let plugin: ResponseStamp = configured(settings).unwrap();
        let response = Response::new(200).with_body(body);

        let outcome = plugin.transform_response(&Request::get("/"), &response);

        assert_eq!(outcome, expected.into());
    }

    #[test]
    fn headers_and_a_json_body_are_stamped() {
        let remove = ResponseEdit::remove("server");
        let set = ResponseEdit::set("x-stamp", "portcullis");

        let stamped = ResponseEdit::body(r#"{"id":7,"served_by":"portcullis"}"#);
        check(r#"{"id": 7, "served_by": "me"}"#, vec![remove.clone(), set.clone(), stamped]);
        check("plain text", vec![remove, set]);
    }
}
