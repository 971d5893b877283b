//! A plugin that keeps failing is taken out of the path, and let back by probes.

use portcullis_tests::{Gateway, Upstream, eventually};

/// Bodies of more than its memory make the validator fault; short ones do not.
fn start(upstream: &Upstream) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        [upstreams.sink]
        endpoints = ["{address}"]
        [validators.judge]
        plugin = "echo-body"
        budget = {{ memory = "4MiB", cpu_time = "20s", wall_time = "60s", breaker_after = 3, breaker_pause = "2s" }}
        [apis.sink.routes."POST /a"]
        upstream = "sink"
        validate = "judge"
        "#
    ))
}

fn breaker(gateway: &Gateway) -> (f64, f64) {
    let metrics = gateway.metrics();
    let labels = [("use", "judge")];
    (
        metrics.sum("portcullis_plugin_breaker_open", &labels),
        metrics.sum("portcullis_plugin_breaker_opened_total", &labels),
    )
}

#[test]
fn the_breaker_opens_after_faults_in_a_row_and_closes_when_a_probe_succeeds() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let short = || gateway.post("/a", &[], b"short").status;
    let long = || gateway.post("/a", &[], &vec![b'x'; 8_000_000]).status;
    let started = || gateway.use_metric("portcullis_plugin_instances_started_total", "judge");

    assert_eq!(short(), 200);
    assert_eq!([long(), long()], [503, 503]);
    assert_eq!(breaker(&gateway), (0.0, 0.0), "two faults are not three");
    assert_eq!(long(), 503);
    assert_eq!(breaker(&gateway), (1.0, 1.0));

    let before = started();
    assert_eq!(short(), 503, "an open breaker lets nothing through");
    assert_eq!(started(), before, "an open breaker costs no instance");
    assert!(gateway.faults("judge", "breaker-open") >= 1.0);

    eventually("an answer to the probe", || (short() == 200).then_some(()));
    assert_eq!(breaker(&gateway), (0.0, 1.0));
    assert_eq!([short(), short(), short()], [200, 200, 200]);
    assert_eq!(gateway.faults("judge", "memory"), 3.0);
}

#[test]
fn an_answer_between_faults_keeps_the_breaker_closed() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let long = || gateway.post("/a", &[], &vec![b'x'; 8_000_000]).status;

    for _ in 0..3 {
        assert_eq!([long(), long()], [503, 503]);
        assert_eq!(gateway.post("/a", &[], b"short").status, 200);
    }

    assert_eq!(breaker(&gateway), (0.0, 0.0));
}
