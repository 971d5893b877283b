use portcullis_plugin_sdk::Attribute;
use portcullis_plugin_sdk::credentials::Kind;
use portcullis_plugin_sdk::testing::{Host, configured};
use serde_json::{Value as Json, json};

use super::*;

fn host() -> Host {
    let credential = Credential {
        id: "k1".to_owned(),
        consumer: "alice".to_owned(),
        attributes: vec![Attribute::new("plan", "gold"), Attribute::new("key-id", "forged")],
        session_digest: None,
        expires_at: Some(7_000),
    };
    Host::new().with_credential(Kind::ApiKey, credential, "pk_alice")
}

fn check(settings: Json, request: Request, expected: Result<Grant, Denial>) {
    let _host = host().install();
    let plugin: ApiKey = configured(settings).unwrap();

    assert_eq!(plugin.authorize(&request), expected);
}

fn alice() -> Result<Grant, Denial> {
    Ok(Grant::to("alice")
        .with_usage_key("k1")
        .with_attribute("plan", "gold")
        .with_attribute("key-id", "k1")
        .expires_at_ms(7_000))
}

#[test]
fn a_known_key_is_its_consumer_wherever_it_stands() {
    let get = || Request::get("/");
    check(json!({}), get().with_header("x-api-key", "pk_alice"), alice());
    check(json!({ "from": "header:Api-Key" }), get().with_header("api-key", "pk_alice"), alice());
    check(json!({ "from": "query:key" }), get().with_parameter("key", "pk_alice"), alice());
    check(
        json!({ "from": "cookie:key" }),
        get().with_header("cookie", "a=b; key=pk_alice; keys=x"),
        alice(),
    );
    check(json!({ "from": "authorizer" }), get().with_attribute(USAGE_KEY, "pk_alice"), alice());
}

#[test]
fn without_a_key_another_authorizer_may_know_the_caller() {
    check(json!({}), Request::get("/"), Err(Denial::NotMine));
    check(
        json!({ "from": "cookie:key" }),
        Request::get("/").with_header("cookie", "keys=pk_alice"),
        Err(Denial::NotMine),
    );
}

#[test]
fn what_is_unknown_or_unclear_is_refused() {
    let with = |value: &str| Request::get("/").with_header("x-api-key", value);
    check(json!({}), with("pk_bob"), Err(Denial::unauthenticated("unknown-key")));
    check(json!({}), with(""), Err(Denial::unauthenticated("malformed-key")));
    check(
        json!({}),
        with("pk_alice").with_header("x-api-key", "pk_alice"),
        Err(Denial::unauthenticated("malformed-key")),
    );
    check(json!({ "refuse_with": 403 }), with("pk_bob"), Err(Denial::forbidden("unknown-key")));
}

#[test]
fn a_required_attribute_must_be_there() {
    let with = || Request::get("/").with_header("x-api-key", "pk_alice");
    check(json!({ "require_attributes": ["plan"] }), with(), alice());
    check(
        json!({ "require_attributes": ["plan", "team"] }),
        with(),
        Err(Denial::forbidden("attribute-missing")),
    );
}

#[test]
fn settings_that_name_no_place_or_status_are_refused() {
    let pointer = |settings: Json| configured::<ApiKey>(settings).unwrap_err().pointer;

    for from in ["x-api-key", "header:", "header:a b", "body:key", ""] {
        assert_eq!(pointer(json!({ "from": from })), "/from", "{from}");
    }
    assert_eq!(pointer(json!({ "refuse_with": 404 })), "/refuse_with");
}
