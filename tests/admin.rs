//! The admin API: who may use it, what it changes at once, and what it never shows again.

use portcullis_tests::{Client, Gateway, Response, Site, Upstream, eventually};
use serde_json::{Value, json};

const TOKEN: &str = "an-admin-token-of-a-test";
const BEARER: (&str, &str) = ("authorization", "Bearer an-admin-token-of-a-test");

const CONFIG: &str = r#"
    state = "state"
    admin = { address = "127.0.0.1:0", token = { file = "admin-token" } }
    [authorizers.keys]
    plugin = "api-key"
    cache = "5m"
    BUDGET
    [apis.shop.routes."GET /orders"]
    authorizer = "keys"
    upstream = "orders"
"#;

fn config(orders: &Upstream) -> String {
    let config = CONFIG.replace("BUDGET", crate::ROOMY);
    format!("{config}\n[upstreams.orders]\nendpoints = [\"{}\"]\n", orders.address())
}

fn start(orders: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("admin-token", format!("{TOKEN}\n"));
    site.start(&config(orders))
}

fn send(gateway: &Gateway, (method, path): (&str, &str), body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Client::connect(gateway.admin()).request(method, path, &[BEARER], body.as_bytes())
}

/// Sends, and wants this status; JSON, or null where there is no body.
fn done(gateway: &Gateway, request: (&str, &str), body: &Value, status: u16) -> Value {
    let response = send(gateway, request, body);
    assert_eq!(response.status, status, "{request:?}: {response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{request:?}");
    if response.body.is_empty() { Value::Null } else { response.json() }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

fn orders(gateway: &Gateway, key: &str) -> u16 {
    gateway.get("/orders", &[("x-api-key", key)]).status
}

const ROUTES: &[(&str, &str)] = &[
    ("GET", "/consumers"),
    ("POST", "/consumers"),
    ("DELETE", "/consumers/alice"),
    ("GET", "/consumers/alice/policies"),
    ("PUT", "/consumers/alice/policies/p"),
    ("DELETE", "/consumers/alice/policies/p"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("GET", "/keys/a"),
    ("DELETE", "/keys/a"),
    ("POST", "/keys/a/rotate"),
    ("POST", "/keys/a/enable"),
    ("POST", "/keys/a/disable"),
    ("PUT", "/keys/a/policies/p"),
    ("PUT", "/keys/a/plan"),
    ("DELETE", "/keys/a/plan"),
    ("GET", "/keys/a/usage"),
    ("POST", "/keys/a/usage/reset"),
    ("POST", "/keys/a/usage/extend"),
    ("GET", "/access-keys"),
    ("POST", "/access-keys"),
    ("DELETE", "/access-keys/a"),
    ("POST", "/access-keys/a/rotate"),
    ("POST", "/access-keys/a/enable"),
    ("POST", "/access-keys/a/disable"),
    ("PUT", "/access-keys/a/policies/p"),
    ("GET", "/reloads/last"),
];

#[test]
fn every_route_wants_the_token_and_no_browser() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let ask = |(method, path): (&str, &str), headers: &[(&str, &str)]| {
        Client::connect(gateway.admin()).request(method, path, headers, b"")
    };

    for route in ROUTES {
        for wrong in [&[][..], &[("authorization", "Bearer an-admin-token-of-a-tesT")]] {
            let refused = ask(*route, wrong);
            assert_eq!(refused.verdict(), (401, "unauthorized".to_owned()), "{route:?}");
            assert_eq!(refused.header("content-type"), Some("application/problem+json"));
            assert!(refused.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")));
        }
        let from_page = ask(*route, &[BEARER, ("origin", "http://localhost")]);
        assert_eq!(from_page.verdict(), (403, "foreign-origin".to_owned()), "{route:?}");
        let rebound = ask(*route, &[BEARER, ("host", "evil.test:9901")]);
        assert_eq!(rebound.verdict(), (403, "foreign-host".to_owned()), "{route:?}");
        let meant = send(&gateway, *route, &Value::Null);
        assert!(!matches!(meant.status, 401 | 403 | 405), "{route:?}: {meant:?}");
        assert_ne!(meant.code(), "no-such-route", "{route:?}");
    }
    for open in ["/health", "/ready", "/metrics"] {
        assert_eq!(ask(("GET", open), &[("host", "prometheus.test")]).status, 200, "{open}");
    }
    assert!(!(gateway.stdout() + &gateway.stderr()).contains(TOKEN));
}

#[test]
fn without_a_token_there_is_nothing_to_reach() {
    let upstream = Upstream::start();
    let without = config(&upstream).replace(", token = { file = \"admin-token\" }", "");
    let gateway = Site::new().start(&without);

    for route in ROUTES {
        let refused = send(&gateway, *route, &Value::Null);
        assert_eq!(refused.verdict(), (404, "no-such-route".to_owned()), "{route:?}");
    }
    assert_eq!(Client::connect(gateway.admin()).request("GET", "/ready", &[], b"").status, 200);
}

#[test]
fn a_change_holds_as_soon_as_it_is_answered() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let run = |method, path: &str, body, status| done(&gateway, (method, path), &body, status);
    let alice = json!({ "name": "alice", "attributes": { "plan": "gold", "seats": 3 } });
    assert_eq!(run("POST", "/consumers", alice, 201)["attributes"]["seats"], 3);

    let new = json!({ "consumer": "alice", "name": "laptop", "expires": "90d" });
    let added = run("POST", "/keys", new, 201);
    let (id, key) = (text(&added, "id"), text(&added, "key"));
    assert_eq!(orders(&gateway, key), 200);
    assert!(added["expires_at"].as_u64() > added["created"].as_u64());

    let path = format!("/keys/{id}");
    assert_eq!(run("POST", &format!("{path}/disable"), Value::Null, 200)["status"], "disabled");
    assert_eq!(orders(&gateway, key), 401);
    assert_eq!(run("POST", &format!("{path}/enable"), Value::Null, 200)["status"], "enabled");
    assert_eq!(orders(&gateway, key), 200);

    let next = run("POST", &format!("{path}/rotate"), json!({ "grace": "1h" }), 201);
    let next_key = text(&next, "key");
    assert_eq!((orders(&gateway, key), orders(&gateway, next_key)), (200, 200));
    run("DELETE", &path, Value::Null, 204);
    assert_eq!((orders(&gateway, key), orders(&gateway, next_key)), (401, 200));
    let last = run("POST", &format!("/keys/{}/rotate", text(&next, "id")), Value::Null, 201);
    assert_eq!((orders(&gateway, next_key), orders(&gateway, text(&last, "key"))), (401, 200));

    run("DELETE", "/consumers/alice", Value::Null, 204);
    assert_eq!(orders(&gateway, text(&last, "key")), 401);
}

#[test]
fn a_secret_is_shown_once() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let run = |method, path: &str, body, status| done(&gateway, (method, path), &body, status);
    run("POST", "/consumers", json!({ "name": "alice" }), 201);
    let own = "a-key-that-alice-has-had-for-years";
    let imported = run("POST", "/keys", json!({ "consumer": "alice", "key": own }), 201);
    assert_eq!(text(&imported, "key"), own);
    assert_eq!(orders(&gateway, own), 200);
    let made = json!({ "consumer": "alice", "session_token": true });
    let access = run("POST", "/access-keys", made, 201);
    let path = format!("/access-keys/{}", text(&access, "id"));
    let rotated = run("POST", &format!("{path}/rotate"), Value::Null, 201);
    let again = send(&gateway, ("POST", "/keys"), &json!({ "consumer": "alice", "key": own }));
    assert_eq!(again.verdict(), (422, "invalid".to_owned()));
    let number = json!({ "consumer": "alice", "key": 918_273_645_918_273_645_u64 });
    let no_text = send(&gateway, ("POST", "/keys"), &number);
    assert_eq!(no_text.verdict(), (400, "bad-body".to_owned()));
    assert!(!no_text.text().contains("918273645"), "{no_text:?}");

    let lists = ["/keys", "/access-keys", "/consumers", "/reloads/last", path.as_str()];
    let mut seen: String =
        lists.iter().map(|path| run("GET", path, Value::Null, 200).to_string()).collect();
    let metrics = send(&gateway, ("GET", "/metrics"), &Value::Null).text();
    seen += &(again.text() + &gateway.stdout() + &gateway.stderr() + &metrics);
    assert!(seen.contains(text(&access, "id")), "a list shows ids: {seen}");
    for (issued, name) in [(&access, "secret"), (&access, "session_token"), (&imported, "key")] {
        assert!(!seen.contains(text(issued, name)), "{name} in {seen}");
    }
    assert!(!seen.contains(text(&rotated, "secret")));
    assert_ne!(text(&rotated, "secret"), text(&access, "secret"));
}

#[test]
fn policies_are_attached_where_they_are_named() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let run = |method, path: &str, body, status| done(&gateway, (method, path), &body, status);
    run("POST", "/consumers", json!({ "name": "alice" }), 201);
    let key = run("POST", "/keys", json!({ "consumer": "alice" }), 201);
    let id = text(&key, "id");
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*" }
    ] });

    for owner in ["/consumers/alice".to_owned(), format!("/keys/{id}")] {
        let one = format!("{owner}/policies/read");
        run("PUT", &one, policy.clone(), 204);
        run("PUT", &one, policy.clone(), 204);
        let listed = run("GET", &format!("{owner}/policies"), Value::Null, 200);
        assert_eq!(listed, json!({ "items": [{ "name": "read", "document": policy }] }));
        run("PUT", &one, json!({ "Statement": "all of it" }), 422);
        run("DELETE", &one, Value::Null, 204);
        assert_eq!(run("DELETE", &one, Value::Null, 404)["code"], "not-found");
    }
    let elsewhere = format!("/access-keys/{id}/policies/read");
    assert_eq!(run("PUT", &elsewhere, policy, 404)["code"], "not-found");
}

#[test]
fn what_is_wrong_has_a_code() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let refused = |(method, path): (&str, &str), body: &str| {
        let response =
            Client::connect(gateway.admin()).request(method, path, &[BEARER], body.as_bytes());
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        response.verdict()
    };
    let alice = r#"{ "name": "alice" }"#;
    done(&gateway, ("POST", "/consumers"), &json!({ "name": "alice" }), 201);
    let oversize = format!(r#"{{ "name": "{}" }}"#, "a".repeat(70_000));

    for (request, body, status, code) in [
        (("POST", "/consumers"), alice, 409, "exists"),
        (("POST", "/consumers"), r#"{ "name": "bob", "rank": 1 }"#, 400, "bad-body"),
        (("POST", "/consumers"), "no JSON", 400, "bad-body"),
        (("POST", "/consumers"), "", 400, "bad-body"),
        (("POST", "/consumers"), r#"{ "name": "b o b" }"#, 422, "invalid"),
        (("POST", "/consumers"), oversize.as_str(), 413, "body-too-large"),
        (("POST", "/keys"), r#"{ "consumer": "nobody" }"#, 404, "not-found"),
        (("POST", "/keys"), r#"{ "consumer": "alice", "expires": "soon" }"#, 400, "bad-body"),
        (("POST", "/keys/none/rotate"), "", 404, "not-found"),
        (("GET", "/keys/%FF"), "", 400, "bad-path"),
        (("PUT", "/keys/none/plan"), r#"{ "plan": "gold" }"#, 404, "not-found"),
        (("PUT", "/keys/none/plan"), r#"{ "plan": "a plan" }"#, 422, "invalid"),
        (("GET", "/keys/none/usage"), "", 404, "not-found"),
        (("GET", "/keys/none/usage?from=today"), "", 400, "bad-query"),
        (("POST", "/keys/none/usage/extend"), r#"{ "requests": -1 }"#, 400, "bad-body"),
        (("GET", "/keys?limit=0"), "", 400, "bad-query"),
        (("GET", "/keys?page=2"), "", 400, "bad-query"),
        (("GET", "/consumers?consumer=alice"), "", 400, "bad-query"),
        (("PATCH", "/keys"), "", 405, "method-not-allowed"),
        (("GET", "/else"), "", 404, "no-such-route"),
    ] {
        assert_eq!(refused(request, body), (status, code.to_owned()), "{request:?}");
    }
    let chunked = Client::connect(gateway.admin()).request_chunked(
        "POST",
        "/consumers",
        &[BEARER],
        (oversize.as_bytes(), 8_000),
    );
    assert_eq!(chunked.verdict(), (413, "body-too-large".to_owned()));
}

#[test]
fn a_list_comes_in_pages() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    for name in ["anna", "bert", "carl"] {
        done(&gateway, ("POST", "/consumers"), &json!({ "name": name }), 201);
        done(&gateway, ("POST", "/keys"), &json!({ "consumer": name }), 201);
    }
    let list = |path| done(&gateway, ("GET", path), &Value::Null, 200);

    let first = list("/consumers?limit=2");
    assert_eq!((text(&first["items"][0], "name"), text(&first, "next")), ("anna", "bert"));
    let rest = list("/consumers?limit=2&after=bert");
    assert_eq!((text(&rest["items"][0], "name"), &rest["next"]), ("carl", &Value::Null));
    let keys = list("/keys?consumer=bert");
    assert_eq!(keys["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(text(&keys["items"][0], "consumer"), "bert");
}

#[test]
fn operators_name_the_hosts_they_come_by() {
    let upstream = Upstream::start();
    let site = Site::new();
    site.write("admin-token", format!("{TOKEN}\n"));
    let named = "address = \"127.0.0.1:0\", hosts = [\"Gateway.test\"],";
    let gateway = site.start(&config(&upstream).replace("address = \"127.0.0.1:0\",", named));
    let ask = |host| {
        let headers = [BEARER, ("host", host)];
        Client::connect(gateway.admin()).request("GET", "/keys", &headers, b"").status
    };

    assert_eq!([ask("gateway.test:9901"), ask("GATEWAY.TEST")], [200, 200]);
    assert_eq!([ask("other.test"), ask("evil.gateway.test")], [403, 403]);
}

#[test]
fn the_last_reload_tells_why_it_was_refused() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let last = || done(&gateway, ("GET", "/reloads/last"), &Value::Null, 200);
    let at_start = last();
    assert_eq!((text(&at_start, "outcome"), &at_start["generation"]), ("replaced", &json!(1)));
    assert_eq!(at_start["last_refused"], Value::Null);

    gateway
        .reload_config(&config(&upstream).replace("upstream = \"orders\"", "upstream = \"order\""));
    let refused = eventually("a refusal", || Some(last()).filter(|it| it["outcome"] == "refused"));
    assert_eq!(refused["generation"], 1);
    let problem = &refused["last_refused"]["problems"][0];
    assert!(text(problem, "message").contains("order"), "{problem}");
    assert!(problem["line"].as_u64() > Some(1), "{problem}");

    gateway.reload_config(&(config(&upstream) + "\n[limits]\nheader_count = 90\n"));
    let replaced = eventually("a reload", || Some(last()).filter(|it| it["outcome"] == "replaced"));
    assert_eq!(replaced["generation"], 2);
    assert_eq!(replaced["last_refused"], refused["last_refused"]);
    assert!(replaced["time"].as_u64() >= refused["time"].as_u64());
}
