//! TLS towards clients and towards upstreams.

use portcullis_tests::{Authority, Client, Gateway, H2Client, Issued, Site, Upstream, trusting};

const LISTENERS: &str = r#"
    authorizer = "none"
    [listeners.secure]
    address = "127.0.0.1:0"
    tls = { certificate = "cert.pem", key = "key.pem", more = [{ certificate = "other.pem", key = "other.key" }] }
    [listeners.mutual]
    address = "127.0.0.1:0"
    tls = { certificate = "cert.pem", key = "key.pem", client_ca = "ca.pem" }
    [listeners.either]
    address = "127.0.0.1:0"
    tls = { certificate = "cert.pem", key = "key.pem", client_ca = "ca.pem", client_certificate = "request" }
    [listeners.plain]
    address = "127.0.0.1:0"
    redirect_to_https = 8443
    [upstreams.orders]
    endpoints = ["ADDRESS"]
    [transforms.facts]
    plugin = "headers"
    settings.request.set = { x-tls = "${tls:version}", x-client = "${tls:client-certificate.sha256}" }
    BUDGET
    [apis.shop.routes."ANY /{rest+}"]
    upstream = "orders"
    request_transforms = ["facts"]
"#;

fn start(authority: &Authority, upstream: &Upstream) -> Gateway {
    let site = Site::new();
    let (own, other) = (authority.issue("localhost"), authority.issue("other.example.com"));
    site.write("ca.pem", authority.pem());
    site.write("cert.pem", own.certificate).write("key.pem", own.key);
    site.write("other.pem", other.certificate).write("other.key", other.key);
    let config = LISTENERS.replace("ADDRESS", &upstream.address().to_string());
    site.start(&config.replace("BUDGET", crate::ROOMY))
}

#[test]
fn a_client_that_offers_nothing_gets_http1() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let config = trusting(&authority.pem(), None, &[]);

    let mut client = Client::tls(gateway.address("secure"), &config, "localhost");
    let response = client.request("GET", "/a", &[("x-client", "forged")], b"");

    assert_eq!(response.text(), "ok");
    let seen = upstream.only();
    assert_eq!(seen.headers.get("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.headers.get("x-client"), None);
    assert!(seen.headers.get("x-tls").is_some_and(|version| version.contains("1.3")), "{seen:?}");
}

#[test]
fn a_client_that_offers_http2_gets_it() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let config = trusting(&authority.pem(), None, &["h2", "http/1.1"]);

    let client = H2Client::tls(gateway.address("secure"), &config, "localhost");

    for _ in 0..3 {
        let response = client.request("POST", "/a?b=c", &[("x-kept", "1")], b"body");
        assert_eq!((response.status, response.body.as_slice()), (200, &b"ok"[..]));
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].target, "/a?b=c");
    assert_eq!(seen[0].headers.get("host"), Some("localhost"));
    assert_eq!(seen[0].headers.get("x-kept"), Some("1"));
    assert_eq!(seen[0].body, b"body");
}

#[test]
fn the_certificate_is_chosen_by_the_name_asked_for() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let config = trusting(&authority.pem(), None, &[]);

    // The client refuses a certificate that does not hold the name.
    for name in ["localhost", "other.example.com"] {
        let mut client = Client::tls(gateway.address("secure"), &config, name);
        assert_eq!(client.request("GET", "/a", &[], b"").status, 200, "{name}");
    }
}

#[test]
fn a_listener_that_wants_to_know_its_clients_serves_no_others() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = Upstream::start();
    let gateway = start(&authority, &upstream);
    let ask = |own: Option<Issued>| {
        let config = trusting(&authority.pem(), own.as_ref(), &[]);
        let mut client = Client::tls(gateway.address("mutual"), &config, "localhost");
        let sent = client.send(b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n");
        sent.and_then(|()| client.response("GET"))
    };

    assert!(ask(None).is_err());
    assert!(ask(Some(stranger.issue("mallory"))).is_err());
    upstream.assert_saw_nothing();
    assert_eq!(ask(Some(authority.issue("alice"))).unwrap().status, 200);
    let digest = upstream.only().headers.get("x-client").map(str::len);
    assert_eq!(digest, Some(64), "the certificate's digest is a fact for plugins");
    gateway.wait_for_metric("two failed handshakes", |metrics| {
        metrics.sum("portcullis_connection_faults_total", &[]) >= 2.0
    });
}

#[test]
fn a_listener_that_only_asks_for_certificates_serves_clients_without() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = Upstream::start();
    let gateway = start(&authority, &upstream);
    let ask = |own: Option<Issued>| {
        let config = trusting(&authority.pem(), own.as_ref(), &[]);
        let mut client = Client::tls(gateway.address("either"), &config, "localhost");
        let sent = client.send(b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n");
        sent.and_then(|()| client.response("GET"))
    };

    assert_eq!(ask(None).unwrap().status, 200);
    assert_eq!(ask(Some(authority.issue("alice"))).unwrap().status, 200);
    assert!(ask(Some(stranger.issue("mallory"))).is_err(), "one that is shown must hold");
    let seen = upstream.seen();
    let shown: Vec<_> =
        seen.iter().map(|seen| seen.headers.get("x-client").map(str::len)).collect();
    assert_eq!(shown, [None, Some(64)]);
}

#[test]
fn a_plain_listener_sends_its_clients_to_https() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let mut client = Client::connect(gateway.address("plain"));

    let response = client.request("GET", "/a?b=c", &[("host", "shop.example.com:80")], b"");

    assert_eq!(response.status, 308);
    assert_eq!(response.header("location"), Some("https://shop.example.com:8443/a?b=c"));
    upstream.assert_saw_nothing();
}

#[test]
fn a_certificate_is_replaced_while_it_serves() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let successor = Authority::new();
    let renewed = successor.issue("localhost");
    let config = trusting(&successor.pem(), None, &[]);

    gateway.site().write("key.pem", renewed.key).write("cert.pem", renewed.certificate);

    portcullis_tests::eventually("the new certificate", || {
        let mut client = Client::tls(gateway.address("secure"), &config, "localhost");
        let sent = client.send(b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n");
        sent.and_then(|()| client.response("GET")).ok()
    });
}

fn to_upstream(authority: &Authority, upstream: &Upstream, tls: &str) -> Gateway {
    let site = Site::new();
    let own = authority.issue("gateway");
    site.write("ca.pem", authority.pem());
    site.write("cert.pem", own.certificate).write("key.pem", own.key);
    site.start(&format!(
        r#"
        authorizer = "none"
        [upstreams.orders]
        endpoints = ["{}"]
        retries = 0
        tls = {{ {tls} }}
        [apis.shop.routes."GET /a"]
        upstream = "orders"
        "#,
        upstream.address()
    ))
}

#[test]
fn an_upstream_is_known_by_its_certificate_and_knows_the_gateway_by_its_own() {
    let authority = Authority::new();
    let upstream = Upstream::tls(authority.server(&authority.issue("orders.internal")));
    let own = "certificate = \"cert.pem\", key = \"key.pem\"";
    let ask = |tls: &str| to_upstream(&authority, &upstream, tls).get("/a", &[]).verdict();

    let known = ask(&format!("ca = \"ca.pem\", name = \"orders.internal\", {own}"));
    let misnamed = ask(&format!("ca = \"ca.pem\", name = \"other.internal\", {own}"));
    let distrusted = ask(&format!("name = \"orders.internal\", {own}"));
    let anonymous = ask("ca = \"ca.pem\", name = \"orders.internal\"");

    assert_eq!(known.0, 200);
    assert_eq!(misnamed, (502, "upstream-tls".into()));
    assert_eq!(distrusted, (502, "upstream-tls".into()));
    assert_eq!(anonymous.0, 502, "{anonymous:?}");
    assert_eq!(upstream.seen().len(), 1);
}
