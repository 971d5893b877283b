//! Services outside decide: over HTTP, and over gRPC as Envoy asks them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use portcullis_tests::{Gateway, Seen, Upstream, dead_address, python};

use crate::ROOMY;

/// A route behind the authorizer `outside`, which shows what is known of the caller.
fn start(orders: &Upstream, outside: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
        [upstreams.orders]
        endpoints = ["{orders}"]

        [authorizers.outside]
        {outside}

        [transforms.said]
        plugin = "headers"
        settings.request.set = {{ x-caller = "${{identity:principal}}", x-said = "${{identity:said}}" }}
        {ROOMY}

        [apis.shop]
        upstream = "orders"
        authorizer = "outside"
        request_transforms = ["said"]
        routes."ANY /orders" = {{}}
        routes."GET /open" = {{ authorizer = "none", request_transforms = [] }}
        "#,
        orders = orders.address(),
    ))
}

fn forward_auth(service: SocketAddr) -> String {
    format!(
        r#"
        plugin = "forward-auth"
        settings.url = "http://{service}/verify"
        settings.attributes = {{ said = "x-said" }}
        settings.response_headers = ["set-cookie"]
        grants.http = {{ origins = ["http://{service}"], timeout = "20s" }}
        budget = {{ wall_time = "60s", cpu_time = "20s", breaker_after = 3, breaker_pause = "10m" }}
        "#
    )
}

/// Opens for one token, sends browsers away, and breaks when it is asked to.
fn service() -> Upstream {
    Upstream::answering(|seen, reply| match seen.headers.get("authorization") {
        Some("Bearer good") => reply.send(
            200,
            &[("remote-user", "alice"), ("x-said", "gold"), ("set-cookie", "s=1")],
            b"",
        ),
        Some("Bearer browser") => {
            reply.send(302, &[("location", "https://login.test/"), ("server", "inner")], b"away")
        }
        Some("Bearer break") => reply.send(500, &[], b"inner words"),
        _ => reply.send(401, &[("www-authenticate", "Bearer realm=\"outer\"")], b"who?"),
    })
}

#[test]
fn an_http_service_decides_and_names_the_caller() {
    let (orders, service) = (Upstream::start(), service());
    let gateway = start(&orders, &forward_auth(service.address()));

    let allowed = gateway.get("/orders?x=1", &[("authorization", "Bearer good")]);

    assert_eq!(allowed.status, 200, "{}", allowed.text());
    assert_eq!(allowed.header("set-cookie"), Some("s=1"));
    let seen = orders.only();
    assert_eq!(seen.headers.get("x-caller"), Some("alice"));
    assert_eq!(seen.headers.get("x-said"), Some("gold"));
    let Seen { method, target, headers, .. } = service.only();
    assert_eq!((method.as_str(), target.as_str()), ("GET", "/verify"));
    assert_eq!(headers.get("x-forwarded-uri"), Some("/orders?x=1"));
    assert_eq!(headers.get("x-forwarded-method"), Some("GET"));
    assert_eq!(headers.get("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn a_refusal_of_an_http_service_is_the_clients_answer() {
    let (orders, service) = (Upstream::start(), service());
    let gateway = start(&orders, &forward_auth(service.address()));

    let refused = gateway.get("/orders", &[("authorization", "Bearer bad")]);
    assert_eq!((refused.status, refused.text().as_str()), (401, "who?"));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"outer\""));
    let sent_away = gateway.get("/orders", &[("authorization", "Bearer browser")]);
    assert_eq!(sent_away.status, 302);
    assert_eq!(sent_away.header("location"), Some("https://login.test/"));
    assert_eq!(sent_away.header("server"), None);
    // Nothing to judge, so nobody is asked.
    assert_eq!(gateway.get("/orders", &[]).status, 401);
    assert_eq!(service.seen().len(), 2);
    assert!(orders.seen().is_empty());
}

#[test]
fn a_service_that_makes_no_decision_denies_and_is_left_alone_after_a_while() {
    let (orders, service) = (Upstream::start(), service());
    let gateway = start(&orders, &forward_auth(service.address()));

    for _ in 0..3 {
        let refused = gateway.get("/orders", &[("authorization", "Bearer break")]);
        assert_eq!(refused.verdict(), (503, "plugin-fault".to_owned()));
        assert!(!refused.text().contains("inner words"));
    }
    assert_eq!(gateway.faults("outside", "unavailable"), 3.0);
    let refused = gateway.get("/orders", &[("authorization", "Bearer good")]);

    assert_eq!(refused.verdict(), (503, "plugin-fault".to_owned()));
    assert_eq!(service.seen().len(), 3, "the breaker is open");
    assert_eq!(gateway.get("/open", &[]).status, 200);
    assert_eq!(orders.seen().len(), 1);
}

#[test]
fn a_service_that_is_not_there_denies() {
    let orders = Upstream::start();
    let gateway = start(&orders, &forward_auth(dead_address()));

    let refused = gateway.get("/orders", &[("authorization", "Bearer good")]);

    assert_eq!(refused.verdict(), (503, "plugin-fault".to_owned()));
    assert!(orders.seen().is_empty());
}

/// A service written with Envoy's own messages; gone when dropped.
struct ExtAuthz {
    process: Child,
    port: u16,
}

impl ExtAuthz {
    fn start() -> Self {
        let mut process = python(include_str!("external/ext_authz.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let mut line = String::new();
        let stdout = process.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("its first line");
        let port = line.trim().parse().expect("its first line is its port");
        Self { process, port }
    }

    fn uses(&self) -> String {
        format!(
            r#"
            plugin = "ext-authz"
            settings.target = "http://127.0.0.1:{port}"
            settings.context = {{ zone = "edge" }}
            settings.attributes = {{ said = "x-saw" }}
            settings.body_bytes = 100
            grants.http = {{ origins = ["http://127.0.0.1:{port}"], timeout = "20s" }}
            budget = {{ wall_time = "60s", cpu_time = "20s", breaker_after = 0 }}
            "#,
            port = self.port
        )
    }
}

impl Drop for ExtAuthz {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

#[test]
fn a_grpc_service_decides_as_it_does_for_envoy() {
    let (orders, service) = (Upstream::start(), ExtAuthz::start());
    let gateway = start(&orders, &service.uses());

    let allowed = gateway.post("/orders?x=1", &[("authorization", "Bearer good")], b"tea");
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    assert_eq!(allowed.header("x-checked"), Some("yes"));
    let seen = orders.only();
    assert_eq!(seen.headers.get("x-caller"), Some("alice"));
    let saw = "POST /orders?x=1 localhost tea edge 127.0.0.1";
    assert_eq!(seen.headers.get("x-said"), Some(saw));
    assert_eq!(seen.body, b"tea");

    let refused = gateway.get("/orders", &[("authorization", "Bearer bad")]);
    assert_eq!((refused.status, refused.text().as_str()), (401, "who are you?"));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let broken = gateway.get("/orders", &[("authorization", "crash")]);
    assert_eq!(broken.verdict(), (503, "plugin-fault".to_owned()));
    assert_eq!(gateway.faults("outside", "unavailable"), 1.0);
    assert_eq!(orders.seen().len(), 1);
}

#[test]
fn a_grpc_service_that_ends_denies() {
    let (orders, service) = (Upstream::start(), ExtAuthz::start());
    let gateway = start(&orders, &service.uses());
    let good = [("authorization", "Bearer good")];
    assert_eq!(gateway.get("/orders", &good).status, 200);

    drop(service);

    assert_eq!(gateway.get("/orders", &good).verdict(), (503, "plugin-fault".to_owned()));
    assert_eq!(orders.seen().len(), 1);
}
