//! A plugin that reads bodies has decided before the upstream sees one byte, however
//! long the body is and however it is framed.

use portcullis_tests::{Gateway, H2Client, Upstream, eventually};

const SIZES: [usize; 3] = [10, 100_000, 10_000_000];

/// How a body travels to the gateway.
#[derive(Debug, Clone, Copy)]
enum Framed {
    Length,
    Chunked,
    Http2,
}

const FRAMINGS: [Framed; 3] = [Framed::Length, Framed::Chunked, Framed::Http2];

/// Answers with what it was sent.
fn echo() -> Upstream {
    Upstream::answering(|seen, reply| reply.send(200, &[], &seen.body))
}

fn start(upstream: &Upstream) -> Gateway {
    let config = r#"
        authorizer = "none"
        [upstreams.echo]
        endpoints = ["ADDRESS"]
        [validators.judge]
        plugin = "echo-body"
        BUDGET
        [validators.short]
        plugin = "echo-body"
        settings.max = 1000
        BUDGET
        [validators.orders]
        plugin = "order-body"
        settings.largest_quantity = 100
        BUDGET
        [validators.first]
        plugin = "echo-body"
        settings.peek = 4
        BUDGET
        [transforms.stamp]
        plugin = "response-stamp"
        settings.members = { stamped = true }
        BUDGET
        [transforms.blind]
        plugin = "headers"
        settings = { request = { set = { x-blind = "1" } }, response = { set = { x-blind = "1" } } }
        BUDGET
        [transforms.measure]
        plugin = "echo-body"
        BUDGET
        [transforms.shout]
        plugin = "rewrite-body"
        BUDGET
        [apis.echo]
        upstream = "echo"
        [apis.echo.routes]
        "POST /judged" = { validate = "judge" }
        "POST /short" = { validate = "short" }
        "POST /measured" = { request_transforms = ["measure"] }
        "POST /shouted" = { response_transforms = ["shout"] }
        "POST /all" = { validate = "judge", request_transforms = ["measure"], response_transforms = ["shout"] }
        "POST /ordered" = { validate = "orders" }
        "POST /stamped" = { response_transforms = ["stamp"] }
        "POST /peeked" = { validate = "first" }
        "POST /blind" = { request_transforms = ["blind"], response_transforms = ["blind"] }
        "POST /bounded" = { body_limit = "1KiB" }
    "#;
    let config = config.replace("ADDRESS", &upstream.address().to_string());
    Gateway::start(&config.replace("BUDGET", crate::ROOMY))
}

/// Sends a body; the status and the body of the answer.
fn post(gateway: &Gateway, framed: Framed, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
    match framed {
        Framed::Length => {
            let response = gateway.post(target, &[], body);
            (response.status, response.body)
        }
        Framed::Chunked => {
            let chunks = (body, 8000);
            let response = gateway.connect().request_chunked("POST", target, &[], chunks);
            (response.status, response.body)
        }
        Framed::Http2 => {
            let client = H2Client::connect(gateway.address("public"));
            let response = client.request("POST", target, &[], body);
            (response.status, response.body)
        }
    }
}

fn body(size: usize, last: u8) -> Vec<u8> {
    let mut body: Vec<u8> = (b'a'..=b'z').cycle().take(size - 1).collect();
    body.push(last);
    body
}

fn for_each_body(mut check: impl FnMut(Framed, usize)) {
    for framed in FRAMINGS {
        for size in SIZES {
            check(framed, size);
        }
    }
}

#[test]
fn a_refused_body_never_reaches_the_upstream() {
    let upstream = echo();
    let gateway = start(&upstream);

    for_each_body(|framed, size| {
        let (status, answer) = post(&gateway, framed, "/judged", &body(size, b'!'));

        assert_eq!(status, 400, "{framed:?} {size}");
        let problem: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(problem["code"], "invalid-request");
        assert_eq!(problem["violations"][0]["message"], "must not end in `!`");
        upstream.assert_saw_nothing();
    });
}

#[test]
fn an_accepted_body_reaches_the_upstream_as_it_was_sent() {
    let upstream = echo();
    let gateway = start(&upstream);

    for_each_body(|framed, size| {
        let sent = body(size, b'.');
        let (status, answer) = post(&gateway, framed, "/judged", &sent);

        assert_eq!(status, 200, "{framed:?} {size}");
        assert!(answer == sent, "{framed:?} {size}: {} bytes came back", answer.len());
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.headers.get("content-length"), Some(size.to_string().as_str()));
        assert_eq!(seen.headers.get("transfer-encoding"), None);
    });
}

#[test]
fn a_request_transform_reads_the_whole_body() {
    let upstream = echo();
    let gateway = start(&upstream);
    let mut digests = Vec::new();

    for_each_body(|framed, size| {
        let (status, _) = post(&gateway, framed, "/measured", &body(size, b'.'));

        assert_eq!(status, 200, "{framed:?} {size}");
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.headers.get("x-body-length"), Some(size.to_string().as_str()));
        assert_eq!(seen.length, size as u64);
        digests.push((size, seen.headers.get("x-body-sha256").unwrap().to_owned()));
    });

    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), SIZES.len(), "equal bodies have equal digests: {digests:?}");
}

#[test]
fn a_response_transform_rewrites_the_whole_body() {
    let upstream = echo();
    let gateway = start(&upstream);

    for_each_body(|framed, size| {
        let sent = body(size, b'.');
        let (status, answer) = post(&gateway, framed, "/shouted", &sent);

        assert_eq!(status, 200, "{framed:?} {size}");
        assert!(answer == sent.to_ascii_uppercase(), "{framed:?} {size}: {} bytes", answer.len());
    });
}

#[test]
fn validator_and_both_transforms_see_one_and_the_same_body() {
    let upstream = echo();
    let gateway = start(&upstream);

    for framed in FRAMINGS {
        let sent = body(100_000, b'.');
        let (status, answer) = post(&gateway, framed, "/all", &sent);

        assert_eq!(status, 200, "{framed:?}");
        assert!(answer == sent.to_ascii_uppercase(), "{framed:?}: {} bytes", answer.len());
        assert_eq!(upstream.seen().pop().unwrap().headers.get("x-body-length"), Some("100000"));
    }
}

#[test]
fn a_body_longer_than_its_plugin_takes_is_refused_unread() {
    let upstream = echo();
    let gateway = start(&upstream);

    for framed in FRAMINGS {
        let (status, _) = post(&gateway, framed, "/short", &body(1001, b'.'));
        assert_eq!(status, 413, "{framed:?}");
    }

    upstream.assert_saw_nothing();
    assert_eq!(gateway.use_metric("portcullis_plugin_decisions_total", "short"), 0.0);
    assert_eq!(post(&gateway, Framed::Chunked, "/short", &body(1000, b'.')).0, 200);
}

#[test]
fn a_body_longer_than_its_route_takes_is_refused() {
    let upstream = echo();
    let gateway = start(&upstream);

    for framed in FRAMINGS {
        let (status, _) = post(&gateway, framed, "/bounded", &body(100_000, b'.'));
        assert_eq!(status, 413, "{framed:?}");
    }

    let whole = upstream.seen().into_iter().filter(|seen| seen.complete).count();
    assert_eq!(whole, 0, "the upstream took a body for whole");
}

#[test]
fn a_body_that_comes_slowly_is_held_back_until_it_is_judged() {
    let upstream = echo();
    let gateway = start(&upstream);
    let mut client = gateway.connect();

    client.send(b"POST /judged HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n").unwrap();
    for byte in [b"a", b"b", b"c", b"!"] {
        upstream.assert_saw_nothing();
        client.send(byte).unwrap();
    }

    assert_eq!(client.response("POST").unwrap().verdict(), (400, "invalid-request".into()));
    upstream.assert_saw_nothing();
}

/// An order of about so many bytes.
fn order(quantity: u64, size: usize) -> Vec<u8> {
    format!(r#"{{"note":"{}","quantity":{quantity}}}"#, "n".repeat(size)).into_bytes()
}

#[test]
fn a_field_of_the_body_decides_before_one_byte_goes_on() {
    let upstream = echo();
    let gateway = start(&upstream);

    for_each_body(|framed, size| {
        let (status, answer) = post(&gateway, framed, "/ordered", &order(101, size));

        assert_eq!(status, 400, "{framed:?} {size}");
        let problem: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(problem["violations"][0]["location"], "/quantity", "{framed:?} {size}");
        upstream.assert_saw_nothing();
    });
    for_each_body(|framed, size| {
        let sent = order(100, size);
        assert_eq!(post(&gateway, framed, "/ordered", &sent).0, 200, "{framed:?} {size}");
        assert!(upstream.seen().pop().unwrap().body == sent, "{framed:?} {size}");
    });
}

#[test]
fn a_response_transform_rewrites_json() {
    let upstream = echo();
    let gateway = start(&upstream);

    for_each_body(|framed, size| {
        let (status, answer) = post(&gateway, framed, "/stamped", &order(7, size));

        assert_eq!(status, 200, "{framed:?} {size}");
        let stamped: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(stamped["stamped"], true, "{framed:?} {size}");
        assert_eq!(stamped["quantity"], 7, "{framed:?} {size}");
        assert_eq!(stamped["note"].as_str().unwrap().len(), size, "{framed:?}");
    });
}

#[test]
fn a_plugin_that_peeks_decides_by_the_beginning_and_the_rest_streams() {
    let upstream = echo();
    let gateway = start(&upstream);
    let mut client = gateway.connect();

    client.send(b"POST /peeked HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n").unwrap();
    client.send(b"abc").unwrap();
    upstream.assert_saw_nothing();
    client.send(b"d").unwrap();
    eventually("the beginning of the body", || (upstream.body_bytes() >= 4).then_some(()));
    client.send(b"efghij").unwrap();

    assert_eq!(client.response("POST").unwrap().body, b"abcdefghij");
    for_each_body(|framed, size| {
        let sent = body(size, b'.');
        let (status, answer) = post(&gateway, framed, "/peeked", &sent);
        assert_eq!(status, 200, "{framed:?} {size}");
        assert!(answer == sent, "{framed:?} {size}: {} bytes came back", answer.len());
    });
    let before = upstream.bytes();
    let mut client = gateway.connect();
    client.send(b"POST /peeked HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc!").unwrap();
    assert_eq!(client.response("POST").unwrap().status, 400);
    assert_eq!(upstream.bytes(), before);
}

#[test]
fn plugins_that_read_no_body_let_it_stream() {
    let upstream = echo();
    let gateway = start(&upstream);
    let mut client = gateway.connect();

    client.send(b"POST /blind HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n").unwrap();
    for sent in 1..=10 {
        client.send(b"x").unwrap();
        eventually("the byte just sent", || (upstream.body_bytes() == sent).then_some(()));
    }

    let response = client.response("POST").unwrap();
    assert_eq!((response.status, response.header("x-blind")), (200, Some("1")));
    assert_eq!(upstream.only().headers.get("x-blind"), Some("1"));
}

#[test]
fn bodies_held_in_memory_are_let_go() {
    let upstream = echo();
    let gateway = start(&upstream);

    post(&gateway, Framed::Length, "/all", &body(10_000_000, b'.'));

    gateway.wait_for_metric("no held bytes", |metrics| {
        metrics.has("portcullis_held_body_bytes", &[])
            && metrics.sum("portcullis_held_body_bytes", &[]) == 0.0
    });
}
