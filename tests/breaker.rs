//! A plugin that keeps failing is taken out of the path, and let back by probes; who makes
//! it fail alone, is refused alone.

use portcullis_tests::{Gateway, Upstream, eventually};

/// Bodies of more than its memory make the validator fault; short ones do not. Clients are
/// told apart by what the test says of them. A busy machine is to send several bodies, and
/// to be refused, within one pause.
fn start(upstream: &Upstream) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        trusted_proxies = ["127.0.0.1"]
        [upstreams.sink]
        endpoints = ["{address}"]
        [validators.judge]
        plugin = "echo-body"
        budget = {{ memory = "4MiB", cpu_time = "20s", wall_time = "60s", breaker_after = 3, breaker_pause = "15s" }}
        [apis.sink.routes."POST /a"]
        upstream = "sink"
        validate = "judge"
        "#
    ))
}

const FIRST: &str = "203.0.113.1";
const SECOND: &str = "203.0.113.2";
const THIRD: &str = "2001:db8::1";

fn short(gateway: &Gateway, client: &str) -> u16 {
    gateway.post("/a", &[("x-forwarded-for", client)], b"short").status
}

fn long(gateway: &Gateway, client: &str) -> u16 {
    gateway.post("/a", &[("x-forwarded-for", client)], &vec![b'x'; 8_000_000]).status
}

/// Whether the use is out of the path, how often it was, and how often a client alone was.
fn breaker(gateway: &Gateway) -> (f64, f64, f64) {
    let metrics = gateway.metrics();
    let sum = |name| metrics.sum(name, &[("use", "judge")]);
    (
        sum("portcullis_plugin_breaker_open"),
        sum("portcullis_plugin_breaker_opened_total"),
        sum("portcullis_plugin_breaker_clients_total"),
    )
}

fn started(gateway: &Gateway) -> f64 {
    gateway.use_metric("portcullis_plugin_instances_started_total", "judge")
}

#[test]
fn a_client_that_makes_a_plugin_fail_is_refused_alone() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    assert_eq!([long(&gateway, FIRST), long(&gateway, FIRST)], [503, 503]);
    assert_eq!(breaker(&gateway), (0.0, 0.0, 0.0), "two faults are not three");
    assert_eq!(long(&gateway, FIRST), 503);
    assert_eq!(breaker(&gateway), (0.0, 0.0, 1.0));

    let before = started(&gateway);
    assert_eq!(short(&gateway, FIRST), 503, "an open breaker lets nothing of it through");
    assert_eq!(started(&gateway), before, "and costs no instance");
    assert!(gateway.faults("judge", "breaker-open") >= 1.0);
    for _ in 0..5 {
        assert_eq!(short(&gateway, SECOND), 200, "others are answered");
    }

    eventually("an answer to the probe", || (short(&gateway, FIRST) == 200).then_some(()));
    assert_eq!(short(&gateway, FIRST), 200);
    assert_eq!(gateway.faults("judge", "memory"), 3.0);
    assert_eq!(breaker(&gateway), (0.0, 0.0, 1.0));
}

#[test]
fn a_plugin_that_fails_for_everybody_is_taken_out_and_let_back_by_a_probe() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for (client, open) in [(FIRST, 0.0), (SECOND, 0.0), (THIRD, 1.0)] {
        assert_eq!(long(&gateway, client), 503);
        assert_eq!(breaker(&gateway), (open, open, 0.0), "{client}");
    }

    let before = started(&gateway);
    for client in ["203.0.113.4", "203.0.113.5", FIRST] {
        assert_eq!(short(&gateway, client), 503, "{client}");
    }
    assert_eq!(started(&gateway), before, "an open breaker costs no instance");

    eventually("an answer to the probe", || (short(&gateway, SECOND) == 200).then_some(()));
    assert_eq!(breaker(&gateway), (0.0, 1.0, 0.0));
    for client in [FIRST, SECOND, THIRD] {
        assert_eq!(short(&gateway, client), 200, "{client}");
    }
    assert_eq!(gateway.faults("judge", "memory"), 3.0);
}

#[test]
fn an_answer_to_somebody_keeps_the_use_in_the_path() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    assert_eq!(short(&gateway, "203.0.113.9"), 200);
    for client in [FIRST, SECOND, THIRD, "203.0.113.4"] {
        assert_eq!(long(&gateway, client), 503);
        assert_eq!(short(&gateway, "203.0.113.9"), 200);
    }

    assert_eq!(breaker(&gateway), (0.0, 0.0, 0.0));
}

#[test]
fn an_answer_between_faults_keeps_a_client_in_the_path() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for _ in 0..3 {
        assert_eq!([long(&gateway, FIRST), long(&gateway, FIRST)], [503, 503]);
        assert_eq!(short(&gateway, FIRST), 200);
    }

    assert_eq!(breaker(&gateway), (0.0, 0.0, 0.0));
}
