//! Operators see what happened, and no secrets.

use portcullis_tests::{Client, Gateway, Site, Upstream};

fn start(upstream: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("alice.key", "sesame-secret");
    let address = upstream.address();
    site.start(&format!(
        r#"
        [upstreams.orders]
        endpoints = ["{address}"]
        [authorizers.keys]
        plugin = "api-token"
        settings.tokens.alice = {{ secret = "alice" }}
        grants.secrets.alice = {{ file = "alice.key" }}
        {roomy}
        [apis.shop]
        upstream = "orders"
        routes."GET /orders/{{id}}" = {{ authorizer = "keys" }}
        routes."GET /fixed" = {{ authorizer = "none", respond = {{ body = "fixed" }} }}
        "#,
        roomy = crate::ROOMY
    ))
}

const BEARER: (&str, &str) = ("authorization", "Bearer sesame-secret");

#[test]
fn an_access_log_line_tells_the_whole_exchange() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    let response = gateway.get("/orders/7?token=query-secret", &[BEARER]);

    let line = gateway.log_line("/orders/7");
    assert_eq!(line["request_id"].as_str(), response.header("x-request-id"));
    for (field, expected) in [
        ("method", "GET"),
        ("host", "localhost"),
        ("client", "127.0.0.1"),
        ("api", "shop"),
        ("route", "GET /orders/{id}"),
        ("principal", "alice"),
        ("authorizer", "keys"),
        ("authorizer_cache", "called"),
        ("upstream_endpoint", &upstream.address().to_string()),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    assert_eq!((&line["status"], &line["bytes_out"]), (&200.into(), &2.into()), "{line}");
    assert_eq!(line["upstream_tries"], 1, "{line}");
    assert!(line["duration_ms"].as_f64().is_some_and(|took| took > 0.0), "{line}");
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    assert!(line.get("code").is_none(), "{line}");
}

#[test]
fn a_refusal_is_logged_with_its_reason() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    gateway.get("/orders/7", &[("authorization", "Bearer wrong-secret")]);

    let line = gateway.log_line("/orders/7");
    assert_eq!(line["status"], 401, "{line}");
    assert_eq!(line["code"], "unauthenticated", "{line}");
    assert_eq!(line["reason"], "unknown-token", "{line}");
    assert_eq!(gateway.metric("portcullis_rejections_total", &[("code", "unauthenticated")]), 1.0);
}

#[test]
fn what_is_secret_is_written_nowhere() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for header in ["Bearer sesame-secret", "Bearer wrong-secret", "Basic dXNlcjpzZWNyZXQ="] {
        gateway.get("/orders/7?token=query-secret", &[("authorization", header)]);
    }
    gateway.get("/missing?token=query-secret", &[BEARER, ("cookie", "session=cookie-secret")]);

    gateway.log_line("/missing");
    let written = format!("{:?}{}{}", gateway.access_log(), gateway.stdout(), gateway.stderr());
    for secret in ["sesame", "wrong-secret", "dXNlcjpzZWNyZXQ", "query-secret", "cookie-secret"] {
        assert!(!written.contains(secret), "{secret} is in {written}");
    }
    let metrics = format!("{:?}", gateway.metrics());
    assert!(!metrics.contains("secret"), "{metrics}");
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for _ in 0..3 {
        gateway.get("/orders/7", &[BEARER]);
    }
    gateway.get("/orders/8", &[]);
    gateway.get("/missing", &[]);
    gateway.request("BREW", "/missing", &[], b"");

    let route = ("route", "GET /orders/{id}");
    // What is told of one exchange is counted one after the other.
    let metrics =
        gateway.wait_for_metric("six requests, and all that is told of them", |metrics| {
            metrics.sum("portcullis_requests_total", &[]) == 6.0
                && metrics.sum("portcullis_request_duration_seconds_count", &[route]) >= 4.0
                && metrics.sum("portcullis_upstream_duration_seconds_count", &[route]) >= 3.0
        });
    let count = |labels: &[(&str, &str)]| metrics.sum("portcullis_requests_total", labels);
    assert_eq!(count(&[route, ("status", "200")]), 3.0);
    assert_eq!(count(&[route, ("status", "401")]), 1.0);
    assert_eq!(count(&[("status", "404")]), 2.0);
    assert_eq!(count(&[("method", "BREW")]), 0.0, "a client invents no labels");
    assert_eq!(metrics.sum("portcullis_request_duration_seconds_count", &[route]), 4.0);
    assert_eq!(metrics.sum("portcullis_upstream_duration_seconds_count", &[route]), 3.0);
}

#[test]
fn an_answer_that_the_operator_wrote_is_no_rejection() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    assert_eq!(gateway.get("/fixed", &[]).text(), "fixed");

    // Written last of all that is told of an exchange.
    gateway.log_line("/fixed");
    assert_eq!(gateway.metric("portcullis_requests_total", &[]), 1.0);
    assert_eq!(gateway.metric("portcullis_rejections_total", &[]), 0.0);
}

#[test]
fn every_metric_that_is_promised_is_there() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    gateway.get("/orders/7", &[BEARER]);
    gateway.get("/orders/7", &[]);

    // The request that is refused is counted so at last, and its line is written then.
    gateway.wait_for_line("the line of a refusal", |line| line["status"] == 401);
    let metrics = gateway.wait_for_metric("two requests", |metrics| {
        metrics.sum("portcullis_requests_total", &[]) == 2.0
            && metrics.has("portcullis_upstream_duration_seconds_bucket", &[])
    });

    for name in [
        "portcullis_requests_total",
        "portcullis_request_duration_seconds_bucket",
        "portcullis_upstream_duration_seconds_bucket",
        "portcullis_connections",
        "portcullis_exchanges",
        "portcullis_rejections_total",
        "portcullis_reloads_total",
        "portcullis_config_generation",
        "portcullis_generations_alive",
        "portcullis_access_log_dropped_total",
        "portcullis_held_body_bytes",
        "portcullis_upstream_endpoint_healthy",
        "portcullis_plugin_decisions_total",
        "portcullis_plugin_faults_total",
        "portcullis_plugin_duration_seconds_bucket",
        "portcullis_plugin_instances_started_total",
        "portcullis_plugin_image_ready",
        "portcullis_plugin_image_pending",
        "portcullis_plugin_memory_high_water_bytes",
        "portcullis_plugin_bytes_read_total",
        "portcullis_plugin_log_lines_total",
        "portcullis_plugin_breaker_open",
        "portcullis_plugin_breaker_opened_total",
        "portcullis_plugin_breaker_clients_total",
        "portcullis_serves_last_good",
        "portcullis_last_good_kept_total",
    ] {
        assert!(metrics.has(name, &[]), "{name} is missing");
    }
}

#[test]
fn health_and_readiness_are_told() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let ask = |target| Client::connect(gateway.admin()).request("GET", target, &[], b"").status;

    assert_eq!([ask("/health"), ask("/ready"), ask("/other")], [200, 200, 404]);
}

#[test]
fn clients_cannot_reach_what_is_for_operators() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    for target in ["/metrics", "/health", "/ready"] {
        assert_eq!(gateway.get(target, &[]).status, 404, "{target}");
    }
}
