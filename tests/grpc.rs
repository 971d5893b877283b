//! gRPC passes end to end: HTTP/2 on both sides, with trailers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_tests::{Gateway, H2Client, H2Reply, H2Upstream};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let parse = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(parse).collect()
}

fn start(upstream: &H2Upstream) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        authorizer = "none"
        [upstreams.greeter]
        endpoints = ["{address}"]
        protocol = "http2"
        [apis.greeter.routes."POST /greet.Greeter/{{method}}"]
        upstream = "greeter"
        "#
    ))
}

/// A message as gRPC frames it.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

const CALL: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

#[test]
fn a_call_comes_back_with_its_trailers() {
    let upstream = H2Upstream::answering(|seen| H2Reply {
        headers: headers(&[("content-type", "application/grpc")]),
        pieces: vec![Bytes::from(seen.body.clone()), Bytes::from(framed(b"bye"))],
        trailers: Some(headers(&[("grpc-status", "0"), ("grpc-message", "fine")])),
    });
    let gateway = start(&upstream);
    let client = H2Client::connect(gateway.address("public"));
    let message = framed(b"hello");

    let response = client.request("POST", "/greet.Greeter/SayHello", &CALL, &message);

    assert_eq!(response.status, 200);
    assert_eq!(response.body, [message.clone(), framed(b"bye")].concat());
    let trailers = response.trailers.expect("trailers");
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    assert_eq!(trailers.get("grpc-message").unwrap(), "fine");
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.headers.get("te").unwrap(), "trailers");
    assert_eq!(seen.headers.get("content-type").unwrap(), "application/grpc");
    assert_eq!(seen.body, message);
    assert_eq!(seen.target, "/greet.Greeter/SayHello");
}

#[test]
fn an_error_without_messages_comes_back_too() {
    let upstream = H2Upstream::answering(|_| H2Reply {
        headers: headers(&[("content-type", "application/grpc")]),
        pieces: Vec::new(),
        trailers: Some(headers(&[("grpc-status", "5")])),
    });
    let gateway = start(&upstream);
    let client = H2Client::connect(gateway.address("public"));

    let response = client.request("POST", "/greet.Greeter/SayHello", &CALL, &framed(b"hello"));

    assert_eq!(response.body, b"");
    assert_eq!(response.trailers.expect("trailers").get("grpc-status").unwrap(), "5");
}

#[test]
fn many_calls_share_one_connection() {
    let upstream = H2Upstream::answering(|seen| H2Reply {
        headers: headers(&[("content-type", "application/grpc")]),
        pieces: vec![Bytes::from(seen.body.clone())],
        trailers: Some(headers(&[("grpc-status", "0")])),
    });
    let gateway = start(&upstream);
    let client = H2Client::connect(gateway.address("public"));

    for round in 0..50_u8 {
        let message = framed(&vec![round; 10_000]);
        let response = client.request("POST", "/greet.Greeter/SayHello", &CALL, &message);
        assert!(response.body == message, "round {round}");
        assert_eq!(response.trailers.expect("trailers").get("grpc-status").unwrap(), "0");
    }
}
