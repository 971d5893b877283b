//! What passes between client and upstream is the message, without what belongs to one
//! connection only, and with the truth about where it came from.

use portcullis_tests::{Gateway, Upstream};

fn start(upstream: &Upstream, root: &str, of_upstream: &str) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        {root}
        [upstreams.orders]
        endpoints = ["{address}"]
        {of_upstream}
        [validators.judge]
        plugin = "echo-body"
        {}
        [apis.shop]
        upstream = "orders"
        routes."ANY /{{rest+}}" = {{}}
        routes."POST /judged" = {{ validate = "judge" }}
        "#,
        crate::ROOMY
    ))
}

#[test]
fn fields_of_one_connection_stay_on_it() {
    let upstream = Upstream::answering(|_, reply| {
        let fields = [
            ("connection", "x-up"),
            ("x-up", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("x-kept", "1"),
        ];
        reply.send(200, &fields, b"ok")
    });
    let gateway = start(&upstream, "", "");
    let fields = [
        ("connection", "x-hop, keep-alive"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("x-kept", "1"),
    ];

    let response = gateway.get("/a", &fields);

    assert_eq!(response.header("x-kept"), Some("1"));
    for name in ["x-up", "keep-alive", "proxy-connection"] {
        assert_eq!(response.header(name), None, "{name} reached the client");
    }
    let seen = upstream.only();
    assert_eq!(seen.headers.get("x-kept"), Some("1"));
    for name in ["x-hop", "keep-alive", "proxy-connection", "te"] {
        assert_eq!(seen.headers.get(name), None, "{name} reached the upstream");
    }
}

#[test]
fn a_stranger_cannot_say_where_it_comes_from() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "", "");
    let forged = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "bank.example.com"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=192.0.2.1;proto=https"),
        ("x-request-id", "forged"),
    ];

    let response = gateway.get("/a", &forged);

    let seen = upstream.only();
    let all = |name| seen.headers.all(name).collect::<Vec<_>>();
    assert_eq!(all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(all("x-forwarded-host"), ["localhost"]);
    assert_eq!(all("x-forwarded-proto"), ["http"]);
    assert!(!all("forwarded").join("").contains("192.0.2.1"), "{seen:?}");
    assert_eq!(all("x-request-id"), [response.header("x-request-id").unwrap()]);
    assert_ne!(response.header("x-request-id"), Some("forged"));
}

#[test]
fn a_stranger_has_no_other_name_for_where_it_comes_from() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "", "");
    let forged = [
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarded-server", "inner"),
        ("x-forwarded-ssl", "on"),
        ("x-real-ip", "192.0.2.1"),
        ("x_real_ip", "192.0.2.1"),
        ("x_forwarded_for", "192.0.2.1"),
        ("x-forwarded_host", "bank.example.com"),
        ("x.forwarded.proto", "https"),
        ("x_request_id", "forged"),
    ];
    let kept = [("x-forwarded-color", "red"), ("x-forwarded", "1"), ("x-real-ipv", "1")];

    gateway.get("/a", &[&forged[..], &kept].concat());

    let seen = upstream.only();
    for (name, _) in forged {
        assert_eq!(seen.headers.get(name), None, "{name}");
    }
    for (name, value) in kept {
        assert_eq!(seen.headers.get(name), Some(value), "{name}");
    }
    assert_eq!(seen.headers.get("x-forwarded-for"), Some("127.0.0.1"));

    let trusting = start(&upstream, "trusted_proxies = [\"127.0.0.0/8\"]", "");
    trusting.get("/trusted", &forged[..5]);
    let seen = upstream.seen().pop().unwrap();
    for (name, value) in &forged[..5] {
        assert_eq!(seen.headers.get(name), Some(*value), "{name}");
    }
}

#[test]
fn a_trusted_proxy_is_believed_and_added_to_the_chain() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "trusted_proxies = [\"127.0.0.0/8\"]", "");
    let told = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];

    gateway.get("/chain", &told);

    let seen = upstream.only();
    assert_eq!(seen.headers.get("x-forwarded-for"), Some("192.0.2.1, 127.0.0.1"));
    assert_eq!(seen.headers.get("x-forwarded-proto"), Some("https"));
    assert_eq!(gateway.log_line("/chain")["client"], "192.0.2.1");
}

#[test]
fn the_host_is_kept_unless_the_upstream_wants_another() {
    for (wanted, expected) in [
        ("", "shop.example.com".to_owned()),
        ("host = \"endpoint\"", String::new()),
        ("host = { literal = \"orders.internal\" }", "orders.internal".to_owned()),
    ] {
        let upstream = Upstream::start();
        let gateway = start(&upstream, "", wanted);

        gateway.get("/a", &[("host", "shop.example.com")]);

        let address = upstream.address().to_string();
        let expected = if expected.is_empty() { &address } else { &expected };
        let seen = upstream.only();
        assert_eq!(seen.headers.all("host").collect::<Vec<_>>(), [expected], "{wanted}");
    }
}

#[test]
fn one_connection_serves_many_requests_on_both_sides() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "", "");
    let mut client = gateway.connect();

    for round in 0..20 {
        assert_eq!(client.request("GET", "/a", &[], b"").status, 200);
        assert_eq!(client.request("POST", "/a", &[], b"body").status, 200);
        assert_eq!(client.request("GET", "/../a", &[], b"").status, 400, "round {round}");
    }

    assert_eq!(upstream.seen().len(), 40);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn the_answer_to_head_has_a_length_and_no_body() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "", "");
    let mut client = gateway.connect();

    let head = client.request("HEAD", "/a", &[], b"");
    let next = client.request("GET", "/a", &[], b"");

    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), Some("2"));
    assert_eq!(next.text(), "ok");
}

#[test]
fn a_client_that_waits_is_told_to_send_its_body() {
    let upstream = Upstream::answering(|seen, reply| reply.send(200, &[], &seen.body));
    let gateway = start(&upstream, "", "");

    for target in ["/streamed", "/judged"] {
        let mut client = gateway.connect();
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
        );
        client.send(head.as_bytes()).unwrap();

        assert_eq!(client.head().unwrap().0, 100, "{target}");
        client.send(b"body").unwrap();
        assert_eq!(client.response("POST").unwrap().text(), "body", "{target}");
    }
}

#[test]
fn a_client_that_waits_in_vain_is_told_no_at_once() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "", "");
    let mut client = gateway.connect();

    client
        .send(
            b"POST /../a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
        )
        .unwrap();

    assert_eq!(client.head().unwrap().0, 400);
    upstream.assert_saw_nothing();
}

#[test]
fn statuses_without_a_body_have_none() {
    let upstream = Upstream::answering(|seen, reply| {
        let status = seen.target.trim_start_matches('/').parse().unwrap_or(200);
        reply.send(status, &[("etag", "\"1\"")], b"")
    });
    let gateway = start(&upstream, "", "");
    let mut client = gateway.connect();

    for status in [204, 304, 204] {
        let response = client.request("GET", &format!("/{status}"), &[], b"");
        assert_eq!((response.status, response.body.len()), (status, 0));
        assert_eq!(response.header("transfer-encoding"), None);
    }
}

#[test]
fn duplicate_fields_and_their_order_are_kept() {
    let upstream = Upstream::answering(|_, reply| {
        reply.send(200, &[("set-cookie", "a=1"), ("set-cookie", "b=2")], b"")
    });
    let gateway = start(&upstream, "", "");

    let response = gateway.get("/a?x=1&x=2", &[("x-many", "1"), ("x-many", "2")]);

    assert_eq!(response.headers.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    let seen = upstream.only();
    assert_eq!(seen.headers.all("x-many").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(seen.target, "/a?x=1&x=2");
}
