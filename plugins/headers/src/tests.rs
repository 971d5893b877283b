use portcullis_plugin_sdk::testing::configured;
use serde_json::{Value, json};

use super::*;

fn headers(settings: Value) -> Headers {
    configured(settings).unwrap()
}

fn request() -> Request {
    Request::get("/orders/7").with_attribute("path:id", "7")
}

#[test]
fn a_request_is_changed_in_order() {
    let plugin = headers(json!({ "request": {
        "append": { "x-order": "${path:id}" },
        "set": { "X-Via": "portcullis" },
        "remove": ["x-old"],
    } }));

    let outcome = plugin.transform_request(&request());

    let expected = vec![
        RequestEdit::remove("x-old"),
        RequestEdit::set("x-via", "portcullis"),
        RequestEdit::append("x-order", "7"),
    ];
    assert_eq!(outcome, expected.into());
}

#[test]
fn a_header_whose_attribute_is_missing_is_not_the_clients_to_set() {
    let changes = json!({
        "set": { "x-caller": "${identity:principal}" },
        "append": { "x-callers": "${identity:principal}" },
    });
    let plugin = headers(json!({ "request": changes }));

    let outcome = plugin.transform_request(&request().with_header("x-caller", "mallory"));

    assert_eq!(outcome, vec![RequestEdit::remove("x-caller")].into());
}

#[test]
fn a_response_has_changes_of_its_own() {
    let plugin = headers(json!({ "response": { "set": { "x-order": "no. ${path:id}" } } }));

    let outcome = plugin.transform_response(&request(), &Response::new(200));

    assert_eq!(outcome, vec![ResponseEdit::set("x-order", "no. 7")].into());
    assert_eq!(plugin.transform_request(&request()), Vec::new().into());
}

#[test]
fn names_that_the_host_would_refuse_are_refused_at_load() {
    let pointer = |settings: Value| configured::<Headers>(settings).unwrap_err().pointer;

    assert_eq!(pointer(json!({ "request": { "set": { "Host": "x" } } })), "/request/set/Host");
    assert_eq!(pointer(json!({ "response": { "remove": ["a", "b c"] } })), "/response/remove/1");
    assert_eq!(pointer(json!({ "request": { "append": { "x-a": "${" } } })), "/request/append/x-a");
}
