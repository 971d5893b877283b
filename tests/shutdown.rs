//! Told to stop, the gateway finishes what is under way and goes.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::{Client, Gateway, Upstream, eventually};

fn start(upstream: &Upstream, grace: &str) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        [shutdown]
        grace = "{grace}"
        [upstreams.slow]
        endpoints = ["{address}"]
        [apis.slow.routes."GET /a"]
        upstream = "slow"
        "#
    ))
}

#[test]
fn a_request_under_way_is_finished() {
    let (answer, answering) = channel::<()>();
    let answering = Mutex::new(answering);
    let upstream = Upstream::answering(move |_, reply| {
        reply.begin(200, &[("transfer-encoding", "chunked")])?;
        reply.chunk(b"be")?;
        answering.lock().unwrap().recv().unwrap();
        reply.chunk(b"gun")?;
        reply.chunk(b"")
    });
    let mut gateway = start(&upstream, "60s");
    let mut client = gateway.connect();
    client.send(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let (status, headers) = client.head().unwrap();

    gateway.terminate();
    let admin = gateway.admin();
    eventually("an end of readiness", || {
        (Client::connect(admin).request("GET", "/ready", &[], b"").status == 503).then_some(())
    });
    assert!(gateway.is_running());
    answer.send(()).unwrap();
    let mut body = Vec::new();
    client.body("GET", status, &headers, &mut |piece| body.extend_from_slice(piece)).unwrap();

    assert_eq!((status, body.as_slice()), (200, &b"begun"[..]));
    drop(client);
    assert_eq!(gateway.wait_exit().code(), Some(0));
    assert_eq!(gateway.access_log().len(), 1, "the last line was written");
}

#[test]
fn an_idle_gateway_stops_at_once() {
    let upstream = Upstream::start();
    let mut gateway = start(&upstream, "60s");
    assert_eq!(gateway.get("/a", &[]).status, 200);
    let began = Instant::now();

    gateway.terminate();

    assert_eq!(gateway.wait_exit().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn idle_clients_do_not_hold_it_up() {
    let upstream = Upstream::start();
    let mut gateway = start(&upstream, "60s");
    let mut client = gateway.connect();
    assert_eq!(client.request("GET", "/a", &[], b"").status, 200);
    let began = Instant::now();

    gateway.terminate();

    assert_eq!(gateway.wait_exit().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_request_that_outlasts_the_grace_does_not_hold_it_up() {
    let upstream = Upstream::answering(|_, reply| {
        while !reply.piece()?.is_empty() {}
        reply.close();
        Ok(())
    });
    let mut gateway = start(&upstream, "1s");
    let address = gateway.address("public");
    let asking = thread::spawn(move || {
        let mut client = Client::connect(address);
        client.send(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        client.response("GET").map(|response| response.status)
    });
    upstream.wait_for("the request", |_| true);
    let began = Instant::now();

    gateway.terminate();

    assert_eq!(gateway.wait_exit().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_ne!(asking.join().unwrap().ok(), Some(200));
}
