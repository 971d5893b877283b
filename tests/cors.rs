//! Pages of other origins may read what the configuration says, and errors too.

mod browser;

use std::io;

use portcullis_tests::{Gateway, Headers, Reply, Response, Seen, Site, Upstream, dead_address};

const CONFIG: &str = r#"
    [upstreams.orders]
    endpoints = ["ORDERS"]

    [upstreams.late]
    endpoints = ["ORDERS"]
    timeouts = { first_byte = "1s" }

    [upstreams.dead]
    endpoints = ["DEAD"]

    [authorizers.keys]
    plugin = "api-token"
    settings.tokens.alice = { secret = "alice" }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET

    [transforms.stamp]
    plugin = "headers"
    settings.response = { set = { x-stamp = "1", access-control-allow-origin = "https://plugin.example" } }
    BUDGET

    [apis.shop]
    base_path = "/shop"
    upstream = "orders"
    authorizer = "keys"
    body_limit = 10

    [apis.shop.cors]
    origins = ["https://app.example.com", "https://*.example.org"]
    headers = ["authorization", "content-type"]
    expose = ["x-request-id"]
    credentials = true
    max_age = "10m"

    [apis.shop.routes]
    "GET /orders/{id}" = {}
    "PUT /orders/{id}" = {}
    "POST /orders" = {}
    "GET /open" = { authorizer = "none" }
    "GET /late" = { authorizer = "none", upstream = "late" }
    "GET /stamped" = { authorizer = "none", response_transforms = ["stamp"] }
    "GET /dead" = { authorizer = "none", upstream = "dead" }
    "GET /fixed" = { authorizer = "none", respond = { headers = { vary = "accept, origin" }, body = "fixed" } }
    "ANY /any" = { authorizer = "none" }
    "OPTIONS /own" = { authorizer = "none" }
    "GET /own" = { authorizer = "none" }
    "GET /left" = { authorizer = "none", cors = "off" }
    "OPTIONS /left" = { authorizer = "none", cors = "off" }
    "DELETE /public" = { authorizer = "none", cors = { origins = ["*"], methods = ["GET", "DELETE"], headers = ["*"] } }
    "PATCH /public" = { authorizer = "none", cors = { origins = ["*"], methods = ["GET", "DELETE"], headers = ["*"] } }

    [apis.other]
    upstream = "orders"
    authorizer = "none"
    routes."GET /other" = {}
"#;

const APP: (&str, &str) = ("origin", "https://app.example.com");
const EVIL: (&str, &str) = ("origin", "https://evil-example.org");
const BEARER: (&str, &str) = ("authorization", "Bearer sesame");

fn start(orders: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("alice.key", "sesame");
    let config = CONFIG.replace("BUDGET", crate::ROOMY);
    let config = config.replace("ORDERS", &orders.address().to_string());
    site.start(&config.replace("DEAD", &dead_address().to_string()))
}

/// Says of CORS and of `Vary` what upstreams say that know nothing of their gateway.
fn answer(seen: &Seen, reply: &mut Reply<'_>) -> io::Result<()> {
    if seen.target.ends_with("/late") {
        // Until the gateway gives up.
        return reply.piece().map(|_| ());
    }
    if seen.headers.get("upgrade").is_some() {
        return reply.begin(101, &[("connection", "upgrade"), ("upgrade", "websocket")]);
    }
    reply.begin(
        200,
        &[
            ("access-control-allow-origin", "*"),
            ("access-control-allow-origin", "https://stale.example"),
            ("access-control-expose-headers", "x-secret"),
            ("access-control-max-age", "5"),
            ("vary", "accept-encoding"),
            ("vary", "accept"),
            ("transfer-encoding", "chunked"),
        ],
    )?;
    reply.chunk(b"o")?;
    reply.chunk(b"k")?;
    reply.chunk(b"")
}

fn preflight(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Response {
    gateway.request("OPTIONS", path, headers, b"")
}

/// What is said of CORS, and `Vary`.
fn said(headers: &Headers) -> Vec<String> {
    let is_said = |name: &str| name.starts_with("access-control-") || name == "vary";
    let mut said: Vec<String> = headers
        .0
        .iter()
        .filter(|(name, _)| is_said(name))
        .map(|(name, value)| format!("{}: {value}", name.replace("access-control-", "")))
        .collect();
    said.sort();
    said
}

const READABLE: [&str; 3] = [
    "allow-credentials: true",
    "allow-origin: https://app.example.com",
    "expose-headers: x-request-id",
];

#[track_caller]
fn check_readable(response: &Response, vary: &str) {
    let vary = format!("vary: {vary}");
    let expected: Vec<&str> = READABLE.into_iter().chain([vary.as_str()]).collect();
    assert_eq!(said(&response.headers), expected, "{response:?}");
}

#[test]
fn a_preflight_is_answered_before_anybody_is_asked() {
    let orders = Upstream::answering(answer);
    let gateway = start(&orders);

    let response = preflight(
        &gateway,
        "/shop/orders/7",
        &[
            APP,
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "Authorization,content-type"),
        ],
    );

    assert_eq!((response.status, response.body.len()), (204, 0));
    assert_eq!(response.header("content-length"), None);
    assert_eq!(
        said(&response.headers),
        [
            "allow-credentials: true",
            "allow-headers: authorization, content-type",
            "allow-methods: GET, PUT",
            "allow-origin: https://app.example.com",
            "max-age: 600",
            "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        ]
    );
    orders.assert_saw_nothing();
    let line = gateway.log_line("/shop/orders/7");
    assert_eq!((&line["code"], &line["api"]), (&"cors-preflight".into(), &"shop".into()));
    assert_eq!(line["principal"], serde_json::Value::Null);
}

#[test]
fn a_preflight_is_the_gateways_also_where_a_route_takes_options() {
    let orders = Upstream::answering(answer);
    let gateway = start(&orders);
    let asks = [APP, ("access-control-request-method", "GET")];

    // `ANY` serves whatever methods there are.
    let any = "DELETE, GET, OPTIONS, PATCH, POST, PUT";
    for (path, methods) in [("/shop/own", "GET, OPTIONS"), ("/shop/any", any)] {
        let response = preflight(&gateway, path, &asks);
        assert_eq!(response.status, 204);
        assert_eq!(response.header("access-control-allow-methods"), Some(methods));
    }
    orders.assert_saw_nothing();

    // Without both headers it is no preflight, and has a route like any request.
    assert_eq!(preflight(&gateway, "/shop/own", &[APP]).status, 200);
    assert_eq!(preflight(&gateway, "/shop/any", &asks[1..]).status, 200);
    assert_eq!(preflight(&gateway, "/shop/open", &[APP]).verdict().1, "method-not-allowed");
    assert_eq!(orders.seen().len(), 2);
}

#[test]
fn a_refused_preflight_says_nothing_to_the_page_and_why_to_the_operator() {
    let orders = Upstream::answering(answer);
    let gateway = start(&orders);
    let get = ("access-control-request-method", "GET");
    let delete = ("access-control-request-method", "DELETE");
    let other = ("access-control-request-headers", "content-type, x-other");
    let twice = [APP, APP, get];

    for (path, headers, reason) in [
        ("/shop/orders/1", &[EVIL, get][..], "origin-not-allowed"),
        ("/shop/orders/2", &[("origin", "https://example.org"), get], "origin-not-allowed"),
        ("/shop/orders/3", &[("origin", "null"), get], "origin-not-allowed"),
        ("/shop/orders/4", &twice, "origin-not-allowed"),
        ("/shop/orders/5", &[APP, delete], "method-not-allowed"),
        ("/shop/orders/6", &[APP, get, other], "header-not-allowed"),
        ("/shop/public", &[APP, ("access-control-request-method", "PATCH")], "method-not-allowed"),
    ] {
        let response = preflight(&gateway, path, headers);
        assert_eq!(response.verdict(), (403, "preflight-refused".to_owned()), "{path}");
        let all = format!("{:?}", response.headers);
        assert!(!all.contains("access-control-"), "{path}: {all}");
        let line = gateway.log_line(path);
        assert_eq!(line["reason"], reason, "{line}");
    }
    orders.assert_saw_nothing();
}

#[test]
fn routes_may_say_otherwise_than_their_api() {
    let orders = Upstream::answering(answer);
    let gateway = start(&orders);
    let asks = [APP, ("access-control-request-method", "GET")];

    // What is off is the upstream's own.
    let response = preflight(&gateway, "/shop/left", &asks);
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_eq!(response.header("access-control-max-age"), Some("5"));
    let response = gateway.get("/shop/left", &[APP]);
    assert_eq!(response.headers.all("access-control-allow-origin").count(), 2);

    let response = preflight(
        &gateway,
        "/shop/public",
        &[
            EVIL,
            ("access-control-request-method", "DELETE"),
            ("access-control-request-headers", "x-a, authorization"),
        ],
    );
    assert_eq!(
        said(&response.headers),
        [
            "allow-headers: x-a, authorization",
            "allow-methods: GET, DELETE",
            "allow-origin: *",
            "vary: Access-Control-Request-Method, Access-Control-Request-Headers",
        ]
    );
    let response = gateway.request("DELETE", "/shop/public", &[EVIL], b"");
    assert_eq!(
        said(&response.headers),
        ["allow-origin: *", "vary: accept", "vary: accept-encoding"]
    );
}

#[test]
fn an_answer_can_be_read_by_the_pages_that_may() {
    let orders = Upstream::answering(answer);
    let gateway = start(&orders);

    let response = gateway.get("/shop/orders/7", &[APP, BEARER]);
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    check_readable(&response, "accept-encoding, accept, Origin");

    let response = gateway.get("/shop/open", &[("origin", "https://a.b.example.org")]);
    assert_eq!(response.header("access-control-allow-origin"), Some("https://a.b.example.org"));

    // What an upstream allows is not what the gateway allows.
    for headers in [&[EVIL][..], &[("origin", "null")], &[]] {
        let response = gateway.get("/shop/open", headers);
        assert_eq!(response.status, 200);
        assert_eq!(said(&response.headers), ["vary: accept-encoding, accept, Origin"]);
    }

    // Nor what a plugin says.
    let response = gateway.get("/shop/stamped", &[APP]);
    assert_eq!((response.header("x-stamp"), response.text().as_str()), (Some("1"), "ok"));
    check_readable(&response, "accept-encoding, accept, Origin");

    let response = gateway.get("/shop/fixed", &[APP]);
    assert_eq!(response.text(), "fixed");
    check_readable(&response, "accept, origin");
}

#[test]
fn errors_of_the_gateway_can_be_read_too() {
    let orders = Upstream::answering(answer);
    let gateway = start(&orders);

    for (method, path, body, status) in [
        ("GET", "/shop/orders/7", &b""[..], 401),
        ("GET", "/shop/nowhere", b"", 404),
        ("DELETE", "/shop/orders/7", b"", 405),
        ("POST", "/shop/orders", b"more than ten bytes", 413),
        ("GET", "/shop/dead", b"", 502),
        ("GET", "/shop/late", b"", 504),
    ] {
        let response = gateway.request(method, path, &[APP], body);
        assert_eq!(response.status, status, "{path}: {response:?}");
        check_readable(&response, "Origin");
        assert!(!response.code().is_empty(), "{response:?}");
    }

    let response = gateway.get("/shop/nowhere", &[EVIL]);
    assert_eq!(said(&response.headers), ["vary: Origin"]);
    // An API without CORS says nothing of it.
    for path in ["/other", "/nowhere"] {
        let response = gateway.request("POST", path, &[APP], b"");
        assert_eq!(said(&response.headers), Vec::<String>::new(), "{path}");
    }
    let asks = [APP, ("access-control-request-method", "GET")];
    assert_eq!(preflight(&gateway, "/other", &asks).verdict().1, "method-not-allowed");
    assert_eq!(preflight(&gateway, "/shop/nowhere", &asks).verdict().1, "no-such-route");
}

#[test]
fn opening_a_websocket_has_no_part_in_it() {
    let orders = Upstream::answering(answer);
    let gateway = start(&orders);
    let mut client = gateway.connect();

    let head = "GET /shop/open HTTP/1.1\r\nhost: a\r\norigin: https://app.example.com\r\n\
        connection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.send(head.as_bytes()).unwrap();
    let (status, headers) = client.head().unwrap();

    assert_eq!(status, 101);
    assert_eq!(said(&headers), Vec::<String>::new());
}
