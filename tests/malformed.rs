//! What two readers could understand differently is refused, and reaches nobody.

use std::io;
use std::time::{Duration, Instant};

use portcullis_tests::{Client, Gateway, H2Client, Upstream};

fn start(upstream: &Upstream) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        [limits]
        header_timeout = "2s"
        body_timeout = "1s"
        [upstreams.sink]
        endpoints = ["{address}"]
        [validators.judge]
        plugin = "echo-body"
        {}
        [apis.sink]
        upstream = "sink"
        routes."ANY /{{rest+}}" = {{}}
        routes."POST /judged" = {{ validate = "judge" }}
        "#,
        crate::ROOMY
    ))
}

/// Sends bytes; the status and code that come back, `None` where the connection is
/// closed without a word.
fn answer(gateway: &Gateway, bytes: &[u8]) -> Option<(u16, String)> {
    let mut client = gateway.connect();
    // Whoever refuses the beginning need not take the rest.
    let _sent = client.send(bytes);
    answer_to(&mut client, &String::from_utf8_lossy(bytes))
}

fn answer_to(client: &mut Client, what: &str) -> Option<(u16, String)> {
    match client.response("GET") {
        Ok(response) => Some(response.verdict()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => {
            panic!("neither an answer nor an end to {what:?}")
        }
        Err(_) => None,
    }
}

/// Another request behind the malformed one: whoever finds it has been smuggled to.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

const HEADS: &[&str] = &[
    // Two lengths, or one that can be read in two ways.
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nbody",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nbody",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4 4\r\n\r\nbody",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    // Lines.
    "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\tc\r\n\r\n",
    "GET /a HTTP/1.1\r\n Host: a\r\n\r\n",
    "GET /a HTTP/1.1\nHost: a\n\n",
    "GET /a HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\rX-C: d\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
    // Names.
    "GET /a HTTP/1.1\r\nHost : a\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length : 0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nX\0A: b\r\n\r\n",
    // Request lines.
    "GET /a\r\nHost: a\r\n\r\n",
    "GET  /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET\t/a\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a HTTP/1.2\r\nHost: a\r\n\r\n",
    "GET /a HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET /a http/1.1\r\nHost: a\r\n\r\n",
    " GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "G@T /a HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// Sends each; those that are answered otherwise than with 400 or an end, or of which
/// the upstream sees a byte.
fn let_pass(requests: impl Iterator<Item = String>) -> Vec<String> {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let mut passed = Vec::new();
    let mut seen = 0;
    for request in requests {
        let answer = answer(&gateway, request.as_bytes());
        let is_refused = answer.as_ref().is_none_or(|(status, _)| *status == 400);
        if !is_refused || upstream.bytes() != seen {
            let reached = upstream.seen().pop().filter(|_| upstream.bytes() != seen);
            passed.push(format!("{request:?}: {answer:?}, upstream: {reached:?}"));
            seen = upstream.bytes();
        }
    }
    assert_eq!(gateway.get("/a", &[]).status, 200, "the gateway is of no more use");
    passed
}

#[test]
fn an_ambiguous_head_is_refused_and_ends_its_connection() {
    let passed = let_pass(HEADS.iter().map(|head| format!("{head}{SMUGGLED}")));

    assert!(passed.is_empty(), "{passed:#?}");
}

const HOSTS: &[&str] = &[
    "GET /a HTTP/1.1\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a:b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost:\r\n\r\n",
];

#[test]
fn a_head_that_does_not_name_one_host_is_refused() {
    let passed = let_pass(HOSTS.iter().map(|head| (*head).to_owned()));

    assert!(passed.is_empty(), "{passed:#?}");
}

#[test]
fn what_the_gateway_refuses_itself_says_why() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let both =
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";

    assert_eq!(answer(&gateway, both.as_bytes()), Some((400, "malformed-head".into())));

    assert_eq!(gateway.log_line("/a")["code"], "malformed-head");
    assert_eq!(gateway.metric("portcullis_rejections_total", &[("code", "malformed-head")]), 1.0);
}

const TARGETS: &[&str] = &[
    "/a/../b",
    "/a/..",
    "/../a",
    "/a/./b",
    "/a/%2e%2e/b",
    "/a/%2E./b",
    "/a/.%2e/b",
    "/a/..;/b",
    "/a/..;x=y/b",
    "/a/%2e%2e%3b/b",
    "/a//b",
    "//evil.example.com/a",
    "/a/%2fb",
    "/a/%2Fb",
    "/a/%5cb",
    "/a\\b",
    "/a%00b",
    "/a%0d%0aX:%20y",
    "/a%",
    "/a%zz",
    "/a%u0041",
    "/a#b",
    "a",
    "*",
    "http://user@localhost/a",
    "http:///a",
    "http://localhost/a/../b",
    "http://localhost/a/%2e%2e/b",
    "http://a b/c",
    "ftp://localhost/a",
    "javascript:alert(1)",
    "?x=y",
];

#[test]
fn a_target_with_a_second_meaning_is_refused() {
    let request = |target: &&str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");

    let passed = let_pass(TARGETS.iter().map(request));

    assert!(passed.is_empty(), "{passed:#?}");
}

#[test]
fn what_is_no_request_for_a_path_is_refused() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for request in ["CONNECT localhost:80 HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\n"] {
        let request = format!("{request}Host: localhost\r\n\r\n");
        let answer = answer(&gateway, request.as_bytes());
        assert!(answer.as_ref().is_none_or(|(status, _)| *status >= 400), "{request}: {answer:?}");
    }
    upstream.assert_saw_nothing();
}

#[test]
fn a_target_with_a_second_meaning_is_refused_over_http2() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for target in TARGETS.iter().filter(|target| target.starts_with("/a") && !target.contains('#'))
    {
        if target.parse::<http::Uri>().is_err() {
            continue;
        }
        let client = H2Client::connect(gateway.address("public"));
        if let Ok(response) = client.try_request("GET", target, &[], b"") {
            assert_eq!(response.status, 400, "{target}");
        }
        upstream.assert_saw_nothing();
    }
}

#[test]
fn an_absolute_target_names_the_host_and_the_field_beside_it_does_not() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    let request = "GET http://shop.example.com/a?b HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = answer(&gateway, request.as_bytes());

    match answer {
        Some((200, _)) => {
            let seen = upstream.only();
            assert_eq!(seen.target, "/a?b");
            assert_eq!(seen.headers.all("host").collect::<Vec<_>>(), ["shop.example.com"]);
        }
        refused => {
            assert_eq!(refused.map(|(status, _)| status), Some(400));
            upstream.assert_saw_nothing();
        }
    }
}

const CHUNKS: &[&str] = &[
    "0x4\r\nbody\r\n0\r\n\r\n",
    "-4\r\nbody\r\n0\r\n\r\n",
    "+4\r\nbody\r\n0\r\n\r\n",
    "g\r\nbody\r\n0\r\n\r\n",
    "\r\nbody\r\n0\r\n\r\n",
    "4\nbody\r\n0\r\n\r\n",
    "4\r\nbody0\r\n\r\n",
    "4\r\nbodyXX0\r\n\r\n",
    "4\r\nbody\n0\r\n\r\n",
    "3\r\nbody\r\n0\r\n\r\n",
    "FFFFFFFFFFFFFFFFFF\r\nbody\r\n0\r\n\r\n",
    "10000000000000000\r\nbody\r\n0\r\n\r\n",
];

#[test]
fn a_body_whose_chunks_are_malformed_is_never_taken_for_whole() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for chunks in CHUNKS {
        for target in ["/judged", "/streamed"] {
            let head =
                format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            let answer = answer(&gateway, format!("{head}{chunks}{SMUGGLED}").as_bytes());
            assert!(
                answer.as_ref().is_none_or(|(status, _)| matches!(status, 400 | 408)),
                "{target} {chunks:?} was answered with {answer:?}"
            );
        }
        let whole = upstream.seen().into_iter().filter(|seen| seen.complete);
        assert_eq!(whole.count(), 0, "{chunks:?} was passed on: {:?}", upstream.seen());
        assert!(upstream.seen().iter().all(|seen| seen.target == "/streamed"), "{chunks:?}");
    }
}

#[test]
fn a_body_that_ends_early_is_never_taken_for_whole() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for target in ["/judged", "/streamed"] {
        for body in
            ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
        {
            let mut client = gateway.connect();
            let request = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{body}");
            client.send(request.as_bytes()).unwrap();
            client.finish_sending();
            let answer = answer_to(&mut client, &request);
            assert!(answer.as_ref().is_none_or(|(status, _)| *status >= 400), "{answer:?}");
        }
    }

    assert!(upstream.seen().iter().all(|seen| !seen.complete), "{:?}", upstream.seen());
}

#[test]
fn requests_sent_without_waiting_are_never_mixed_up() {
    let upstream = Upstream::answering(|seen, reply| reply.send(200, &[], &seen.body));
    let gateway = start(&upstream);
    let mut client = gateway.connect();

    client
        .send(
            b"POST /judged HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n\
            POST /judged HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ntwo\
            POST /judged HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthree",
        )
        .unwrap();

    // The gateway may close rather than answer, and the client asks again.
    let bodies = ["one", "two", "three"];
    for expected in bodies {
        match client.response("POST") {
            Ok(response) => assert_eq!(response.text(), expected),
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "{expected}");
                break;
            }
        }
    }
    for (seen, expected) in upstream.seen().iter().filter(|seen| seen.complete).zip(bodies) {
        assert_eq!(seen.body, expected.as_bytes());
    }
}

#[test]
fn a_head_larger_than_allowed_is_431() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let large = format!("GET /a HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET /a HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(200));

    for head in [large, many] {
        assert_eq!(answer(&gateway, head.as_bytes()), Some((431, "head-too-large".into())));
    }
    upstream.assert_saw_nothing();
}

#[test]
fn a_head_without_end_is_refused_before_it_fills_the_memory() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let mut client = gateway.connect();

    client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n").unwrap();
    let field = format!("X-A: {}\r\n", "x".repeat(1000)).repeat(100);
    let taken = (0..200).take_while(|_| client.send(field.as_bytes()).is_ok()).count();

    assert!(taken < 200, "20 MB of head were taken");
    upstream.assert_saw_nothing();
}

#[test]
fn a_target_longer_than_allowed_is_414() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));

    assert_eq!(answer(&gateway, request.as_bytes()), Some((414, "target-too-long".into())));
    upstream.assert_saw_nothing();
}

#[test]
fn a_head_that_trickles_in_is_given_up() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let mut client = gateway.connect();
    let began = Instant::now();

    client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n").unwrap();
    // The pauses are the misbehaviour.
    while client.send(b"X-A: b\r\n").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
        assert!(began.elapsed() < Duration::from_secs(20), "the head may trickle for ever");
    }
    let line = gateway.log_line("/a");
    assert_eq!((&line["status"], &line["code"]), (&408.into(), &"slow-head".into()), "{line}");

    gateway.wait_for_metric("a slow head", |metrics| {
        metrics.sum("portcullis_connection_faults_total", &[]) >= 1.0
    });
    upstream.assert_saw_nothing();
}

#[test]
fn a_head_that_stops_is_408() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    let answer = answer(&gateway, b"GET /a?key=secret HTTP/1.1\r\nHost: a\r\n");

    assert_eq!(answer, Some((408, "slow-head".into())));
    let line = gateway.log_line("/a");
    assert_eq!((&line["status"], &line["method"]), (&408.into(), &"GET".into()), "{line}");
    assert_eq!(gateway.metric("portcullis_rejections_total", &[("code", "slow-head")]), 1.0);
}

#[test]
fn what_is_no_http_has_its_line_and_its_count() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    answer(&gateway, b"GET /a HTTP/1.1\r\nHost: a\r\nno field\r\n\r\n");
    drop({
        let mut client = gateway.connect();
        client.send(b"GET /left HTTP/1.1\r\nHost").unwrap();
        client
    });

    let line = gateway.log_line("/a");
    assert_eq!((&line["status"], &line["code"]), (&400.into(), &"malformed-head".into()), "{line}");
    let line = gateway.log_line("/left");
    assert_eq!((&line["status"], &line["code"]), (&().into(), &"broken-head".into()), "{line}");
    assert_eq!(gateway.metric("portcullis_rejections_total", &[("code", "broken-head")]), 1.0);
}

#[test]
fn a_connection_that_says_nothing_is_given_up() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    assert!(gateway.connect().is_closed());
}

#[test]
fn a_held_body_that_trickles_in_is_408() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let mut client = gateway.connect();

    client.send(b"POST /judged HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n").unwrap();
    for _ in 0..40 {
        // The pauses are the misbehaviour; each is shorter than the body timeout.
        std::thread::sleep(Duration::from_millis(100));
        if client.send(b"x").is_err() {
            break;
        }
    }

    let line = gateway.log_line("/judged");
    assert_eq!((&line["status"], &line["code"]), (&408.into(), &"body-timeout".into()), "{line}");
    upstream.assert_saw_nothing();
}

#[test]
fn a_body_that_pauses_too_long_is_408() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for target in ["/judged", "/streamed"] {
        let request = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhal");
        let answer = answer(&gateway, request.as_bytes());
        assert_eq!(answer, Some((408, "body-timeout".into())), "{target}");
    }
    let client = H2Client::connect(gateway.address("public"));
    for target in ["/judged", "/streamed"] {
        let response = client.stalled_request("POST", target, b"hal");
        assert_eq!((response.status, response.code().as_str()), (408, "body-timeout"), "{target}");
    }
    assert!(upstream.seen().iter().all(|seen| !seen.complete));
}
