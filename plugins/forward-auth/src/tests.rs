use portcullis_plugin_sdk::http::Response;
use portcullis_plugin_sdk::testing::{Host, configured};
use serde_json::{Value, json};

use super::*;

fn settings() -> Value {
    json!({
        "url": "http://auth.test:9091/verify",
        "attributes": { "email": "X-Email" },
        "response_headers": ["set-cookie"],
    })
}

fn ask(settings: Value, answer: Result<Response, HttpError>) -> Result<Grant, Denial> {
    let _host = Host::new().with_service(move |_| answer.clone()).install();
    let plugin: ForwardAuth = configured(settings).unwrap();
    plugin.authorize(&Request::get("/orders").with_header("authorization", "Bearer a"))
}

fn response(status: u16, headers: &[(&str, &str)]) -> Result<Response, HttpError> {
    let headers = headers.iter().map(|(name, value)| Header::new(name, *value)).collect();
    Ok(Response { status, headers, body: b"body".to_vec(), ..Response::default() })
}

#[test]
fn an_approval_names_the_caller() {
    let answer = response(
        200,
        &[("remote-user", "alice"), ("x-email", "a@test"), ("set-cookie", "s=1"), ("x-other", "1")],
    );
    let alice = Grant::to("alice")
        .with_attribute("email", "a@test")
        .with_response_header("set-cookie", "s=1");

    assert_eq!(ask(settings(), answer), Ok(alice));
}

#[test]
fn a_refusal_is_the_clients_answer() {
    for status in [302, 401, 403] {
        let answer = response(status, &[("location", "/login"), ("server", "secret")]);
        let expected =
            FullResponse::new(status).with_header("location", "/login").with_body("body");

        assert_eq!(ask(settings(), answer), Err(Denial::Respond(expected)));
    }
}

#[test]
fn what_is_no_decision_denies() {
    assert_eq!(ask(settings(), response(500, &[])), Err(Denial::unavailable("status-500")));
    assert_eq!(ask(settings(), response(404, &[])), Err(Denial::unavailable("status-404")));
    assert_eq!(ask(settings(), Err(HttpError::Timeout)), Err(Denial::unavailable("http-timeout")));
}

#[test]
fn the_service_learns_of_the_request_and_of_nothing_the_client_forged() {
    let host = Host::new().with_service(|question| {
        let said = |name: &str| -> Vec<String> {
            let named = question.headers.iter().filter(|header| header.name == name);
            named.map(|header| String::from_utf8(header.value.clone()).unwrap()).collect()
        };
        assert_eq!(said("authorization"), ["Bearer a"]);
        assert_eq!(said("x-forwarded-uri"), ["/orders?x=1"]);
        assert_eq!(said("x-forwarded-method"), ["POST"]);
        response(200, &[])
    });
    let _host = host.install();
    let mut settings = settings();
    settings["request_headers"] = json!(["Authorization", "x-forwarded-uri"]);
    let plugin: ForwardAuth = configured(settings).unwrap();
    let request = Request::new("POST", "/orders?x=1")
        .with_header("authorization", "Bearer a")
        .with_header("x-forwarded-uri", "/open");

    assert_eq!(plugin.authorize(&request), Ok(Grant::to("")));
}

#[test]
fn a_request_without_a_credential_is_left_to_others_unless_it_is_to_be_asked() {
    let ask = |settings: Value| {
        let _host = Host::new().with_service(|_| response(401, &[])).install();
        configured::<ForwardAuth>(settings).unwrap().authorize(&Request::get("/"))
    };
    let mut always = settings();
    always["ask_always"] = json!(true);

    assert_eq!(ask(settings()), Err(Denial::NotMine));
    assert!(matches!(ask(always), Err(Denial::Respond(_))));
}

#[test]
fn settings_that_cannot_be_asked_are_refused() {
    let pointer = |settings: Value| configured::<ForwardAuth>(settings).unwrap_err().pointer;

    assert_eq!(pointer(json!({ "url": "auth.test/verify" })), "/url");
    let all = json!({ "url": "http://auth.test", "request_headers": ["a", "*"] });
    assert_eq!(pointer(all), "/request_headers/1");
}
