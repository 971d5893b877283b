//! Settings that cannot mean anything good are refused where they stand.

use portcullis_plugin_sdk::testing::configured;
use serde_json::json;

use super::{ISSUER, Value};
use crate::Jwt;

fn check(settings: Value, pointer: &str) {
    let error = configured::<Jwt>(settings.clone()).err();
    assert_eq!(error.map(|error| error.pointer).as_deref(), Some(pointer), "{settings}");
}

fn with(changes: Value) -> Value {
    let mut settings = json!({ "issuer": ISSUER, "audience": "orders" });
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

#[test]
fn settings_that_admit_nobody_or_too_many_are_refused() {
    let issuer = json!({ "issuer": ISSUER, "audience": "orders" });

    check(json!({}), "");
    check(json!({ "audience": "orders" }), "/audience");
    check(json!({ "issuer": ISSUER }), "/audience");
    check(json!({ "issuer": ISSUER, "audience": [] }), "/audience");
    check(json!({ "issuers": [issuer, issuer] }), "/issuers/1/issuer");
    check(json!({ "issuers": [{ "issuer": ISSUER }] }), "/issuers/0/audience");
    check(with(json!({ "issuers": [issuer] })), "/issuers");
    check(json!({ "issuers": [issuer], "claims": {} }), "/claims");
    check(with(json!({ "leeway": "301s" })), "/leeway");
    check(with(json!({ "leeway": "5 minutes" })), "/leeway");
    check(with(json!({ "token": [] })), "/token");
    check(with(json!({ "token": "body:t" })), "/token");
    check(with(json!({ "claims": { "aud": "x" } })), "/claims/aud");
    for realm in ["", "a \"quote\"", "back\\slash", "zwei\nZeilen", "Läden", &"x".repeat(129)] {
        check(with(json!({ "realm": realm })), "/realm");
    }
    check(with(json!({ "unknown": 1 })), "/unknown");
}

#[test]
fn keys_and_algorithms_that_do_not_go_together_are_refused() {
    check(with(json!({ "algorithms": ["HS256"] })), "/algorithms");
    check(with(json!({ "algorithms": [] })), "/algorithms");
    check(with(json!({ "algorithms": ["none"] })), "/algorithms/0");
    check(with(json!({ "secret": "s", "algorithms": ["HS256", "RS256"] })), "/algorithms");
    check(with(json!({ "secret": "s", "jwks_url": "https://a/keys" })), "/issuer");
    check(with(json!({ "secret": "s", "keys": { "keys": [] } })), "/issuer");
    check(with(json!({ "keys": { "keys": [{ "kty": "oct", "k": "AA" }] } })), "/keys");
    check(with(json!({ "keys": { "keys": [{ "kty": "RSA", "d": "AA" }] } })), "/keys");
    for issuer in ["orders", "https://", "https://a/?b", "https://u@a", "ftp://a"] {
        check(with(json!({ "issuer": issuer })), "/issuer");
    }
}
