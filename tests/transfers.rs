//! A gibibyte passes through in memory that does not grow with it.

use std::time::Duration;

use portcullis_tests::{Client, Gateway, Upstream};

const GIBIBYTE: u64 = 1 << 30;
const GROWTH: u64 = 64 << 20;

/// Takes what it is sent, and sends as many bytes as the path says.
fn warehouse() -> Upstream {
    Upstream::answering(|seen, reply| {
        let Some(wanted) = seen.target.strip_prefix("/download/") else {
            return reply.send(200, &[], seen.length.to_string().as_bytes());
        };
        reply.begin(200, &[("content-length", wanted)])?;
        let piece = vec![b'x'; 256 * 1024];
        let mut left = wanted.parse().unwrap_or(0);
        while left > 0 {
            let length = piece.len().min(left);
            reply.raw(&piece[..length])?;
            left -= length;
        }
        Ok(())
    })
}

fn start(upstream: &Upstream) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        [upstreams.warehouse]
        endpoints = ["{address}"]
        [apis.warehouse]
        upstream = "warehouse"
        routes."POST /upload" = {{}}
        routes."GET /download/{{bytes}}" = {{}}
        "#
    ))
}

/// Sends this many bytes; what the upstream counted.
fn upload(gateway: &Gateway, bytes: u64) -> String {
    let mut client = gateway.connect();
    let head = format!("POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
    client.send(head.as_bytes()).unwrap();
    client.pour(bytes).unwrap();
    client.response("POST").unwrap().text()
}

/// Fetches this many bytes; how many came. Looks at the memory on the way.
fn download(gateway: &Gateway, bytes: u64) -> (u64, u64) {
    let mut client: Client = gateway.connect();
    let head = format!("GET /download/{bytes} HTTP/1.1\r\nhost: a\r\n\r\n");
    client.send(head.as_bytes()).unwrap();
    let (status, headers) = client.head().unwrap();
    assert_eq!(status, 200);
    let (mut received, mut most, mut looked) = (0, 0, 0);
    let mut count = |piece: &[u8]| {
        received += piece.len() as u64;
        if received - looked > 64 << 20 {
            looked = received;
            most = most.max(gateway.rss_bytes());
        }
    };
    client.body("GET", status, &headers, &mut count).unwrap();
    (received, most)
}

#[test]
fn a_gibibyte_up_and_a_gibibyte_down_pass_in_constant_memory() {
    let upstream = warehouse();
    let gateway = start(&upstream);
    upload(&gateway, 16 << 20);
    download(&gateway, 16 << 20);
    let before = gateway.rss_bytes();

    assert_eq!(upload(&gateway, GIBIBYTE), GIBIBYTE.to_string());
    let after_upload = gateway.rss_bytes();
    let (received, during_download) = download(&gateway, GIBIBYTE);

    assert_eq!(received, GIBIBYTE);
    for most in [after_upload, during_download, gateway.rss_bytes()] {
        let growth = most.saturating_sub(before);
        assert!(growth < GROWTH, "{before} bytes grew by {growth}");
    }
}

#[test]
fn a_client_that_does_not_read_is_not_read_for() {
    let upstream = warehouse();
    let gateway = start(&upstream);
    download(&gateway, 16 << 20);
    let before = gateway.rss_bytes();
    let mut idle: Vec<Client> = (0..8).map(|_| gateway.connect()).collect();

    for client in &mut idle {
        client.send(b"GET /download/268435456 HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert_eq!(client.head().unwrap().0, 200);
    }

    // As long as it takes to fill every buffer on the way, if nothing held it back.
    std::thread::sleep(Duration::from_secs(2));
    let growth = gateway.rss_bytes().saturating_sub(before);
    assert!(growth < GROWTH, "{before} bytes grew by {growth}");
}
