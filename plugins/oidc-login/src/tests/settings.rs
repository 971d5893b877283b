//! Settings that cannot work are refused, with the member at fault.

use portcullis_plugin_sdk::testing::configured;
use serde_json::{Value, json};

use super::{ISSUER, changed};
use crate::OidcLogin;

fn check(changes: Value, pointer: &str) {
    let mut settings = json!({ "issuer": ISSUER, "client_id": "shop" });
    changed(&mut settings, &changes);
    let refused = configured::<OidcLogin>(settings).map(drop).unwrap_err();
    assert_eq!(refused.pointer, pointer, "{changes}: {}", refused.message);
}

#[test]
fn what_cannot_work_is_refused_where_it_is_written() {
    check(json!({ "issuer": "login.example.com" }), "/issuer");
    check(json!({ "issuer": "https://login.example.com?x" }), "/issuer");
    check(json!({ "client_id": "" }), "/client_id");
    check(json!({ "scopes": ["profile"] }), "/scopes");
    check(json!({ "parameters": { "state": "x" } }), "/parameters/state");
    check(json!({ "token_endpoint": "/token" }), "/token_endpoint");
    check(json!({ "origin": "https://shop.example.com/" }), "/origin");
    check(json!({ "origin": "shop.example.com" }), "/origin");
    check(json!({ "callback_path": "oidc" }), "/callback_path");
    check(json!({ "callback_path": "//evil.test" }), "/callback_path");
    check(json!({ "logout_path": "/a?b" }), "/logout_path");
    check(json!({ "logout_path": "/oidc/callback" }), "/logout_path");
    check(json!({ "after_logout": "/\\evil.test" }), "/after_logout");
    check(json!({ "cookie": "a;b" }), "/cookie");
    check(json!({ "lifetime": "31d" }), "/lifetime");
    check(json!({ "idle": "9h" }), "/idle");
    check(json!({ "idle": "0s" }), "/idle");
    check(json!({ "previous_session_key": "session-key" }), "/previous_session_key");
    check(json!({ "leeway": "6m" }), "/leeway");
    check(json!({ "algorithms": ["HS256"] }), "/algorithms");
    check(json!({ "claims": { "aud": "x" } }), "/claims/aud");
}
