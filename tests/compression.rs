//! Responses are compressed for clients that take it, and are the same once decoded.

use std::io::{Read, Write};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use portcullis_tests::{Gateway, Response, Upstream};

const CONFIG: &str = r#"
    [upstreams.pages]
    endpoints = ["PAGES"]

    [transforms.stamp]
    plugin = "headers"
    settings.response = { set = { x-stamp = "1" } }
    BUDGET

    [apis.site]
    upstream = "pages"
    authorizer = "none"
    compression = { encodings = ["br", "zstd", "gzip"] }
    cors = { origins = ["https://app.example.com"] }

    [apis.site.routes]
    "ANY /{path+}" = {}
    "GET /stamped" = { response_transforms = ["stamp"] }
    "GET /plain" = { compression = "off" }
    "GET /all" = { compression = { types = ["*/*", "text/event-stream"], min_size = 0 } }
    "GET /fixed" = { respond = { headers = { content-type = "text/plain", etag = '"f"' }, body = "FIXED" } }
"#;

fn start(pages: &Upstream) -> Gateway {
    let config = CONFIG.replace("BUDGET", crate::ROOMY).replace("FIXED", &"fixed ".repeat(400));
    Gateway::start(&config.replace("PAGES", &pages.address().to_string()))
}

/// A text with some order in it, and not too much.
fn text(length: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut state: u32 = 7;
    while text.len() < length {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        writeln!(text, "{{\"order\": {}}}", state % 5000).unwrap();
    }
    text.truncate(length);
    text
}

/// Answers with `text` by default, or as the target says.
fn pages() -> Upstream {
    Upstream::answering(|seen, reply| {
        let json = ("content-type", "application/json");
        let body = text(100_000);
        match seen.target.as_str() {
            "/small" => reply.send(200, &[json], &text(1023)),
            "/image" => reply.send(200, &[("content-type", "image/png")], &body),
            "/encoded" => reply.send(200, &[json, ("content-encoding", "x")], &body),
            "/fixed-form" => reply.send(200, &[json, ("cache-control", "no-transform")], &body),
            "/part" => reply.send(206, &[json, ("content-range", "bytes 0-9/99")], &body[..10]),
            "/nothing" => reply.send(204, &[json], b""),
            "/chunked" => {
                reply.begin(200, &[json, ("transfer-encoding", "chunked")])?;
                body.chunks(30_000).try_for_each(|piece| reply.chunk(piece))?;
                reply.chunk(b"")
            }
            _ => reply.send(
                200,
                &[json, ("etag", "\"tag\""), ("accept-ranges", "bytes"), ("vary", "accept")],
                &body,
            ),
        }
    })
}

fn decoded(response: &Response) -> Vec<u8> {
    let mut plain = Vec::new();
    let body = response.body.as_slice();
    match response.header("content-encoding") {
        None => return body.to_vec(),
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut plain),
        Some("zstd") => zstd::stream::read::Decoder::new(body).unwrap().read_to_end(&mut plain),
        Some(other) => panic!("nobody asked for {other}"),
    }
    .unwrap();
    plain
}

#[test]
fn a_response_comes_in_the_coding_that_the_client_likes_best() {
    let pages = pages();
    let gateway = start(&pages);

    for (accepted, coding) in [
        ("gzip", Some("gzip")),
        ("gzip, deflate, br, zstd", Some("br")),
        ("br;q=0.1, zstd;q=0.9, gzip;q=0.5", Some("zstd")),
        ("*;q=0.1, br;q=0, zstd;q=0", Some("gzip")),
        ("identity", None),
        ("deflate", None),
        ("gzip;q=0", None),
    ] {
        for path in ["/page", "/chunked", "/stamped"] {
            let response = gateway.get(path, &[("accept-encoding", accepted)]);
            let said = response.header("content-encoding");
            assert_eq!((response.status, said), (200, coding), "{path} {accepted}");
            assert!(decoded(&response) == text(100_000), "{path} {accepted}");
            assert!(coding.is_none() || response.body.len() < 40_000, "{}", response.body.len());
        }
    }
}

#[test]
fn the_head_says_what_became_of_the_body() {
    let pages = pages();
    let gateway = start(&pages);
    let gzip = ("accept-encoding", "gzip");

    let response = gateway.get("/page", &[gzip]);
    let vary: Vec<&str> = response.headers.all("vary").collect();
    assert_eq!(vary, ["accept, Origin, Accept-Encoding"]);
    assert_eq!(response.header("etag"), Some("W/\"tag\""));
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    for gone in ["content-length", "accept-ranges"] {
        assert_eq!(response.header(gone), None, "{gone}");
    }

    // A client that takes none has what the upstream sent, and caches learn why.
    let response = gateway.get("/page", &[]);
    assert_eq!(response.header("vary"), Some("accept, Origin, Accept-Encoding"));
    assert_eq!(response.header("etag"), Some("\"tag\""));
    assert_eq!(response.header("content-length"), Some("100000"));
    let response = gateway.request("HEAD", "/page", &[gzip], b"");
    assert_eq!(response.header("vary"), Some("accept, Origin, Accept-Encoding"));
    assert_eq!(response.header("content-encoding"), None);

    let response = gateway.get("/stamped", &[gzip]);
    assert_eq!(response.header("x-stamp"), Some("1"));
}

#[test]
fn what_is_no_better_compressed_is_left_alone() {
    let pages = pages();
    let gateway = start(&pages);

    for path in ["/small", "/image", "/encoded", "/fixed-form", "/part", "/nothing"] {
        let response = gateway.get(path, &[("accept-encoding", "gzip")]);
        let encoding = if path == "/encoded" { Some("x") } else { None };
        assert_eq!(response.header("content-encoding"), encoding, "{path}");
        assert_eq!(response.header("vary"), Some("Origin"), "{path}");
    }
    let response = gateway.get("/plain", &[("accept-encoding", "gzip")]);
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.header("vary"), Some("accept, Origin"));
}

#[test]
fn answers_of_the_gateways_own_are_compressed_too() {
    let pages = pages();
    let gateway = start(&pages);

    let response = gateway.get("/fixed", &[("accept-encoding", "gzip")]);

    assert_eq!(decoded(&response), "fixed ".repeat(400).into_bytes());
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.header("vary"), Some("Origin, Accept-Encoding"));
    assert_eq!(response.header("etag"), Some("W/\"f\""));
    let length = response.body.len().to_string();
    assert_eq!(response.header("content-length"), Some(length.as_str()));
    assert!(response.body.len() < 100);
}

#[test]
fn what_comes_piece_by_piece_is_passed_on_piece_by_piece() {
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let events = Upstream::answering(move |_, reply| {
        let event = ("content-type", "text/event-stream");
        reply.begin(200, &[event, ("transfer-encoding", "chunked")])?;
        reply.chunk(b"data: first\n\n")?;
        // Not before the client has read it.
        let wait = released.lock().unwrap().recv_timeout(Duration::from_secs(60));
        if wait.is_ok() {
            reply.chunk(b"data: second\n\n")?;
        }
        reply.chunk(b"")
    });
    let gateway = start(&events);
    let mut client = gateway.connect();

    client.send(b"GET /all HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n").unwrap();
    let (status, headers) = client.head().unwrap();
    assert_eq!((status, headers.get("content-encoding")), (200, Some("gzip")));
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    let mut release = Some(release);
    client
        .body("GET", status, &headers, &mut |piece| {
            decoder.write_all(piece).unwrap();
            decoder.flush().unwrap();
            if decoder.get_ref() == b"data: first\n\n"
                && let Some(release) = release.take()
            {
                release.send(()).unwrap();
            }
        })
        .unwrap();

    let whole = String::from_utf8(decoder.finish().unwrap()).unwrap();
    assert_eq!(whole, "data: first\n\ndata: second\n\n");
}

#[test]
fn a_long_response_takes_no_more_memory_than_a_short_one() {
    const PIECES: usize = 1024;
    let piece = text(128 * 1024);
    let sent = piece.clone();
    let pages = Upstream::answering(move |seen, reply| {
        let pieces = if seen.target == "/long" { PIECES } else { 16 };
        reply.begin(200, &[("content-type", "text/plain"), ("transfer-encoding", "chunked")])?;
        (0..pieces).try_for_each(|_| reply.chunk(&sent))?;
        reply.chunk(b"")
    });
    // Without plugins, of which images would be made meanwhile.
    let gateway = Gateway::start(&format!(
        r#"
        [upstreams.pages]
        endpoints = ["{}"]
        [apis.site]
        upstream = "pages"
        authorizer = "none"
        compression = {{ encodings = ["zstd"] }}
        routes."GET /{{length}}" = {{}}
        "#,
        pages.address(),
    ));
    // What the first of all takes is taken once.
    let short = gateway.get("/short", &[("accept-encoding", "zstd")]);
    assert_eq!(short.header("content-encoding"), Some("zstd"));
    let before = gateway.rss_bytes();
    let mut client = gateway.connect();

    client.send(b"GET /long HTTP/1.1\r\nhost: a\r\naccept-encoding: zstd\r\n\r\n").unwrap();
    let (status, headers) = client.head().unwrap();
    let mut most = 0;
    let mut decoder = zstd::stream::write::Decoder::new(Vec::new()).unwrap();
    let mut length = 0;
    client
        .body("GET", status, &headers, &mut |bytes| {
            decoder.write_all(bytes).unwrap();
            length += std::mem::take(decoder.get_mut()).len();
            most = most.max(gateway.rss_bytes());
        })
        .unwrap();
    decoder.flush().unwrap();
    length += decoder.get_mut().len();

    assert_eq!(length, PIECES * piece.len());
    let grown = most.saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more than before");
}

#[test]
fn curl_reads_what_it_asked_for() {
    let pages = pages();
    let gateway = start(&pages);

    let url = format!("http://{}/page", gateway.address("public"));
    let output = Command::new("curl").args(["-sS", "--compressed", &url]).output().unwrap();

    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == text(100_000));
}
