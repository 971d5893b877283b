use portcullis_pipeline::{Arrival, CanonicalPath, RouteTable, Scheme};

use super::*;

const CONFIG: &str = r#"
    authorizer = "none"
    listeners.l.address = "127.0.0.1:80"
    upstreams.u.endpoints = ["127.0.0.1:9000"]
    apis.a.routes."ANY /{rest+}".upstream = "u"
"#;

fn forward(outgoing: Outgoing) -> Forward {
    let gateway = portcullis_config::parse(CONFIG, "test.toml", std::path::Path::new("")).unwrap();
    let path = CanonicalPath::parse("/b").unwrap();
    let route = RouteTable::new(gateway.apis).find("a", &http::Method::GET, &path).unwrap();
    let peer = "192.0.2.1:4711".parse().unwrap();
    let client = "192.0.2.1".parse().unwrap();
    let arrival =
        Arrival { id: "id".into(), peer, client, scheme: Scheme::Https, time_ms: 0, tls: None };
    let authority = "a.example".into();
    let response_headers = Vec::new();
    Forward { arrival, authority, path, route, identity: None, response_headers, outgoing }
}

fn head(fields: &[(&'static str, &str)]) -> RequestHeader {
    let mut head = RequestHeader::build("GET", b"/b?c", None).unwrap();
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    head
}

/// The target and the named fields of what the upstream sees; `-` for none.
fn check(
    fields: &[(&'static str, &str)],
    change: impl FnOnce(&mut Forwarding<'_>),
    expected: &[(&str, &str)],
) {
    check_outgoing(fields, Outgoing::default(), change, ("/b?c", expected));
}

fn check_outgoing(
    fields: &[(&'static str, &str)],
    outgoing: Outgoing,
    change: impl FnOnce(&mut Forwarding<'_>),
    (target, expected): (&str, &[(&str, &str)]),
) {
    let forward = forward(outgoing);
    let mut facts = Forwarding {
        forward: &forward,
        peer: Peer::Stranger,
        address: &HeaderValue::from_static("192.0.2.1"),
        host: &HostRewrite::Preserve,
        endpoint: &HeaderValue::from_static("10.0.0.1:9000"),
        protocol: UpstreamProtocol::Http1,
        body: OutgoingBody::Unread,
        response_body: ResponseBody::Passes,
    };
    change(&mut facts);
    let mut sent = head(fields);
    rewrite(&mut sent, &head(fields), &facts).unwrap();
    assert_eq!(sent.raw_path(), target.as_bytes());
    for (name, value) in expected {
        let found = sent.headers.get(*name).map_or("-", |value| value.to_str().unwrap());
        assert_eq!(found, *value, "{name}");
    }
}

#[test]
fn a_stranger_cannot_say_whom_it_forwards_for() {
    let lies = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "for=6.6.6.6"),
        ("x-request-id", "mine"),
    ];
    let truth = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a.example"),
        ("forwarded", "for=192.0.2.1;proto=https;host=\"a.example\""),
        ("x-request-id", "id"),
    ];
    check(&lies, |_| {}, &truth);
}

#[test]
fn a_trusted_proxy_is_believed_and_noted() {
    let chain = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-host", "b.example")];
    let longer = [
        ("x-forwarded-for", "198.51.100.1, 192.0.2.1"),
        ("x-forwarded-host", "b.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "-"),
    ];
    check(&chain, |facts| facts.peer = Peer::Trusted, &longer);
}

#[test]
fn the_host_is_the_one_configured() {
    check(&[("host", "x")], |_| {}, &[("host", "a.example")]);
    check(&[], |facts| facts.host = &HostRewrite::Endpoint, &[("host", "10.0.0.1:9000")]);
}

#[test]
fn a_held_body_is_framed_by_its_length() {
    let fields = [("transfer-encoding", "chunked"), ("expect", "100-continue")];
    let framed = [("content-length", "7"), ("transfer-encoding", "-"), ("expect", "-")];
    check(&fields, |facts| facts.body = OutgoingBody::Whole(7), &framed);
    check(
        &fields,
        |facts| facts.body = OutgoingBody::Begun,
        &[("expect", "-"), ("transfer-encoding", "chunked")],
    );
    check(
        &[("content-length", "9")],
        |facts| facts.body = OutgoingBody::Whole(0),
        &[("content-length", "0")],
    );
}

#[test]
fn a_response_that_is_read_comes_plain_and_whole() {
    let fields = [("accept-encoding", "gzip"), ("range", "bytes=0-1")];
    let plain = [("accept-encoding", "identity"), ("range", "-")];
    check(&fields, |facts| facts.response_body = ResponseBody::Read, &plain);
}

#[test]
fn transforms_change_target_and_headers_but_not_the_connection() {
    let headers = [
        (HeaderName::from_static("new"), HeaderValue::from_static("1")),
        (header::UPGRADE, HeaderValue::from_static("x")),
    ];
    let outgoing = Outgoing {
        headers: Some(headers.into_iter().collect()),
        path: Some("/d".into()),
        query: Some(None),
        body: None,
    };
    let expected = [("new", "1"), ("old", "-"), ("upgrade", "websocket")];
    check_outgoing(&[("old", "1"), ("upgrade", "websocket")], outgoing, |_| {}, ("/d", &expected));
}

#[test]
fn what_concerned_the_upstreams_connection_stays_there() {
    let mut head = pingora::http::ResponseHeader::build(200, None).unwrap();
    for (name, value) in
        [("connection", "x-hop"), ("x-hop", "1"), ("keep-alive", "5"), ("kept", "1")]
    {
        head.append_header(name, value).unwrap();
    }
    strip_response(&mut head);
    let left: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["kept"]);
}
