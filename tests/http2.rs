//! What the gateway says and refuses over HTTP/1.1 it says and refuses over HTTP/2, to
//! clients and towards upstreams.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use portcullis_tests::{Gateway, H2Client, H2Reply, H2Response, H2Seen, H2Upstream, Site};
use serde_json::{Value, json};

const SIZES: [usize; 3] = [10, 100_000, 3_000_000];
const APP: (&str, &str) = ("origin", "https://app.example.com");
const JSON: (&str, &str) = ("content-type", "application/json");

/// An upstream that speaks HTTP/2 and answers with what it was sent.
fn echo() -> H2Upstream {
    H2Upstream::answering(|seen| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
        H2Reply { headers, pieces: vec![Bytes::from(seen.body.clone())], trailers: None }
    })
}

/// A gateway before it: `BUDGET` is filled in.
fn start(upstream: &H2Upstream, config: &str) -> Gateway {
    let site = Site::new();
    site.write(
        "order.json",
        r#"{
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["item", "quantity"],
            "properties": { "item": { "type": "string" }, "quantity": { "minimum": 1 } }
        }"#,
    );
    let config = config.replace("BUDGET", crate::ROOMY);
    site.start(&format!(
        r#"
        authorizer = "none"
        [upstreams.echo]
        endpoints = ["{}"]
        protocol = "http2"
        {config}
        "#,
        upstream.address()
    ))
}

fn connect(gateway: &Gateway) -> H2Client {
    H2Client::connect(gateway.address("public"))
}

#[track_caller]
fn field<'r>(response: &'r H2Response, name: &str) -> &'r str {
    let value = response.headers.get(name).unwrap_or_else(|| panic!("{name}: {response:?}"));
    value.to_str().unwrap()
}

fn problem(response: &H2Response) -> Value {
    assert_eq!(field(response, "content-type"), "application/problem+json");
    serde_json::from_slice(&response.body).unwrap()
}

/// The only request that the upstream has seen since the last time.
#[track_caller]
fn newest(upstream: &H2Upstream, so_far: &mut usize) -> H2Seen {
    let mut seen = upstream.seen();
    *so_far += 1;
    assert_eq!(seen.len(), *so_far);
    seen.pop().unwrap()
}

#[test]
fn a_limit_refuses_a_stream_and_the_connection_goes_on() {
    let upstream = echo();
    let gateway = start(
        &upstream,
        r#"
        [limits]
        throttle_fields = "always"
        [apis.shop]
        upstream = "echo"
        throttle = { rate = 1000, burst = 2000 }
        [apis.shop.routes."GET /orders/{id}"]
        throttle = { rate = "1/1h", burst = 2, per = "address" }
        [apis.shop.routes."POST /orders"]
        throttle = { rate = "1/1h", burst = 1 }
        [apis.shop.routes."GET /free"]
        "#,
    );
    let client = connect(&gateway);
    let ask = |target: &str| client.request("GET", target, &[], b"");
    for left in ["r=1;", "r=0;"] {
        let passed = ask("/orders/1");
        assert_eq!(passed.status, 200);
        assert!(field(&passed, "ratelimit").starts_with(&format!("\"route-address\";{left}")));
    }

    let refused = ask("/orders/1");

    assert_eq!((refused.status, refused.code().as_str()), (429, "throttled"));
    let wait: u64 = field(&refused, "retry-after").parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{wait}");
    let policies = r#""route-address";q=2;w=7200, "api";q=2000;w=2"#;
    assert_eq!(field(&refused, "ratelimit-policy"), policies);
    let standing = format!("\"route-address\";r=0;t={wait}, \"api\";r=");
    assert!(field(&refused, "ratelimit").starts_with(&standing), "{refused:?}");
    assert_eq!(problem(&refused)["violated-policies"], json!(["route-address"]));
    assert_eq!(ask("/free").status, 200, "the connection goes on");

    // One that is refused before its body has come, and however long that is.
    let post = |size: usize| client.request("POST", "/orders", &[], &vec![b'x'; size]);
    assert_eq!(post(10).status, 200);
    for size in SIZES {
        assert_eq!(post(size).status, 429, "{size}");
    }
    assert_eq!(client.stalled_request("POST", "/orders", b"begun").status, 429);
    assert_eq!(ask("/free").status, 200);
    let targets: Vec<String> = upstream.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/orders/1", "/orders/1", "/free", "/orders", "/free"]);
}

#[test]
fn pages_ask_and_read_errors_over_http_2() {
    let upstream = echo();
    let gateway = start(
        &upstream,
        r#"
        [apis.shop]
        upstream = "echo"
        body_limit = 10
        [apis.shop.cors]
        origins = ["https://app.example.com"]
        headers = ["content-type"]
        expose = ["x-request-id"]
        credentials = true
        max_age = "10m"
        [apis.shop.routes]
        "PUT /orders/{id}" = {}
        "GET /orders/{id}" = { throttle = { rate = "1/1h", burst = 1 } }
        "#,
    );
    let client = connect(&gateway);
    let asks = |origin, headers| {
        let method = ("access-control-request-method", "PUT");
        let asked = [("origin", origin), method, ("access-control-request-headers", headers)];
        client.request("OPTIONS", "/orders/7", &asked, b"")
    };

    let allowed = asks("https://app.example.com", "content-type");
    assert_eq!((allowed.status, allowed.body.len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-max-age", "600"),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    ] {
        assert_eq!(field(&allowed, name), value);
    }
    for (origin, headers) in
        [("https://evil.example", "content-type"), ("https://app.example.com", "x-other")]
    {
        let refused = asks(origin, headers);
        assert_eq!((refused.status, refused.code().as_str()), (403, "preflight-refused"));
        assert_eq!(refused.headers.get("access-control-allow-origin"), None, "{refused:?}");
    }
    assert!(upstream.seen().is_empty());

    let ask = |method, target, body: &[u8]| client.request(method, target, &[APP], body);
    let passed = ask("GET", "/orders/7", b"");
    let errors = [
        (429, "throttled", ask("GET", "/orders/7", b"")),
        (404, "no-such-route", ask("GET", "/nowhere", b"")),
        (405, "method-not-allowed", ask("DELETE", "/orders/7", b"")),
        (413, "body-too-large", ask("PUT", "/orders/7", b"more than ten bytes")),
    ];
    for (status, code, refused) in &errors {
        assert_eq!((refused.status, refused.code().as_str()), (*status, *code));
    }
    for answer in errors.iter().map(|(_, _, refused)| refused).chain([&passed]) {
        assert_eq!(field(answer, "access-control-allow-origin"), APP.1);
        assert_eq!(field(answer, "access-control-allow-credentials"), "true");
        assert_eq!(field(answer, "access-control-expose-headers"), "x-request-id");
        assert_eq!(field(answer, "vary"), "Origin");
    }
}

#[test]
fn a_body_is_judged_by_its_schema_on_both_sides_of_http_2() {
    let upstream = echo();
    let gateway = start(
        &upstream,
        r#"
        [apis.shop]
        upstream = "echo"
        json = { BUDGET }
        routes."POST /orders" = { validate = { body = "order.json" } }
        "#,
    );
    let client = connect(&gateway);

    let refused = client.request("POST", "/orders", &[JSON], br#"{"item": 1, "quantity": 0}"#);

    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid-request"));
    let problem = problem(&refused);
    let violations = problem["violations"].as_array().unwrap().iter();
    let mut places: Vec<&str> = violations.map(|it| it["location"].as_str().unwrap()).collect();
    places.sort_unstable();
    assert_eq!(places, ["/item", "/quantity"], "{problem}");
    let other = client.request("POST", "/orders", &[("content-type", "text/plain")], b"{}");
    assert_eq!((other.status, other.code().as_str()), (415, "unsupported-media-type"));
    assert!(upstream.seen().is_empty());

    let mut so_far = 0;
    for size in [10, 100_000, 900_000] {
        let order = format!(r#"{{"item": "{}", "quantity": 1}}"#, "x".repeat(size));
        let passed = client.request("POST", "/orders", &[JSON], order.as_bytes());
        assert_eq!(passed.status, 200, "{size}: {}", passed.code());
        assert!(passed.body == order.as_bytes(), "{size}: {} bytes", passed.body.len());
        let seen = newest(&upstream, &mut so_far);
        assert!(seen.body == order.as_bytes(), "{size}: {} bytes", seen.body.len());
        assert_eq!(seen.headers.get("content-type").unwrap(), "application/json");
    }
}

/// How a body travels to the gateway.
#[derive(Debug, Clone, Copy)]
enum Framed {
    Length,
    Chunked,
    Http2,
}

fn post(gateway: &Gateway, framed: Framed, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
    match framed {
        Framed::Length => {
            let response = gateway.post(target, &[], body);
            (response.status, response.body)
        }
        Framed::Chunked => {
            let mut client = gateway.connect();
            let response = client.request_chunked("POST", target, &[], (body, 8000));
            (response.status, response.body)
        }
        Framed::Http2 => {
            let response = connect(gateway).request("POST", target, &[], body);
            (response.status, response.body)
        }
    }
}

#[test]
fn a_held_body_reaches_an_upstream_over_http_2_whole_or_not_at_all() {
    let upstream = echo();
    let gateway = start(
        &upstream,
        r#"
        [validators.judge]
        plugin = "echo-body"
        BUDGET
        [transforms.measure]
        plugin = "echo-body"
        BUDGET
        [transforms.shout]
        plugin = "rewrite-body"
        BUDGET
        [apis.shop]
        upstream = "echo"
        [apis.shop.routes]
        "POST /judged" = { validate = "judge" }
        "POST /measured" = { request_transforms = ["measure"] }
        "POST /shouted" = { response_transforms = ["shout"] }
        "POST /all" = { validate = "judge", request_transforms = ["measure"], response_transforms = ["shout"] }
        "#,
    );
    let mut so_far = 0;
    for framed in [Framed::Length, Framed::Chunked, Framed::Http2] {
        for size in SIZES {
            let mut sent = vec![b'a'; size];
            for target in ["/judged", "/measured", "/shouted", "/all"] {
                let (status, answer) = post(&gateway, framed, target, &sent);

                let what = format!("{target} {framed:?} {size}");
                assert_eq!(status, 200, "{what}");
                let is_loud = matches!(target, "/shouted" | "/all");
                let expected = if is_loud { sent.to_ascii_uppercase() } else { sent.clone() };
                assert!(answer == expected, "{what}: {} bytes came back", answer.len());
                let seen = newest(&upstream, &mut so_far);
                assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", target));
                assert!(seen.body == sent, "{what}: the upstream saw {} bytes", seen.body.len());
                assert_eq!(seen.headers.get("transfer-encoding"), None, "{what}");
                if target != "/shouted" {
                    let length = seen.headers.get("content-length").unwrap();
                    assert_eq!(length, &size.to_string(), "{what}");
                }
                if matches!(target, "/measured" | "/all") {
                    let length = seen.headers.get("x-body-length").unwrap();
                    assert_eq!(length, &size.to_string(), "{what}");
                }
            }
            *sent.last_mut().unwrap() = b'!';
            for target in ["/judged", "/all"] {
                assert_eq!(post(&gateway, framed, target, &sent).0, 400, "{target} {framed:?}");
            }
            assert_eq!(upstream.seen().len(), so_far, "{framed:?} {size}");
        }
    }
}

#[test]
fn a_body_that_grows_too_long_on_its_way_is_refused_at_once() {
    let upstream = echo();
    let gateway = start(
        &upstream,
        r#"
        [apis.shop]
        upstream = "echo"
        routes."POST /bounded" = { body_limit = "1KiB" }
        "#,
    );
    for framed in [Framed::Length, Framed::Chunked, Framed::Http2] {
        let began = Instant::now();
        for size in [1025, 100_000] {
            assert_eq!(post(&gateway, framed, "/bounded", &vec![b'a'; size]).0, 413, "{framed:?}");
        }
        // An upstream has a minute to answer, and this one waits for the rest.
        assert!(began.elapsed() < Duration::from_secs(50), "{framed:?}");
    }

    assert!(upstream.seen().is_empty(), "the upstream took a body for whole");
    for framed in [Framed::Length, Framed::Chunked, Framed::Http2] {
        assert_eq!(post(&gateway, framed, "/bounded", &[b'a'; 1024]).0, 200, "{framed:?}");
    }
}
