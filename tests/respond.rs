//! Routes that the gateway answers itself, with values of the request.

use portcullis_tests::{Gateway, H2Client, Site};
use serde_json::{Value, json};

const MOCKS: &str = r#"
    [authorizers.keys]
    plugin = "api-token"
    settings.tokens.alice = { secret = "alice", attributes = { tenant = "acme" } }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET

    [apis.mocks]
    authorizer = "none"

    [apis.mocks.routes."POST /orders/{id}".respond]
    status = "{query:status}"
    headers = { location = "/orders/{path:id}", x-told = "{header:x-ask}" }
    json = { id = "{path:id}", count = "{body:$.count}", lines = "{body:$.lines[*].sku}", text = "{body:$.name} of {query:shop}", z = [1, "{{}}"], a = true }
    body_limit = "1KiB"

    [apis.mocks.routes."GET /page".respond]
    headers = { content-type = "text/html; charset=utf-8" }
    template = "<p title='{query:name}'>{query:name}</p>"

    [apis.mocks.routes."GET /plain".respond]
    template = "{request:method} for {query:name}<{query:none}>"

    [apis.mocks.routes."GET /literal".respond]
    body = "{not:one}"

    [apis.mocks.routes."GET /me"]
    authorizer = "keys"
    respond.json = { me = "{identity:principal}", tenant = "{identity:tenant}" }
"#;

fn start() -> Gateway {
    let site = Site::new();
    site.write("alice.key", "sesame");
    site.start(&MOCKS.replace("BUDGET", crate::ROOMY))
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|problem| panic!("{problem}: {text}"))
}

#[test]
fn a_mock_answers_with_values_of_the_request() {
    let gateway = start();
    let body = br#"{"count": 3, "lines": [{"sku": "a"}, {"sku": "b\"}"}], "name": "Bo"}"#;

    let target = "/orders/o%227?status=201&shop=%22%7D%2C%22x%22%3A1";
    let answer = gateway.request("POST", target, &[("x-ask", "told")], body);

    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers.get("content-type"), Some("application/json"));
    assert_eq!(answer.headers.get("location"), Some("/orders/o\"7"));
    assert_eq!(answer.headers.get("x-told"), Some("told"));
    let expected = json!({
        "id": "o\"7", "count": 3, "lines": ["a", "b\"}"], "text": "Bo of \"},\"x\":1",
        "z": [1, "{}"], "a": true,
    });
    assert_eq!(document(&answer.text()), expected);
    assert!(answer.text().starts_with(r#"{"id":"#), "{}", answer.text());
    let line = gateway.log_line("/orders/o%227");
    assert_eq!((&line["status"], &line["code"]), (&json!(201), &json!("fixed-response")));
}

#[test]
fn what_the_request_does_not_say_is_null_or_left_out() {
    let gateway = start();

    let answer = gateway.request("POST", "/orders/7", &[], b"no JSON");

    assert_eq!((answer.status, answer.headers.get("x-told")), (200, None));
    let expected = json!({
        "id": "7", "count": null, "lines": null, "text": null, "z": [1, "{}"], "a": true,
    });
    assert_eq!(document(&answer.text()), expected);
    let long = vec![b' '; 1025];
    let answer = gateway.request("POST", "/orders/7", &[], &long);
    assert_eq!(answer.verdict(), (413, "body-too-large".into()));
}

#[test]
fn values_in_a_page_are_no_markup() {
    let gateway = start();
    let query = "name=%3Cscript%3E'%22%26%3C/script%3E";

    let page = gateway.get(&format!("/page?{query}"), &[]).text();
    let plain = gateway.get(&format!("/plain?{query}"), &[]);

    let safe = "&lt;script&gt;&#39;&quot;&amp;&lt;/script&gt;";
    assert_eq!(page, format!("<p title='{safe}'>{safe}</p>"));
    assert_eq!(plain.text(), "GET for <script>'\"&</script><>");
    assert_eq!(plain.headers.get("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(gateway.get("/literal", &[]).text(), "{not:one}");
}

#[test]
fn a_mock_knows_who_calls_over_both_versions() {
    let gateway = start();
    let bearer = ("authorization", "Bearer sesame");
    let expected = json!({ "me": "alice", "tenant": "acme" });

    assert_eq!(gateway.get("/me", &[]).status, 401);
    assert_eq!(document(&gateway.get("/me", &[bearer]).text()), expected);
    let client = H2Client::connect(gateway.address("public"));
    let answer = client.request("GET", "/me", &[bearer], b"");
    assert_eq!(document(&String::from_utf8_lossy(&answer.body)), expected);
}
