//! What is sent in pieces arrives in pieces.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use portcullis_tests::{Gateway, Upstream, eventually};

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
fn read_until(client: &mut portcullis_tests::Client, received: &mut String, wanted: &str) {
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
    client
        .send(
            b"GET /socket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    assert_eq!(client.head().unwrap().0, 101);

    gateway.reload_config(
        "authorizer = \"none\"\n[apis.a.routes.\"GET /new/route\"]\nrespond = { body = \"new\" }\n",
    );
    gateway.wait_for_answer("the new route", "/new/route", |response| response.text() == "new");

    client.send(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).unwrap();
    let mut echoed = Vec::new();
    while echoed.len() < 4 {
        let piece = client.piece().unwrap();
        assert!(!piece.is_empty(), "the socket closed");
        echoed.extend(piece);
    }
    assert_eq!(echoed, [0x81, 2, b'h', b'i']);
}

#[test]
fn events_flow_for_a_minute() {
    const EVENTS: u32 = 61;
    let upstream = Upstream::answering(|_, reply| {
        reply.begin(
            200,
            &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")],
        )?;
        for number in 0..EVENTS {
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
        late = late.max(began.elapsed().saturating_sub(Duration::from_secs(u64::from(number))));
    }
    read_until(&mut client, &mut received, "0\r\n\r\n");

    assert!(began.elapsed() >= Duration::from_secs(60));
    assert!(late < Duration::from_secs(10), "an event was {late:?} late");
}
