//! Opens for whoever has the key.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export, secrets};
use schemars::JsonSchema;
use serde::Deserialize;

/// A door with one key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Door {
    /// Who has the key.
    guest: String,
}

impl Plugin for Door {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new().reads_header("x-api-key").asks_secret("key")
    }
}

impl Authorizer for Door {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let key = request.header("x-api-key").ok_or(Denial::NotMine)?;
        match secrets::matches("key", key)? {
            true => Ok(Grant::to(&self.guest)),
            false => Err(Denial::unauthenticated("wrong-key")),
        }
    }
}

export!(Door: authorizer);

#[cfg(test)]
mod tests {
    use portcullis_plugin_sdk::testing::{Host, configured};
    use serde_json::json;

    use super::*;

    fn check(request: &Request, expected: Result<Grant, Denial>) {
        let _host = Host::new().with_secret("key", "sesame").install();
        let door: Door = configured(json!({ "guest": "alice" })).unwrap();

        assert_eq!(door.authorize(request), expected);
    }

    #[test]
    fn the_door_opens_for_the_key_alone() {
        let request = Request::get("/");

        check(&request.clone().with_header("x-api-key", "sesame"), Ok(Grant::to("alice")));
        check(
            &request.clone().with_header("x-api-key", "guess"),
            Err(Denial::unauthenticated("wrong-key")),
        );
        check(&request, Err(Denial::NotMine));
    }
}
