use portcullis_plugin_sdk::testing::{Host, configured};
use serde_json::{Value, json};

use super::*;

fn settings() -> Value {
    json!({ "tokens": {
        "alice": { "secret": "alice-token", "attributes": { "tier": "gold" } },
        "bob": { "secret": "bob-token" },
    } })
}

fn check(settings: Value, request: Request, expected: Result<Grant, Denial>) {
    let host = Host::new().with_secret("alice-token", "a1").with_secret("bob-token", "b2");
    let _host = host.install();
    let plugin: ApiToken = configured(settings).unwrap();

    assert_eq!(plugin.authorize(&request), expected);
}

fn challenge(code: &str) -> Result<Grant, Denial> {
    Err(Denial::unauthenticated(code)
        .with_header("www-authenticate", r#"Bearer error="invalid_token""#))
}

fn bearer(value: &str) -> Request {
    Request::get("/").with_header("authorization", value)
}

#[test]
fn a_known_token_is_its_holder() {
    let alice = Grant::to("alice").with_usage_key("alice").with_attribute("tier", "gold");
    check(settings(), bearer("Bearer a1"), Ok(alice));
    check(settings(), bearer("bearer b2"), Ok(Grant::to("bob").with_usage_key("bob")));
}

#[test]
fn an_unknown_token_is_challenged() {
    check(settings(), bearer("Bearer a2"), challenge("unknown-token"));
    check(settings(), bearer("Bearer"), challenge("malformed-token"));
    check(
        settings(),
        bearer("Bearer a1").with_header("authorization", "Bearer a1"),
        challenge("malformed-token"),
    );
}

#[test]
fn another_kind_of_credential_is_left_to_others() {
    check(settings(), Request::get("/"), Err(Denial::NotMine));
    check(settings(), bearer("Basic a1"), Err(Denial::NotMine));
}

#[test]
fn a_token_may_stand_in_a_header_or_a_parameter() {
    let place = |member: &str| {
        let mut settings = settings();
        settings[member] = json!("X-Token");
        settings
    };
    let bob = || Ok(Grant::to("bob").with_usage_key("bob"));

    check(place("header"), Request::get("/").with_header("x-token", "b2"), bob());
    check(place("parameter"), Request::get("/").with_parameter("X-Token", "b2"), bob());
    check(
        place("header"),
        Request::get("/").with_header("x-token", ""),
        Err(Denial::unauthenticated("unknown-token")),
    );
}

#[test]
fn settings_that_admit_nobody_or_name_two_places_are_refused() {
    let pointer = |settings: Value| configured::<ApiToken>(settings).unwrap_err().pointer;

    assert_eq!(pointer(json!({ "tokens": {} })), "/tokens");
    assert_eq!(pointer(json!({ "header": "a", "parameter": "b", "tokens": {} })), "/parameter");
    assert_eq!(pointer(json!({ "tokens": { "alice": { "secret": 1 } } })), "/tokens/alice/secret");
}
