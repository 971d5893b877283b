//! Requests are what their route's schemas and parameters say, or the upstream never
//! hears of them.

use portcullis_tests::{Gateway, Response, Site, Upstream, eventually};
use serde_json::{Value, json};

const ORDER: &str = r##"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "required": ["item", "quantity"],
  "additionalProperties": false,
  "properties": {
    "item": { "$ref": "parts/item.json#/definitions/name" },
    "quantity": { "type": "integer", "minimum": 1 },
    "parts": { "type": "array", "items": { "$ref": "#" } }
  }
}
"##;

const ITEM: &str = r#"{ "definitions": { "name": { "type": "string", "maxLength": 5 } } }"#;

/// A site with the schema files; a configuration for it.
fn site(upstream: &Upstream, more: &str) -> (Site, String) {
    let site = Site::new();
    std::fs::create_dir_all(site.path().join("schemas/parts")).unwrap();
    site.write("schemas/order.json", ORDER).write("schemas/parts/item.json", ITEM);
    let config = format!(
        r#"
        authorizer = "none"
        [upstreams.orders]
        endpoints = ["{}"]
        [apis.orders]
        upstream = "orders"
        json = {{ budget = {{ wall_time = "60s", cpu_time = "20s", memory = "256MiB" }} {more} }}
        [apis.orders.routes]
        "POST /orders" = {{ validate = {{ body = "schemas/order.json" }} }}
        "POST /items" = {{ validate = {{ body = {{ schema = "schemas/parts/item.json#/definitions/name", required = false, media_types = ["text/json"], other_media_types = "pass" }} }} }}
        "#,
        upstream.address()
    );
    (site, config)
}

fn post(gateway: &Gateway, target: &str, body: impl AsRef<[u8]>) -> Response {
    gateway.post(target, &[("content-type", "application/json")], body.as_ref())
}

#[test]
fn bodies_are_judged_before_the_upstream_hears_of_them() {
    let upstream = Upstream::start();
    let (site, config) = site(&upstream, "");
    let gateway = site.start(&config);

    let mut found = post(
        &gateway,
        "/orders",
        r#"{"item": "tea bags", "parts": [{"item": 1, "quantity": 0, "x~/y": 1}]}"#,
    )
    .violations();
    found.sort();
    assert_eq!(
        found,
        [
            "/item: must have at most 5 characters",
            "/parts/0/item: must be a text",
            "/parts/0/quantity: must be at least 1",
            "/parts/0/x~0~1y: is not known here",
            "/quantity: is required",
        ]
    );
    for (body, expected) in [
        (&br#"{"item": "a", "item": "b", "quantity": 1}"#[..], "/item: is written twice"),
        (b"{\"item\": \"\xff\", \"quantity\": 1}", ": is not UTF-8"),
        (br#"{"item": "a", "quantity": 1e999}"#, "/quantity: is a number too large"),
        (b"", ": a body is required"),
        (b"{", ": is no JSON"),
    ] {
        let found = post(&gateway, "/orders", body).violations();
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }
    let deep = format!("{{\"parts\": {}", "[".repeat(500_000));
    assert!(post(&gateway, "/orders", deep).violations()[0].contains("deeper than 64 levels"));
    assert_eq!(post(&gateway, "/orders", " ".repeat(2 << 20)).status, 413);
    upstream.assert_saw_nothing();

    let good = r#"{"item": "tea", "quantity": 1}"#;
    assert_eq!(post(&gateway, "/orders", good).status, 200);
    assert_eq!(upstream.seen().pop().unwrap().body, good.as_bytes());
}

#[test]
fn a_body_that_is_not_json_is_refused_or_passed_as_its_route_says() {
    let upstream = Upstream::start();
    let (site, config) = site(&upstream, "");
    let gateway = site.start(&config);

    for headers in [
        &[("content-type", "text/plain")][..],
        &[],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
    ] {
        let response = gateway.post("/orders", headers, b"{}");
        assert_eq!(response.verdict(), (415, "unsupported-media-type".into()));
        assert_eq!(response.headers.get("accept"), Some("application/json, application/*+json"));
    }
    upstream.assert_saw_nothing();
    let patch = [("content-type", "application/merge-patch+json; charset=utf-8")];
    assert_eq!(gateway.post("/orders", &patch, b"{}").status, 400);

    let judged = [("content-type", "text/json")];
    assert_eq!(gateway.post("/items", &judged, b"1").status, 400);
    assert_eq!(gateway.post("/items", &judged, b"\"tea\"").status, 200);
    assert_eq!(gateway.post("/items", &[("content-type", "text/plain")], b"1").status, 200);
    assert_eq!(gateway.post("/items", &[], b"").status, 200);
}

#[test]
fn a_schema_that_changes_is_served_and_one_that_breaks_changes_nothing() {
    let upstream = Upstream::start();
    let (site, config) = site(&upstream, "");
    let gateway = site.start(&config);
    let order = r#"{"item": "tea bags", "quantity": 1}"#;
    assert_eq!(post(&gateway, "/orders", order).status, 400);

    gateway.site().write("schemas/parts/item.json", ITEM.replace('5', "50"));
    eventually("the longer name", || {
        (post(&gateway, "/orders", order).status == 200).then_some(())
    });

    let refused = gateway.reloads("Refused");
    gateway.site().write("schemas/parts/item.json", ITEM.replace("\"string\"", "\"strin\""));
    eventually("a refused reload", || (gateway.reloads("Refused") > refused).then_some(()));
    assert_eq!(post(&gateway, "/orders", order).status, 200);
}

#[test]
fn what_is_wrong_with_a_schema_is_shown_in_its_file() {
    let upstream = Upstream::start();
    let check = |file: &str, text: &str, expected: &[&str]| {
        let (site, config) = site(&upstream, "");
        site.write(file, text);
        site.configure(&config);
        let outcome = site.run(&["check", "portcullis.toml"]);
        let shown = outcome.text();
        assert_ne!(outcome.code, Some(0), "{shown}");
        for expected in expected {
            assert!(shown.contains(expected), "{expected}\n{shown}");
        }
    };
    check(
        "schemas/order.json",
        "{\n  \"properties\": { \"a\": { \"type\": \"strin\" } }\n}",
        &["is no schema", "order.json:2:", "\"strin\""],
    );
    check(
        "schemas/order.json",
        "{\n  \"items\": { \"$ref\": \"#/$defs/none\" }\n}",
        &["`#/$defs/none` refers to nothing", "order.json:2:"],
    );
    check("schemas/order.json", "{ \"a\": 1,\n \"a\": 2 }", &["written twice", "order.json:2:2"]);
    check(
        "schemas/parts/item.json",
        "{}",
        &["nothing is at `/definitions/name` in `schemas/parts/item.json`", "portcullis.toml:"],
    );
    check(
        "schemas/order.json",
        "{ \"$ref\": \"https://example.com/x.json\" }",
        &["nothing is fetched", "order.json:1:"],
    );
    check("schemas/order.json", "{ \"pattern\": \"(?=a)\" }", &["is no pattern", "order.json:1:"]);
}

#[test]
fn parameters_are_judged_with_the_body_in_one_answer() {
    let upstream = Upstream::start();
    let (site, config) = site(&upstream, "");
    let config = config
        + r#"
        [apis.orders.routes."PUT /orders/{id}".validate]
        body = "schemas/order.json"
        query.limit = { type = "integer", required = true, maximum = 100 }
        query.sort = { enum = ["up", "down"], repeated = true }
        headers.x-tenant = { required = true, pattern = "^[a-z]+$" }
        path.id = { type = "integer", minimum = 1 }
        cookies.session = { min_length = 4 }
        "#;
    let gateway = site.start(&config);
    let put = |target: &str, headers: &[(&str, &str)], body: &str| {
        let json = [("content-type", "application/json")];
        gateway.request("PUT", target, &[&json, headers].concat(), body.as_bytes())
    };

    let response = put("/orders/x?limit=101&sort=up&sort=left", &[("cookie", "session=abc")], "{}");
    assert_eq!(
        response.violations(),
        [
            "query:limit: must be at most 100",
            "query:sort: must be one of up, down",
            "header:x-tenant: is required",
            "path:id: must be a whole number",
            "cookie:session: must have at least 4 characters",
            "/item: is required",
            "/quantity: is required",
        ]
    );
    upstream.assert_saw_nothing();
    let tenant = [("x-tenant", "blue")];
    let good = r#"{"item": "tea", "quantity": 1}"#;
    assert_eq!(put("/orders/7?limit=100&sort=down", &tenant, good).status, 200);
    assert_eq!(
        put("/orders/7?limit=", &tenant, good).violations(),
        ["query:limit: is required and must not be blank"]
    );
}

/// Both alternatives look at everything below, so that each level doubles the work.
const TREE: &str = r##"{
  "type": "object",
  "anyOf": [
    { "properties": { "a": { "$ref": "#" } }, "required": ["left"] },
    { "properties": { "a": { "$ref": "#" } }, "required": ["right"] }
  ]
}
"##;

#[test]
fn a_schema_that_doubles_its_work_with_each_level_ends_by_its_budget() {
    let upstream = Upstream::start();
    let (site, config) = site(&upstream, "");
    site.write("schemas/tree.json", TREE);
    let route =
        "[apis.orders.routes]\n\"POST /trees\" = { validate = { body = \"schemas/tree.json\" } }";
    let config = config.replace("[apis.orders.routes]", route).replace("20s", "1s");
    let gateway = site.start(&config);
    let tree = |depth: usize, leaf: &str| {
        let above = r#"{"left": 1, "right": 2, "a": "#.repeat(depth);
        format!("{above}{leaf}{}", "}".repeat(depth))
    };

    let refused = post(&gateway, "/trees", tree(50, "1"));

    assert_eq!(refused.verdict(), (503, "plugin-fault".into()), "{}", refused.text());
    let reason = eventually("the reason in the access log", || {
        gateway.access_log().first().map(|line| line["reason"].clone())
    });
    assert!(reason == "cpu-time" || reason == "memory", "whichever ends first: {reason}");
    assert_eq!(post(&gateway, "/trees", tree(50, r#"{"left": 1}"#)).status, 200);
    assert_eq!(post(&gateway, "/trees", tree(2, "1")).status, 400);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn an_image_of_a_large_schema_is_made_though_instances_are_reused() {
    let upstream = Upstream::start();
    let (site, config) = site(&upstream, "");
    let members: serde_json::Map<String, Value> = (0..3000)
        .map(|at| (format!("member{at}"), json!({ "type": "object", "properties": { "a": { "type": "string", "maxLength": at }, "b": { "enum": [at, "x"] } } })))
        .collect();
    site.write("schemas/order.json", json!({ "properties": members }).to_string());
    let gateway = site.start(&config);

    gateway.wait_for_image("orders schemas");

    let body = r#"{"member7": {"a": "too long for this"}}"#;
    assert_eq!(
        post(&gateway, "/orders", body).violations(),
        ["/member7/a: must have at most 7 characters"]
    );
}

#[test]
fn explain_shows_what_is_checked() {
    let upstream = Upstream::start();
    let (site, config) = site(&upstream, "");
    site.configure(&config);

    let outcome = site.run(&["explain", "POST", "http://x/orders", "--config", "portcullis.toml"]);

    let expected = "body required, application/json by orders schemas(schemas/order.json)";
    assert!(outcome.stdout.contains(expected), "{}{}", outcome.stdout, outcome.stderr);
}
