//! Authorizers written for AWS Lambda decide here as they did there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use portcullis_tests::{Gateway, Site, Upstream, lambda_in_javascript, lambda_in_python};
use serde_json::{Value, json};

const TOKEN: &str = include_str!("../lambda/javascript/example/index.mjs");
const REQUEST: &str = include_str!("../lambda/python/example/lambda_function.py");

/// Answers with the event as the context member `event`, or as `x-mode` says. In the old
/// style, with a callback.
const PROBE_IN_JAVASCRIPT: &str = r#"
    const policy = {
      Version: "2012-10-17",
      Statement: { Action: "*", Effect: "Allow", Resource: "*" },
    };
    export const handler = (event, context, callback) => {
      const granted = {
        principalId: process.env.PRINCIPAL,
        policyDocument: policy,
        context: { event: JSON.stringify(event) },
      };
      const modes = {
        string: () => callback("Unauthorized"),
        error: () => callback(new Error("Unauthorized")),
        other: () => callback(new Error("Unauthorized!")),
        throws: () => null.there,
        nothing: () => callback(null, null),
        nameless: () => callback(null, { policyDocument: policy }),
        unruly: () => callback(null, { principalId: "a", policyDocument: { Version: "1" } }),
        nested: () => callback(null, { ...granted, context: { list: ["a"] } }),
        simple: () => callback(null, { isAuthorized: true }),
      };
      (modes[event.headers["X-Mode"]] ?? (() => callback(null, granted)))();
    };
"#;

const PROBE_IN_PYTHON: &str = r#"
import json, os, sys

def lambda_handler(event, context):
    policy = {
        "Version": "2012-10-17",
        "Statement": {"Action": "*", "Effect": "Allow", "Resource": "*"},
    }
    granted = {
        "principalId": os.environ["PRINCIPAL"],
        "policyDocument": policy,
        "context": {"event": json.dumps(event)},
    }
    mode = event["headers"].get("X-Mode")
    if mode in ("string", "error"):
        raise Exception("Unauthorized")
    if mode == "other":
        raise Exception("Unauthorized!")
    if mode == "throws":
        sys.exit(1)
    if mode == "nothing":
        return None
    if mode == "nameless":
        return {"policyDocument": policy}
    if mode == "unruly":
        return {"principalId": "a", "policyDocument": {"Version": "1"}}
    if mode == "nested":
        return {**granted, "context": {"list": ["a"]}}
    if mode == "simple":
        return {"isAuthorized": True}
    return granted
"#;

const SHOP: &str = r#"
    account = "111122223333"
    region = "eu-central-1"

    [authorizers.lambda]
    plugin = "lambda"
    isolation = "reuse"
    SETTINGS
    BUDGET

    [apis.shop]
    upstream = "orders"
    authorizer = "lambda"
    [apis.shop.identity_headers]
    x-principal = "identity:principal"
    x-usage-key = "identity:usage-key"
    x-plan = "identity:plan"
    x-seats = "identity:seats"
    x-trial = "identity:trial"
    x-event = "identity:event"
    x-quota = "identity:quota"
    x-route = "identity:routeKey"
    [apis.shop.routes]
    "ANY /orders/{id}" = {}
    [apis.shop.stages."$default"]
    values = { size = "large", colour = "red" }
    [apis.shop.stages.dev]
    values = { size = "small" }
"#;

fn start(orders: &Upstream, component: &[u8], settings: &str) -> Gateway {
    // One at a time, so that gateways side by side do not compile the same.
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock();
    let site = Site::new();
    site.install("lambda", component);
    let config = SHOP.replace("BUDGET", crate::ROOMY).replace("SETTINGS", settings);
    let (top, tables) = config.split_once("[authorizers").unwrap();
    let upstream = format!("upstreams.orders.endpoints = [\"{}\"]", orders.address());
    site.start(&format!("{top}{upstream}\n[authorizers{tables}"))
}

/// The status, and the authorizer's own code of a refusal where it gave one.
fn verdict(gateway: &Gateway, method: &str, headers: &[(&str, &str)]) -> (u16, String) {
    // A path of its own, to find its line by.
    static REQUESTS: AtomicU32 = AtomicU32::new(1000);
    let path = format!("/orders/{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
    let target = format!("{path}?q=1");
    let (status, code) = gateway.request(method, &target, headers, b"").verdict();
    let line = gateway.log_line(&path);
    (status, line["reason"].as_str().map_or(code, str::to_owned))
}

fn ok() -> (u16, String) {
    (200, String::new())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn decisions(gateway: &Gateway, decision: &str) -> f64 {
    let labels = [("use", "lambda"), ("decision", decision)];
    gateway.metric("portcullis_plugin_decisions_total", &labels)
}

#[test]
fn a_token_authorizer_in_javascript_decides_as_on_lambda() {
    let orders = Upstream::start();
    let settings = r#"
        cache = { life = "1h", by = ["header:authorization"] }
        settings = { type = "TOKEN", identity_validation_expression = "Bearer [a-z-]+" }"#;
    let gateway = start(&orders, &lambda_in_javascript(TOKEN), settings);
    let ask = |method, token| verdict(&gateway, method, &[("authorization", token)]);

    assert_eq!(ask("GET", "Bearer writer-token"), ok());
    assert_eq!(ask("PUT", "Bearer writer-token"), ok());
    for _ in 0..2 {
        let headers = [("authorization", "Bearer reader-token")];
        assert_eq!(gateway.get("/orders/7", &headers).status, 200);
    }
    // The answer about one token is kept for every method, and its policy asked each time.
    assert_eq!(decisions(&gateway, "cached"), 2.0);
    assert_eq!(ask("PUT", "Bearer reader-token"), refused(403, "policy-denied"));
    assert_eq!(decisions(&gateway, "cached"), 3.0);
    assert_eq!(ask("GET", "Bearer blocked-token"), refused(403, "policy-explicit-deny"));
    assert_eq!(ask("GET", "Bearer unknown-token"), refused(401, "unauthorized"));
    assert_eq!(ask("GET", "Basic dG9rZW4"), refused(401, "identity-mismatch"));
    assert_eq!(verdict(&gateway, "GET", &[]), refused(401, "missing-identity"));

    let seen = orders.seen();
    assert_eq!(seen.len(), 4);
    let told = |name| seen[2].headers.get(name);
    assert_eq!(told("x-principal"), Some("alice"));
    assert_eq!(told("x-usage-key"), Some("key-of-alice"));
    assert_eq!(told("x-plan"), Some("gold"));
    assert_eq!(told("x-seats"), Some("3"));
    assert_eq!(told("x-trial"), Some("false"));
}

#[test]
fn a_request_authorizer_in_python_decides_as_on_lambda() {
    let orders = Upstream::start();
    let settings = r#"settings = { type = "REQUEST", identity_sources = ["header:X-Tenant", "header:X-Key"] }"#;
    let gateway = start(&orders, &lambda_in_python(REQUEST), settings);
    let ask =
        |method, tenant, key| verdict(&gateway, method, &[("x-tenant", tenant), ("x-key", key)]);

    assert_eq!(ask("GET", "alice", "key-1"), ok());
    assert_eq!(ask("PUT", "alice", "key-1"), ok());
    assert_eq!(ask("GET", "bob", "key-2"), ok());
    assert_eq!(ask("PUT", "bob", "key-2"), refused(403, "not-authorized"));
    assert_eq!(ask("GET", "bob", "key-1"), refused(403, "not-authorized"));
    assert_eq!(ask("GET", "mallory", "key-1"), refused(401, "unauthorized"));
    assert_eq!(ask("GET", "alice", ""), refused(401, "missing-identity"));
    assert_eq!(
        verdict(&gateway, "GET", &[("x-tenant", "alice")]),
        refused(401, "missing-identity")
    );

    let seen = orders.seen();
    assert_eq!(seen.len(), 3);
    let told = |name| seen[2].headers.get(name);
    assert_eq!(told("x-principal"), Some("bob"));
    assert_eq!(told("x-route"), Some("ANY /orders/{id}"));
    assert_eq!(told("x-quota"), Some(r#"{"daily": 1000}"#));
}

/// Settings of a probe; `Zebra` stands for the one source a request may lack.
const PROBED: &str = r#"settings = { type = "REQUEST", version = "VERSION", identity_sources = ["header:Zebra", "query:q"], headers = ["X-Mode", "Zebra", "Cookie", "User-Agent"], stage_variables = { colour = "blue" }, environment = { PRINCIPAL = "carol" } }"#;

const HEADERS: [(&str, &str); 6] = [
    ("zebra", "a"),
    ("zebra", "b"),
    ("cookie", "c=1; d=2"),
    ("user-agent", "probe/1"),
    ("host", "shop.example.com:8080"),
    ("x-unseen", "e"),
];

/// The event that a probe was called with, without what differs from call to call.
fn event(gateway: &Gateway, orders: &Upstream, target: &str) -> Value {
    assert_eq!(gateway.get(target, &HEADERS).status, 200);
    let seen = orders.seen();
    let last = seen.last().unwrap();
    assert_eq!(last.headers.get("x-principal"), Some("carol"));
    let mut event: Value = serde_json::from_str(last.headers.get("x-event").unwrap()).unwrap();
    let context = event["requestContext"].as_object_mut().unwrap();
    for (member, kind) in [
        ("requestId", "text"),
        ("time", "text"),
        ("timeEpoch", "number"),
        ("requestTime", "text"),
        ("requestTimeEpoch", "number"),
    ] {
        let Some(value) = context.remove(member) else { continue };
        match value {
            Value::String(text) if kind == "text" => assert!(!text.is_empty(), "{member}"),
            Value::Number(number) if kind == "number" => {
                assert!(number.as_u64().unwrap() > 1_700_000_000_000, "{member}")
            }
            other => panic!("{member}: {other}"),
        }
    }
    event
}

const ARN: &str = "arn:aws:execute-api:eu-central-1:111122223333:shop/$default/GET/orders/7";

const AT_DEV: &str = "arn:aws:execute-api:eu-central-1:111122223333:shop/dev/GET/orders/7";

fn check_version_1(component: &[u8]) {
    let orders = Upstream::start();
    let gateway = start(&orders, component, &PROBED.replace("VERSION", "1.0"));

    let expected = json!({
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": ARN,
        "identitySource": "a,b,1,2",
        "authorizationToken": "a,b,1,2",
        "resource": "/orders/{id}",
        "path": "/orders/7",
        "httpMethod": "GET",
        "headers": { "Zebra": "b", "Cookie": "c=1; d=2", "User-Agent": "probe/1" },
        "multiValueHeaders": {
            "Zebra": ["a", "b"],
            "Cookie": ["c=1; d=2"],
            "User-Agent": ["probe/1"],
        },
        "queryStringParameters": { "q": "2", "r": "x y" },
        "multiValueQueryStringParameters": { "q": ["1", "2"], "r": ["x y"] },
        "pathParameters": { "id": "7" },
        "stageVariables": { "colour": "red", "size": "large" },
        "requestContext": {
            "accountId": "111122223333",
            "apiId": "shop",
            "stage": "$default",
            "path": "/orders/7",
            "resourcePath": "/orders/{id}",
            "httpMethod": "GET",
            "domainName": "shop.example.com",
            "domainPrefix": "shop",
            "identity": { "sourceIp": "127.0.0.1", "userAgent": "probe/1" },
        },
    });
    assert_eq!(event(&gateway, &orders, "/orders/7?q=1&q=2&r=x%20y"), expected);
    let at_dev = event(&gateway, &orders, "/dev/orders/7?q=1&q=2&r=x%20y");
    assert_eq!((&at_dev["path"], &at_dev["methodArn"]), (&json!("/orders/7"), &json!(AT_DEV)));
    assert_eq!(at_dev["requestContext"]["path"], "/dev/orders/7");
    assert_eq!(at_dev["requestContext"]["stage"], "dev");
    assert_eq!(at_dev["stageVariables"], json!({ "colour": "blue", "size": "small" }));

    let ask = |mode| verdict(&gateway, "GET", &[("x-mode", mode), ("zebra", "a")]);
    for mode in ["string", "error"] {
        assert_eq!(ask(mode), refused(401, "unauthorized"), "{mode}");
    }
    for mode in ["other", "throws", "nothing", "nameless", "nested", "simple"] {
        assert_eq!(ask(mode), refused(503, "unavailable"), "{mode}");
    }
    assert_eq!(ask("unruly"), refused(503, "bad-answer"));
    gateway.wait_for_output("Unauthorized!");
    assert_eq!(orders.seen().len(), 2);
    assert_eq!(ask("well"), ok());
}

fn check_version_2(component: &[u8]) {
    let orders = Upstream::start();
    let gateway = start(&orders, component, &PROBED.replace("VERSION", "2.0"));

    let expected = json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": ARN,
        "identitySource": ["a,b", "1,2"],
        "routeKey": "ANY /orders/{id}",
        "rawPath": "/orders/7",
        "rawQueryString": "q=1&q=2&r=x%20y",
        "cookies": ["c=1", "d=2"],
        "headers": { "zebra": "a,b", "user-agent": "probe/1" },
        "queryStringParameters": { "q": "1,2", "r": "x y" },
        "pathParameters": { "id": "7" },
        "stageVariables": { "colour": "red", "size": "large" },
        "requestContext": {
            "accountId": "111122223333",
            "apiId": "shop",
            "stage": "$default",
            "domainName": "shop.example.com",
            "domainPrefix": "shop",
            "http": {
                "method": "GET",
                "path": "/orders/7",
                "sourceIp": "127.0.0.1",
                "userAgent": "probe/1",
            },
            "routeKey": "ANY /orders/{id}",
        },
    });
    assert_eq!(event(&gateway, &orders, "/orders/7?q=1&q=2&r=x%20y"), expected);
    let at_dev = event(&gateway, &orders, "/dev/orders/7?q=1&q=2&r=x%20y");
    assert_eq!(
        (&at_dev["rawPath"], &at_dev["routeArn"]),
        (&json!("/dev/orders/7"), &json!(AT_DEV))
    );
    assert_eq!(at_dev["requestContext"]["http"]["path"], "/dev/orders/7");
    assert_eq!(at_dev["requestContext"]["stage"], "dev");
    assert_eq!(at_dev["stageVariables"], json!({ "colour": "blue", "size": "small" }));
}

#[test]
fn a_handler_in_javascript_is_told_and_answers_in_version_1() {
    check_version_1(&lambda_in_javascript(PROBE_IN_JAVASCRIPT));
}

#[test]
fn a_handler_in_javascript_is_told_in_version_2() {
    check_version_2(&lambda_in_javascript(PROBE_IN_JAVASCRIPT));
}

#[test]
fn a_handler_in_python_is_told_and_answers_in_version_1() {
    check_version_1(&lambda_in_python(PROBE_IN_PYTHON));
}

#[test]
fn a_handler_in_python_is_told_in_version_2() {
    check_version_2(&lambda_in_python(PROBE_IN_PYTHON));
}
