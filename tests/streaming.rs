//! What is sent in pieces arrives in pieces.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis_tests::{Client, Gateway, Metrics, Upstream, eventually};

fn start(upstream: &Upstream) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        [upstreams.live]
        endpoints = ["{address}"]
        [apis.live.routes."ANY /{{name}}"]
        upstream = "live"
        "#
    ))
}

/// Reads until what has come holds `wanted`.
fn read_until(client: &mut Client, received: &mut String, wanted: &str) {
    while !received.contains(wanted) {
        let piece = client.piece().unwrap_or_else(|error| panic!("no `{wanted}`: {error}"));
        assert!(!piece.is_empty(), "the stream ended without `{wanted}`: {received}");
        received.push_str(&String::from_utf8_lossy(&piece));
    }
}

#[test]
fn an_event_arrives_before_the_next_is_sent() {
    let (go_on, going_on) = channel::<()>();
    let going_on = Mutex::new(going_on);
    let upstream = Upstream::answering(move |_, reply| {
        reply.begin(
            200,
            &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")],
        )?;
        for number in 0..5 {
            reply.chunk(format!("data: {number}\n\n").as_bytes())?;
            going_on.lock().unwrap().recv().unwrap();
        }
        reply.chunk(b"")
    });
    let gateway = start(&upstream);
    let mut client = gateway.connect();
    let mut received = String::new();

    client.send(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();

    for number in 0..5 {
        read_until(&mut client, &mut received, &format!("data: {number}"));
        go_on.send(()).unwrap();
    }
    read_until(&mut client, &mut received, "0\r\n\r\n");
    assert!(received.contains("text/event-stream"), "{received}");
}

#[test]
fn a_response_of_known_length_arrives_as_it_is_sent() {
    let (go_on, going_on) = channel::<()>();
    let going_on = Mutex::new(going_on);
    let upstream = Upstream::answering(move |_, reply| {
        reply.begin(200, &[("content-length", "10")])?;
        reply.raw(b"first")?;
        going_on.lock().unwrap().recv().unwrap();
        reply.raw(b"later")
    });
    let gateway = start(&upstream);
    let mut client = gateway.connect();
    let mut received = String::new();

    client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();

    read_until(&mut client, &mut received, "first");
    go_on.send(()).unwrap();
    read_until(&mut client, &mut received, "later");
}

#[test]
fn a_body_arrives_at_the_upstream_while_the_client_still_sends() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let mut client = gateway.connect();

    client.send(b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    for sent in 1..=5 {
        client.send_chunk(b"piece").unwrap();
        eventually("the piece just sent", || (upstream.body_bytes() == sent * 5).then_some(()));
    }
    client.send(b"0\r\n\r\n").unwrap();

    assert_eq!(client.response("POST").unwrap().text(), "ok");
    assert_eq!(upstream.only().body, b"piece".repeat(5));
}

/// Answers the upgrade and echoes frames, unmasked as servers send them.
fn websocket_echo() -> Upstream {
    Upstream::answering(|seen, reply| {
        assert_eq!(seen.headers.get("upgrade"), Some("websocket"));
        assert_eq!(seen.headers.get("sec-websocket-version"), Some("13"));
        let accepted = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        reply.begin(101, &accepted)?;
        let mut received = Vec::new();
        loop {
            let piece = reply.piece()?;
            if piece.is_empty() {
                reply.close();
                return Ok(());
            }
            received.extend_from_slice(&piece);
            while let Some(frame) = unmasked(&mut received) {
                reply.raw(&frame)?;
            }
        }
    })
}

/// Takes one short masked frame off the front; without its mask.
fn unmasked(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(received.get(1)? & 0x7f);
    let end = 6 + length;
    if received.len() < end {
        return None;
    }
    let frame: Vec<u8> = received.drain(..end).collect();
    let mask = &frame[2..6];
    let payload = frame[6..].iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
    Some([&frame[..1], &[frame[1] & 0x7f]].concat().into_iter().chain(payload).collect())
}

#[test]
fn a_websocket_passes_frames_both_ways() {
    let upstream = websocket_echo();
    let gateway = start(&upstream);
    let mut client = gateway.connect();
    let upgrade = "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    client.send(upgrade.as_bytes()).unwrap();
    let (status, headers) = client.head().unwrap();

    assert_eq!(status, 101);
    assert_eq!(headers.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for round in 0..100_u8 {
        let text = [b'a' + round % 26; 20];
        let mask = [round, 1, 2, 3];
        let masked = text.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
        let frame: Vec<u8> = [0x81, 0x80 | 20].into_iter().chain(mask).chain(masked).collect();
        client.send(&frame).unwrap();
        let mut echoed = Vec::new();
        while echoed.len() < 22 {
            let piece = client.piece().unwrap();
            assert!(!piece.is_empty(), "the socket closed in round {round}");
            echoed.extend(piece);
        }
        assert_eq!(echoed, [&[0x81, 20][..], &text].concat(), "round {round}");
    }
    drop(client);
    gateway.wait_for_metric("the end of the exchange", |metrics| {
        metrics.sum("portcullis_exchanges", &[]) == 0.0
    });
}

#[test]
fn a_websocket_survives_a_reload() {
    let upstream = websocket_echo();
    let gateway = start(&upstream);
    let mut client = gateway.connect();
    open_socket(&mut client, "/socket");

    gateway.reload_config(
        "authorizer = \"none\"\n[apis.a.routes.\"GET /new/route\"]\nrespond = { body = \"new\" }\n",
    );
    gateway.wait_for_answer("the new route", "/new/route", |response| response.text() == "new");

    assert_echoes(&mut client);
}

/// Has the connection upgraded.
fn open_socket(client: &mut Client, target: &str) {
    let upgrade = format!(
        "GET {target} HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    client.send(upgrade.as_bytes()).unwrap();
    assert_eq!(client.head().unwrap().0, 101);
}

fn assert_echoes(client: &mut Client) {
    client.send(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).unwrap();
    let mut echoed = Vec::new();
    while echoed.len() < 4 {
        let piece = client.piece().unwrap();
        assert!(!piece.is_empty(), "the socket closed");
        echoed.extend(piece);
    }
    assert_eq!(echoed, [0x81, 2, b'h', b'i']);
}

/// Routes to sockets and to events, plain and with a transform of the response.
fn streams(sockets: &Upstream, events: &Upstream, marker: u32) -> String {
    format!(
        r#"
        authorizer = "none"
        [upstreams.sockets]
        endpoints = ["{}"]
        [upstreams.events]
        endpoints = ["{}"]
        [transforms.tell]
        plugin = "headers"
        settings.response.set = {{ x-told = "yes" }}
        {}
        [apis.a.routes."GET /socket"]
        upstream = "sockets"
        [apis.a.routes."GET /judged/socket"]
        upstream = "sockets"
        response_transforms = ["tell"]
        [apis.a.routes."GET /judged/events"]
        upstream = "events"
        response_transforms = ["tell"]
        [apis.a.routes."GET /marker"]
        respond = {{ body = "{marker}" }}
        "#,
        sockets.address(),
        events.address(),
        crate::ROOMY
    )
}

#[test]
fn what_streams_on_keeps_no_old_configuration_alive() {
    let (go_on, going_on) = channel::<()>();
    let going_on = Mutex::new(going_on);
    let events = Upstream::answering(move |_, reply| {
        reply.begin(
            200,
            &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")],
        )?;
        reply.chunk(b"data: first\n\n")?;
        going_on.lock().unwrap().recv().unwrap();
        reply.chunk(b"data: later\n\n")?;
        reply.chunk(b"")
    });
    let sockets = websocket_echo();
    let gateway = Gateway::start(&streams(&sockets, &events, 1));
    let [mut plain, mut judged, mut listening] = [(); 3].map(|()| gateway.connect());
    open_socket(&mut plain, "/socket");
    open_socket(&mut judged, "/judged/socket");
    listening.send(b"GET /judged/events HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut received = String::new();
    read_until(&mut listening, &mut received, "data: first");
    assert!(received.contains("x-told: yes"), "{received}");

    for marker in 2..=4 {
        gateway.reload_config(&streams(&sockets, &events, marker));
        let marker = marker.to_string();
        gateway.wait_for_answer("the new answer", "/marker", |response| response.text() == marker);
    }
    // The new configuration answers a moment before its number is told.
    let generation = |metrics: &Metrics| metrics.sum("portcullis_config_generation", &[]);
    let metrics = gateway.wait_for_metric("the end of the old configurations", |metrics| {
        metrics.sum("portcullis_generations_alive", &[]) == 1.0 && generation(metrics) >= 4.0
    });

    assert!(generation(&metrics) >= 4.0);
    assert_echoes(&mut plain);
    assert_echoes(&mut judged);
    go_on.send(()).unwrap();
    read_until(&mut listening, &mut received, "data: later");
    drop((plain, judged, listening));
    for (path, status) in [("/socket", 101), ("/judged/socket", 101), ("/judged/events", 200)] {
        let line = gateway.log_line(path);
        let route = format!("GET {path}");
        assert_eq!((&line["status"], &line["route"]), (&status.into(), &route.as_str().into()));
        let status = status.to_string();
        let labels = [("api", "a"), ("route", route.as_str()), ("status", status.as_str())];
        gateway.wait_for_metric("the count of the exchange", |metrics| {
            metrics.sum("portcullis_requests_total", &labels) == 1.0
        });
    }
}

#[test]
fn events_flow_for_a_minute() {
    const EVENTS: u32 = 61;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let sending = Arc::clone(&sent);
    let upstream = Upstream::answering(move |_, reply| {
        reply.begin(
            200,
            &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")],
        )?;
        for number in 0..EVENTS {
            sending.lock().unwrap().push(Instant::now());
            reply.chunk(format!("data: {number};\n\n").as_bytes())?;
            std::thread::sleep(Duration::from_secs(1));
        }
        reply.chunk(b"")
    });
    let gateway = start(&upstream);
    let mut client = gateway.connect();
    let mut received = String::new();
    let mut late = Duration::ZERO;
    let began = Instant::now();

    client.send(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    for number in 0..EVENTS {
        read_until(&mut client, &mut received, &format!("data: {number};"));
        late = late.max(sent.lock().unwrap()[number as usize].elapsed());
    }
    read_until(&mut client, &mut received, "0\r\n\r\n");

    assert!(began.elapsed() >= Duration::from_secs(60));
    assert!(late < Duration::from_secs(10), "an event was {late:?} late");
}
