//! Requests and responses are changed as the configuration says, without a plugin.

use portcullis_tests::{Gateway, H2Client, Response, Seen, Site, Upstream};

const MAPPED: &str = r#"
    [authorizers.keys]
    plugin = "api-token"
    settings.tokens.alice = { secret = "alice", attributes = { tenant = "acme", bad = "a\nx-evil: 1" } }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET

    [transforms.late]
    plugin = "headers"
    settings.request = { set = { x-copy = "${identity:tenant}" }, remove = ["x-mapped"] }
    settings.response = { set = { x-transform = "1", x-both = "transform" } }
    BUDGET

    [apis.shop]
    upstream = "orders"
    authorizer = "none"
    request.set = { "header:x-api" = "{api:name}" }
    response.set = { "header:x-api" = "{api:name}" }

    [apis.shop.routes."GET /inherited"]

    [apis.shop.routes."ANY /orders/{id}"]
    authorizer = "keys"
    identity_headers = { x-user = "identity:principal" }
    request.remove = ["header:cookie", "query:debug"]
    request.append = { "header:x-trace" = "{request:id}", "query:tag" = "a&b" }
    [apis.shop.routes."ANY /orders/{id}".request.set]
    "header:x-tenant" = "{identity:tenant}"
    "header:x-bad" = "{identity:bad}"
    "header:x-forward" = "{request:method} {request:path} {query:q} for {client:address}"
    "header:x-agents" = "{header:x-agent}"
    "header:x-route" = "{route:api}/{route:id}"
    "query:expand" = "lines"
    path = "/v2/orders/{path:id}"

    [apis.shop.routes."GET /files/{rest+}"]
    request.set.path = "/store/{path:rest}"
    [apis.shop.routes."GET /kinds"]
    request.set.path = "/kinds/{query:kind}/all"
    [apis.shop.routes."GET /query"]
    request.set = { "query:a" = "{header:x-a}", "query:b c" = "{query:b c}" }
    request.remove = ["query:gone"]

    [apis.shop.routes."POST /bodies"]
    request.set = { "header:x-id" = "{body:$.order.id}", "header:x-skus" = "{body:$.lines[*].sku}", "header:x-none" = "{body:$.none}" }
    request.body_limit = "1KiB"

    [apis.shop.routes."POST /large"]
    request.set = { "header:x-last" = "{body:$.last}" }
    request.body_limit = "16MiB"

    [apis.shop.routes."GET /ordered"]
    authorizer = "keys"
    request_transforms = ["late"]
    response_transforms = ["late"]
    request.set = { "header:x-mapped" = "1", "header:x-seen" = "{header:x-mapped}" }
    response.set = { "header:x-both" = "{response-header:x-transform} mapped" }

    [apis.shop.routes."GET /status/{code}"]
    response.remove = ["header:server"]
    response.append = { "header:vary" = "origin" }
    response.on.404.set = { "header:x-hint" = "see {path:code}", status = 410 }
    response.on.4xx.set = { "header:x-class" = "{response:status}", "header:x-hint" = "class" }
    response.set = { "header:cache-control" = "no-store", "header:x-was" = "{response:status}", "header:x-old" = "{response-header:server}", "header:x-missing" = "{response-header:none}" }

    [apis.shop.routes."POST /made"]
    response.set = { status = 201, "header:location" = "/orders/{response-body:$.id}", "header:x-sent" = "{body:$.name}" }
"#;

const BEARER: (&str, &str) = ("authorization", "Bearer sesame");

fn start(orders: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("alice.key", "sesame");
    let config = MAPPED.replace("BUDGET", crate::ROOMY);
    site.start(&format!("upstreams.orders.endpoints = [\"{}\"]\n{config}", orders.address()))
}

/// What the upstream saw of the last request.
fn last(orders: &Upstream) -> Seen {
    orders.seen().pop().unwrap()
}

#[track_caller]
fn assert_headers(seen: &Seen, expected: &[(&str, &[&str])]) {
    for (name, values) in expected {
        assert_eq!(seen.headers.all(name).collect::<Vec<_>>(), *values, "{name} of {seen:?}");
    }
}

#[test]
fn headers_query_and_path_are_changed() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let sent = [
        BEARER,
        ("cookie", "secret=1"),
        ("x-agent", "one"),
        ("X-Agent", "two"),
        ("x-trace", "own"),
        ("x-kept", "yes"),
    ];

    let response = gateway.get("/orders/%37?q=a+b&debug=1&expand=all&x=%2f&%64ebug", &sent);

    assert_eq!(response.status, 200, "{response:?}");
    let seen = orders.only();
    assert_eq!(seen.target, "/v2/orders/7?q=a+b&x=%2f&expand=lines&tag=a%26b");
    assert_headers(
        &seen,
        &[
            ("x-tenant", &["acme"]),
            ("x-user", &["alice"]),
            ("x-forward", &["GET /orders/7 a b for 127.0.0.1"]),
            ("x-agents", &["one,two"]),
            ("x-route", &["shop/ANY /orders/{id}"]),
            ("x-kept", &["yes"]),
            ("cookie", &[]),
            ("x-api", &[]),
            ("x-trace", &["own", response.header("x-request-id").unwrap()]),
        ],
    );
}

#[test]
fn the_same_holds_over_http_2() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let client = H2Client::connect(gateway.address("public"));

    let response = client.request("GET", "/orders/7?debug=1", &[BEARER, ("cookie", "a=1")], b"");

    assert_eq!(response.status, 200);
    let seen = orders.only();
    assert_eq!(seen.target, "/v2/orders/7?expand=lines&tag=a%26b");
    assert_headers(&seen, &[("x-tenant", &["acme"]), ("cookie", &[])]);
}

#[test]
fn a_missing_value_takes_off_what_it_would_replace() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let forged = [BEARER, ("x-bad", "forged"), ("x_bad", "forged"), ("x-agents", "forged")];

    gateway.get("/orders/7?expand=1", &forged);
    assert_headers(&last(&orders), &[("x-bad", &[]), ("x_bad", &[]), ("x-agents", &[])]);
    assert!(!format!("{:?}", last(&orders)).contains("evil"));

    gateway.get("/query?a=forged&b+c=1&b%20c=2&gone", &[]);
    assert_eq!(last(&orders).target, "/query?b%20c=1%2C2");
    gateway.get("/query?gone=1", &[]);
    assert_eq!(last(&orders).target, "/query");
}

#[test]
fn no_value_makes_a_header_a_parameter_or_a_segment_more() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    gateway.get("/orders/7?q=a%0d%0ax-evil:%201", &[BEARER]);
    assert_headers(&last(&orders), &[("x-forward", &[]), ("x-evil", &[])]);
    gateway.get("/query", &[("x-a", "1&admin=true#x%26")]);
    assert_eq!(last(&orders).target, "/query?a=1%26admin%3Dtrue%23x%2526");
    gateway.get("/kinds?kind=a%3Fb%23c%25d+%C3%A9", &[]);
    assert_eq!(last(&orders).target, "/kinds/a%3Fb%23c%25d%20%C3%A9/all?kind=a%3Fb%23c%25d+%C3%A9");
    gateway.get("/files/a%20b/c%3Bd/e", &[]);
    assert_eq!(last(&orders).target, "/store/a%20b/c%3Bd/e");

    let before = orders.seen().len();
    for kind in ["", "%2e", "..", "%2e%2e", "a%2Fb", "a/b", "a%5Cb", "a%00", "..%3bx", "a%0a"] {
        let response = gateway.get(&format!("/kinds?kind={kind}"), &[]);
        assert_eq!(response.verdict(), (400, "path-unmade".into()), "{kind}");
    }
    assert_eq!(gateway.get("/kinds", &[]).verdict(), (400, "path-unmade".into()));
    assert_eq!(gateway.get("/files/a%2Fb", &[]).verdict(), (400, "bad-path".into()));
    assert_eq!(orders.seen().len(), before);
}

fn post(gateway: &Gateway, target: &str, body: &str) -> Response {
    gateway.post(target, &[("content-type", "application/json")], body.as_bytes())
}

#[test]
fn values_come_from_places_in_the_body() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let body = r#"{"order": {"id": 7}, "lines": [{"sku": "a"}, {"sku": "b"}], "none": null}"#;

    assert_eq!(post(&gateway, "/bodies", body).status, 200);

    let seen = last(&orders);
    assert_headers(&seen, &[("x-id", &["7"]), ("x-skus", &["a,b"]), ("x-none", &[])]);
    assert_eq!(seen.body, body.as_bytes());
    for odd in ["", "no JSON", "[]", r#"{"order":"#, &"[".repeat(1000), "\u{feff}{}"] {
        assert_eq!(post(&gateway, "/bodies", odd).status, 200, "{odd}");
        assert_headers(&last(&orders), &[("x-id", &[])]);
    }
    let huge = r#"{"order": {"id": 123456789012345678901234567890}}"#;
    assert_eq!(post(&gateway, "/bodies", huge).status, 200);
    assert_headers(&last(&orders), &[("x-id", &[])]);
    let evil = r#"{"order": {"id": "a\r\nx-evil: 1"}}"#;
    assert_eq!(post(&gateway, "/bodies", evil).status, 200);
    assert_headers(&last(&orders), &[("x-id", &[]), ("x-evil", &[])]);
}

#[test]
fn a_body_is_held_up_to_its_limit_and_refused_beyond_it() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    let long = format!(r#"{{"order": {{"id": "{}"}}}}"#, "x".repeat(1024));
    assert_eq!(post(&gateway, "/bodies", &long).verdict(), (413, "body-too-large".into()));
    let chunks = (long.as_bytes(), 100);
    let chunked = gateway.connect().request_chunked("POST", "/bodies", &[], chunks);
    assert_eq!(chunked.verdict(), (413, "body-too-large".into()));
    orders.assert_saw_nothing();

    for size in [10, 100_000, 10_000_000] {
        let body = format!(r#"{{"pad": "{}", "last": {size}}}"#, "x".repeat(size));
        assert_eq!(post(&gateway, "/large", &body).status, 200, "{size}");
        assert_headers(&last(&orders), &[("x-last", &[&size.to_string()])]);
        assert_eq!(last(&orders).length, body.len() as u64);
        let client = H2Client::connect(gateway.address("public"));
        assert_eq!(client.request("POST", "/large", &[], body.as_bytes()).status, 200);
        assert_headers(&last(&orders), &[("x-last", &[&size.to_string()])]);
    }
}

#[test]
fn nothing_of_a_body_goes_on_before_a_value_is_read_from_it() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let mut client = gateway.connect();

    client.send(b"POST /bodies HTTP/1.1\r\nhost: a\r\ncontent-length: 22\r\n\r\n").unwrap();
    for piece in [&b"{\"order\":"[..], b"{\"id\":\"o-1\"", b"}"] {
        client.send(piece).unwrap();
        orders.assert_saw_nothing();
    }
    client.send(b"}").unwrap();

    assert_eq!(client.response("POST").unwrap().status, 200);
    assert_headers(&orders.only(), &[("x-id", &["o-1"])]);
}

#[test]
fn a_routes_table_takes_the_place_of_its_apis() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    let inherited = gateway.get("/inherited", &[("x-api", "forged")]);
    assert_headers(&last(&orders), &[("x-api", &["shop"])]);
    assert_eq!(inherited.header("x-api"), Some("shop"));
    let own = gateway.get("/query", &[("x-api", "kept")]);
    assert_headers(&last(&orders), &[("x-api", &["kept"])]);
    assert_eq!(own.header("x-api"), Some("shop"));
}

#[test]
fn requests_are_mapped_before_transforms_and_responses_after() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    let response = gateway.get("/ordered", &[BEARER, ("x-mapped", "sent")]);

    // Values are of the request as it was sent; the transform came later.
    assert_headers(
        &orders.only(),
        &[("x-seen", &["sent"]), ("x-mapped", &[]), ("x-copy", &["acme"])],
    );
    assert_eq!(response.header("x-both"), Some("1 mapped"));
}

/// Answers with the status that the path ends in.
fn scripted() -> Upstream {
    Upstream::answering(|seen, reply| {
        let status = seen.target.rsplit('/').next().and_then(|code| code.parse().ok());
        let headers = [("server", "leaky/1.0"), ("x-missing", "upstream"), ("vary", "accept")];
        reply.send(status.unwrap_or(200), &headers, br#"{"id": "o-9"}"#)
    })
}

#[test]
fn responses_are_changed_by_their_status() {
    let orders = scripted();
    let gateway = start(&orders);

    let plain = gateway.get("/status/200", &[]);
    assert_eq!(plain.status, 200);
    assert_eq!(plain.headers.all("vary").collect::<Vec<_>>(), ["accept", "origin"]);
    for (name, expected) in [
        ("server", None),
        ("cache-control", Some("no-store")),
        ("x-was", Some("200")),
        ("x-old", Some("leaky/1.0")),
        ("x-missing", None),
        ("x-hint", None),
    ] {
        assert_eq!(plain.header(name), expected, "{name}");
    }
    let gone = gateway.get("/status/404", &[]);
    assert_eq!((gone.status, gone.header("x-hint")), (410, Some("see 404")));
    assert_eq!((gone.header("x-class"), gone.header("x-was")), (Some("404"), Some("404")));
    assert_eq!(gone.body, br#"{"id": "o-9"}"#);
    let refused = gateway.get("/status/403", &[]);
    assert_eq!((refused.status, refused.header("x-hint")), (403, Some("class")));
    assert_eq!(gateway.get("/status/503", &[]).header("x-class"), None);
}

#[test]
fn values_come_from_both_bodies() {
    let orders = scripted();
    let gateway = start(&orders);

    let made = post(&gateway, "/made", r#"{"name": "tea"}"#);

    assert_eq!((made.status, made.header("location")), (201, Some("/orders/o-9")));
    assert_eq!(made.header("x-sent"), Some("tea"));
    assert_eq!(made.body, br#"{"id": "o-9"}"#);
    // The gateway's own answers are none of the upstream's.
    let refused = gateway.post("/made", &[], &vec![b'x'; (1 << 20) + 1]);
    assert_eq!(refused.verdict(), (413, "body-too-large".into()));
    assert_eq!(refused.header("location"), None);
}

#[test]
fn a_response_longer_than_may_be_held_is_not_sent_on() {
    let orders = Upstream::answering(|_, reply| reply.send(200, &[], &vec![b'1'; (1 << 20) + 1]));
    let gateway = start(&orders);

    let response = post(&gateway, "/made", "{}");

    assert_eq!(response.verdict(), (502, "upstream-response-too-large".into()));
}

#[test]
fn what_is_compressed_is_never_unpacked() {
    // What a small gzip of many zeros could be; nobody looks into it.
    let bomb: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3];
    let orders = Upstream::answering(|seen, reply| {
        assert_eq!(seen.headers.get("accept-encoding"), Some("identity"));
        reply.send(200, &[("content-encoding", "gzip")], bomb)
    });
    let gateway = start(&orders);

    let made =
        gateway.post("/made", &[("content-encoding", "gzip"), ("accept-encoding", "gzip")], bomb);

    assert_eq!((made.status, made.header("location"), made.header("x-sent")), (201, None, None));
    assert_eq!((made.body.as_slice(), orders.only().body.as_slice()), (bomb, bomb));
    assert_eq!(made.header("content-encoding"), Some("gzip"));
}

#[test]
fn a_route_that_streams_has_nothing_that_holds_bodies() {
    let site = Site::new();
    let config = r#"plugins = "plugins"
listeners.public.address = "127.0.0.1:0"
authorizer = "none"
[upstreams.live]
endpoints = ["127.0.0.1:9"]
[validators.judge]
plugin = "echo-body"
[transforms.shout]
plugin = "rewrite-body"
[apis.live]
upstream = "live"
[apis.live.routes."GET /events"]
streams = true
response_transforms = ["shout"]
[apis.live.routes."GET /socket"]
streams = true
validate = "judge"
[apis.live.routes."GET /plain"]
validate = "judge"
"#;

    let outcome = site.check(config);

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let text = outcome.text();
    for expected in [
        "route `GET /events` streams, and the response-transform `shout` reads bodies",
        "route `GET /socket` streams, and the validator `judge` reads bodies",
        "portcullis.toml:15:",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in {text}");
    }
    assert!(!text.contains("GET /plain"), "{text}");
}

#[test]
fn changes_are_explained() {
    let site = Site::new();
    site.write("alice.key", "sesame");
    let head = "listeners.public.address = \"127.0.0.1:0\"\n\
        upstreams.orders.endpoints = [\"127.0.0.1:9\"]\n";
    site.write("portcullis.toml", format!("{head}{}", MAPPED.replace("BUDGET", "")));

    let outcome = site.run(&["explain", "GET", "http://a/orders/7", "--config", "portcullis.toml"]);

    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for expected in [
        "transform  remove header:cookie",
        "transform  set header:x-tenant = {identity:tenant}",
        "transform  append query:tag = a&b",
        "transform  set path = /v2/orders/{path:id}",
        "respond    set header:x-api = {api:name}",
    ] {
        assert!(outcome.stdout.contains(expected), "`{expected}` is not in {}", outcome.stdout);
    }
}
