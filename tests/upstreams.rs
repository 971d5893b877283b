//! A request finds an endpoint that answers, or the client hears why there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis_tests::{Gateway, Response, Upstream, dead_address};

fn start(endpoints: &[String], of_upstream: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        [upstreams.orders]
        endpoints = {endpoints:?}
        {of_upstream}
        [apis.shop.routes."ANY /{{rest+}}"]
        upstream = "orders"
        [apis.shop.routes."GET /fixed"]
        respond = {{ body = "fixed" }}
        "#
    ))
}

fn at(upstream: &Upstream) -> String {
    upstream.address().to_string()
}

/// Reads whatever comes until the gateway closes.
fn wait_for_the_gateway(reply: &mut portcullis_tests::Reply<'_>) -> std::io::Result<()> {
    while !reply.piece()?.is_empty() {}
    reply.close();
    Ok(())
}

#[test]
fn a_dead_endpoint_is_passed_over() {
    let live = Upstream::start();
    let gateway = start(&[dead_address().to_string(), at(&live)], "");

    for _ in 0..20 {
        assert_eq!(gateway.get("/a", &[]).status, 200);
        assert_eq!(gateway.post("/a", &[], b"body").status, 200);
    }

    assert_eq!(live.seen().len(), 40);
}

#[test]
fn an_upstream_that_is_down_is_502() {
    let gateway = start(&[dead_address().to_string()], "");

    let response = gateway.get("/a", &[]);

    assert_eq!(response.verdict(), (502, "upstream-connect".into()));
    assert_eq!(gateway.get("/fixed", &[]).text(), "fixed");
    assert_eq!(gateway.log_line("/a")["code"], "upstream-connect");
}

fn check_timeout(timeouts: &str) {
    let upstream = Upstream::answering(|_, reply| wait_for_the_gateway(reply));
    let gateway = start(&[at(&upstream)], &format!("retries = 0\ntimeouts = {{ {timeouts} }}"));
    let began = Instant::now();

    let response = gateway.get("/a", &[]);

    assert_eq!(response.verdict(), (504, "upstream-timeout".into()));
    // Far sooner than after the minute that it would be without them.
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

#[test]
fn an_upstream_that_does_not_begin_to_answer_in_time_is_504() {
    check_timeout("first_byte = \"1s\"");
}

#[test]
fn an_exchange_that_takes_longer_than_all_of_it_may_is_504() {
    check_timeout("total = \"2s\"");
}

#[test]
fn a_response_that_stops_halfway_is_not_taken_for_whole() {
    let upstream = Upstream::answering(|seen, reply| {
        match seen.target.as_str() {
            "/length" => reply.begin(200, &[("content-length", "10")])?,
            _ => reply.begin(200, &[("transfer-encoding", "chunked")])?,
        }
        reply.raw(if seen.target == "/length" { b"half" } else { b"4\r\nhalf\r\n" })?;
        reply.close();
        Ok(())
    });
    let gateway = start(&[at(&upstream)], "");

    for target in ["/length", "/chunked"] {
        let mut client = gateway.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
        let whole = client.response("GET");
        assert!(
            whole.as_ref().map_or(true, |response| response.status == 502),
            "{target}: {whole:?}"
        );
    }
}

#[test]
fn an_upstream_that_speaks_no_http_is_502() {
    let upstream = Upstream::answering(|_, reply| {
        reply.raw(b"220 mail.example.com ESMTP\r\n\r\n")?;
        reply.close();
        Ok(())
    });
    let gateway = start(&[at(&upstream)], "");

    assert_eq!(gateway.get("/a", &[]).verdict(), (502, "upstream-broken".into()));
}

/// An upstream that takes every request and answers none, beside one that answers.
fn beside_a_silent_one() -> (Upstream, Upstream, Gateway) {
    let silent = Upstream::answering(|_, reply| {
        reply.close();
        Ok(())
    });
    let other = Upstream::start();
    let gateway = start(&[at(&silent), at(&other)], "");
    (silent, other, gateway)
}

#[test]
fn a_request_that_is_safe_to_repeat_is_tried_at_the_next_endpoint() {
    let (silent, _other, gateway) = beside_a_silent_one();

    for _ in 0..4 {
        assert_eq!(gateway.get("/a", &[]).status, 200);
    }

    assert!(!silent.seen().is_empty());
}

#[test]
fn a_request_that_may_have_been_done_is_not_done_again() {
    let (silent, other, gateway) = beside_a_silent_one();

    let answers: Vec<u16> = (0..4).map(|_| gateway.post("/a", &[], b"body").status).collect();

    let failed = answers.iter().filter(|status| **status == 502).count();
    assert_eq!(silent.seen().len(), failed, "{answers:?}");
    assert_eq!(other.seen().len(), answers.len() - failed, "{answers:?}");
    assert!(failed > 0, "{answers:?}");
}

#[test]
fn a_pooled_connection_that_ended_costs_the_client_nothing() {
    let upstream = Upstream::answering(|_, reply| {
        reply.send(200, &[], b"ok")?;
        reply.close();
        Ok(())
    });
    let gateway = start(&[at(&upstream)], "retries = 0");
    let mut client = gateway.connect();

    for _ in 0..30 {
        assert_eq!(client.request("GET", "/a", &[], b"").status, 200);
    }
}

#[test]
fn endpoints_take_turns() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let gateway = start(&[at(&first), at(&second)], "");

    for _ in 0..20 {
        assert_eq!(gateway.get("/a", &[]).status, 200);
    }

    assert_eq!((first.seen().len(), second.seen().len()), (10, 10));
}

#[test]
fn equal_keys_find_the_same_endpoint() {
    let upstreams = [Upstream::saying("0"), Upstream::saying("1"), Upstream::saying("2")];
    let endpoints: Vec<String> = upstreams.iter().map(at).collect();
    let gateway = start(&endpoints, "balance = { consistent_hash = \"header:x-user\" }");
    let ask = |user: usize| gateway.get("/a", &[("x-user", &user.to_string())]).text();

    // The ports are by chance: among few users, one of them may be nobody's.
    let first: Vec<String> = (0..100).map(ask).collect();
    let second: Vec<String> = (0..100).map(ask).collect();

    assert_eq!(first, second);
    for upstream in ["0", "1", "2"] {
        assert!(first.iter().any(|found| found == upstream), "{upstream} is never chosen");
    }
}

#[test]
fn an_endpoint_that_fails_its_checks_gets_no_requests_until_it_passes_them() {
    let sick = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&sick);
    let checked = Upstream::answering(move |seen, reply| match seen.target.as_str() {
        "/healthz" if state.load(Ordering::SeqCst) => reply.send(500, &[], b"sick"),
        _ => reply.send(200, &[], b"checked"),
    });
    let other = Upstream::saying("other");
    let gateway = start(
        &[at(&checked), at(&other)],
        r#"health_check = { path = "/healthz", interval = "100ms", timeout = "20s", healthy_after = 1, unhealthy_after = 2 }"#,
    );
    let healthy = |expected: f64| {
        let address = at(&checked);
        gateway.wait_for_metric(&format!("health {expected}"), |metrics| {
            let labels = [("upstream", "orders"), ("address", address.as_str())];
            let name = "portcullis_upstream_endpoint_healthy";
            metrics.has(name, &labels) && metrics.sum(name, &labels) == expected
        });
    };
    let answers = || -> Vec<String> {
        (0..10).map(|_| gateway.get("/a", &[])).map(|response: Response| response.text()).collect()
    };

    healthy(1.0);
    sick.store(true, Ordering::SeqCst);
    healthy(0.0);
    assert_eq!(answers(), ["other"; 10]);
    sick.store(false, Ordering::SeqCst);
    healthy(1.0);
    assert!(answers().contains(&"checked".to_owned()));
}

#[test]
fn an_unhealthy_endpoint_is_better_than_none() {
    let upstream = Upstream::answering(|seen, reply| match seen.target.as_str() {
        "/healthz" => reply.send(500, &[], b"sick"),
        _ => reply.send(200, &[], b"ok"),
    });
    let gateway = start(
        &[at(&upstream)],
        r#"health_check = { path = "/healthz", interval = "100ms", unhealthy_after = 1 }"#,
    );

    gateway.wait_for_metric("no healthy endpoint", |metrics| {
        let name = "portcullis_upstream_endpoint_healthy";
        metrics.has(name, &[]) && metrics.sum(name, &[]) == 0.0
    });

    assert_eq!(gateway.get("/a", &[]).text(), "ok");
}
