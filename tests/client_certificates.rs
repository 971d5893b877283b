//! Clients are known by the certificates of their connections.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_tests::{
    Authority, Client, Gateway, H2Client, Issued, Named, Response, Site, Tls, Upstream, eventually,
    trusting, trusting_only,
};
use rustls::ClientConfig;

const CONFIG: &str = r#"
    [listeners.required]
    address = "127.0.0.1:0"
    tls = { certificate = "cert.pem", key = "key.pem", client_ca = "ca.pem" }
    [listeners.requested]
    address = "127.0.0.1:0"
    tls = { certificate = "cert.pem", key = "key.pem", client_ca = "ca.pem", client_certificate = "request" }
    [listeners.revoking]
    address = "127.0.0.1:0"
    tls = { certificate = "cert.pem", key = "key.pem", client_ca = "ca.pem", client_crl = "crl.pem" }

    [authorizers.workloads]
    plugin = "client-certificate"
    cache = "1h"
    settings.allow = [{ uri = ["spiffe://example.org/shop/*"] }, { organizational_unit = ["Orders"] }]
    BUDGET
    [authorizers.keys]
    plugin = "api-token"
    settings = { header = "x-api-key", tokens.alice = { secret = "alice" } }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET
    [authorizers.either]
    any = ["workloads", "keys"]
    [authorizers.tokens]
    plugin = "jwt"
    settings = { issuer = "https://login.example.com/", audience = ["orders"], secret = "shared" }
    grants.secrets.shared = { file = "shared.key" }
    BUDGET

    [apis.shop]
    upstream = "orders"
    identity_headers = { x-user = "identity:principal", x-subject = "identity:subject", x-serial = "tls:client-certificate.serial", x-names = "tls:client-certificate.uri", client-cert = "tls:client-certificate.der", x-until = "tls:client-certificate.not-after" }
    routes."GET /workloads" = { authorizer = "workloads" }
    routes."GET /either" = { authorizer = "either" }
    routes."GET /tokens" = { authorizer = "tokens" }
"#;

fn start(authority: &Authority, upstream: &Upstream) -> Gateway {
    let site = Site::new();
    let own = authority.issue("localhost");
    site.write("ca.pem", authority.pem()).write("crl.pem", authority.revoke(&[]));
    site.write("cert.pem", own.certificate).write("key.pem", own.key);
    site.write("alice.key", "sesame").write("shared.key", SHARED);
    let config = CONFIG.replace("BUDGET", crate::ROOMY);
    site.start(&format!("upstreams.orders.endpoints = [\"{}\"]\n{config}", upstream.address()))
}

fn workload(name: &str) -> Named<'_> {
    Named { uri: Some(name), ..Named::default() }
}

/// Asks once, on a connection of its own.
fn ask(
    gateway: &Gateway,
    (listener, target): (&str, &str),
    config: &Arc<ClientConfig>,
    headers: &[(&str, &str)],
) -> std::io::Result<Response> {
    let mut client = Client::tls(gateway.address(listener), config, "localhost");
    let mut head = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    client.send((head + "\r\n").as_bytes())?;
    client.response("GET")
}

fn users(upstream: &Upstream) -> Vec<String> {
    let seen = upstream.seen();
    seen.iter().map(|seen| seen.headers.get("x-user").unwrap_or("nobody").to_owned()).collect()
}

#[test]
fn a_client_is_known_by_its_certificate_over_both_protocols_and_versions_of_tls() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let web = authority.issue_to(&workload("spiffe://example.org/shop/web"));
    let forged = [("x-user", "root"), ("X_User", "root"), ("client-cert", "forged")];

    for version in [Tls::V1_2, Tls::V1_3] {
        let config = trusting_only(version, &authority.pem(), Some(&web), &[]);
        let mut client = Client::tls(gateway.address("required"), &config, "localhost");
        for _ in 0..2 {
            assert_eq!(client.request("GET", "/workloads", &forged, b"").status, 200);
        }
        let config = trusting_only(version, &authority.pem(), Some(&web), &["h2"]);
        let client = H2Client::tls(gateway.address("requested"), &config, "localhost");
        for _ in 0..2 {
            assert_eq!(client.request("GET", "/workloads", &forged, b"").status, 200);
        }
    }

    let seen = upstream.seen();
    assert_eq!(seen.len(), 8);
    for seen in seen {
        let header = |name: &str| seen.headers.get(name).unwrap_or_default().to_owned();
        assert_eq!(header("x-user"), "spiffe://example.org/shop/web");
        assert_eq!(header("x-names"), "spiffe://example.org/shop/web");
        assert_eq!(header("x-subject"), "CN=client,O=Example");
        assert!(header("x-until").parse::<u64>().is_ok(), "{seen:?}");
        assert!(!header("x-serial").is_empty(), "{seen:?}");
        let der = header("client-cert");
        let der = der.strip_prefix(':').and_then(|der| der.strip_suffix(':')).unwrap();
        assert_eq!(STANDARD.decode(der).unwrap(), web.der(), "as RFC 9440 writes it");
    }
}

#[test]
fn only_those_who_are_allowed_get_in() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let shown = |named: &Named<'_>| {
        let own = authority.issue_to(named);
        let config = trusting(&authority.pem(), Some(&own), &[]);
        ask(&gateway, ("required", "/workloads"), &config, &[]).unwrap()
    };

    let unit = Named { unit: Some("Orders"), ..Named::default() };
    assert_eq!(shown(&unit).status, 200);
    for other in [
        "spiffe://example.org/shopping/web",
        "spiffe://example.com/shop/web",
        "spiffe://example.org/shop/../web",
    ] {
        let refused = shown(&workload(other));
        assert_eq!(refused.verdict(), (403, "forbidden".into()), "{other}");
    }
    let unit = Named { unit: Some("orders"), ..Named::default() };
    assert_eq!(shown(&unit).status, 403);
    assert_eq!(users(&upstream), ["client"]);
    eventually("the reason is logged", || {
        let log = gateway.access_log();
        log.iter().any(|line| line["reason"] == "certificate-not-allowed").then_some(())
    });
}

#[test]
fn without_a_certificate_the_next_authorizer_is_asked() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let bare = trusting(&authority.pem(), None, &[]);
    let web = authority.issue_to(&workload("spiffe://example.org/shop/web"));
    let other = authority.issue_to(&workload("spiffe://example.org/other"));
    let (web, other) = (
        trusting(&authority.pem(), Some(&web), &[]),
        trusting(&authority.pem(), Some(&other), &[]),
    );
    let key = [("x-api-key", "sesame")];
    let ask = |target, config, headers: &[_]| {
        ask(&gateway, ("requested", target), config, headers).unwrap().status
    };

    assert_eq!(ask("/workloads", &bare, &[]), 401);
    assert_eq!(ask("/either", &bare, &[]), 401);
    assert_eq!(ask("/either", &bare, &key), 200);
    assert_eq!(ask("/either", &web, &[]), 200);
    assert_eq!(
        ask("/either", &other, &key),
        403,
        "a certificate that is refused is not overlooked"
    );
    assert_eq!(users(&upstream), ["alice", "spiffe://example.org/shop/web"]);
}

#[test]
fn each_connection_has_its_own_identity_whatever_is_cached_or_resumed() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let names = ["spiffe://example.org/shop/a", "spiffe://example.org/shop/b"];
    let configs: Vec<_> = [Tls::V1_2, Tls::V1_3]
        .into_iter()
        .flat_map(|version| {
            let own = names.map(|name| authority.issue_to(&workload(name)));
            own.map(|own| trusting_only(version, &authority.pem(), Some(&own), &[]))
        })
        .collect();

    for _ in 0..3 {
        for config in &configs {
            let reply = ask(&gateway, ("required", "/workloads"), config, &[]).unwrap();
            assert_eq!(reply.status, 200);
        }
    }

    let expected: Vec<_> = (0..12).map(|number| names[number % 2].to_owned()).collect();
    assert_eq!(users(&upstream), expected);
    for version in [Tls::V1_2, Tls::V1_3] {
        let own = authority.issue_to(&workload(names[0]));
        let config = trusting_only(version, &authority.pem(), Some(&own), &[]);
        let address = gateway.address("required");
        assert!(!portcullis_tests::resumes(address, &config), "{version:?}: the first is new");
        assert!(portcullis_tests::resumes(address, &config), "{version:?}: the second is resumed");
        let reply = ask(&gateway, ("required", "/workloads"), &config, &[]).unwrap();
        assert_eq!(reply.status, 200, "{version:?}");
    }
    let kept = users(&upstream).split_off(12);
    assert_eq!(kept, [names[0], names[0]]);
}

#[test]
fn certificates_that_do_not_hold_get_no_session() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = Upstream::start();
    let gateway = start(&authority, &upstream);
    let good = workload("spiffe://example.org/shop/web");
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    let odd = "spiffe://example.org/shop/web\0.example.com";
    let cases = [
        ("expired", authority.issue_to(&Named { until: Some(now - day), ..good })),
        ("not yet valid", authority.issue_to(&Named { from: Some(now + day), ..good })),
        ("of another authority", stranger.issue_to(&good)),
        ("with a NUL in its name", authority.issue_to(&workload(odd))),
        ("with a flood of names", authority.issue_to(&Named { hosts: 300, ..good })),
    ];

    for (what, own) in cases {
        let config = trusting(&authority.pem(), Some(&own), &[]);
        for listener in ["required", "requested"] {
            let answer = ask(&gateway, (listener, "/workloads"), &config, &[]);
            assert!(answer.is_err(), "{what}: {answer:?}");
        }
    }
    upstream.assert_saw_nothing();
    let config = trusting(&authority.pem(), Some(&authority.issue_to(&good)), &[]);
    assert_eq!(ask(&gateway, ("required", "/workloads"), &config, &[]).unwrap().status, 200);
}

#[test]
fn a_certificate_that_is_taken_back_opens_nothing() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let [kept, taken] = ["a", "b"].map(|name| {
        let name = format!("spiffe://example.org/shop/{name}");
        authority.issue_to(&workload(&name))
    });
    let configs = [&kept, &taken].map(|own| trusting(&authority.pem(), Some(own), &[]));
    let ask = |config| ask(&gateway, ("revoking", "/workloads"), config, &[]);
    for config in &configs {
        assert_eq!(ask(config).unwrap().status, 200);
    }

    gateway.site().write("crl.pem", authority.revoke(&[&taken]));

    eventually("the list is in effect", || ask(&configs[1]).is_err().then_some(()));
    assert_eq!(ask(&configs[0]).unwrap().status, 200);
}

#[test]
fn another_truststore_holds_for_new_connections() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let own = authority.issue_to(&workload("spiffe://example.org/shop/web"));
    let config = trusting(&authority.pem(), Some(&own), &[]);
    let mut before = Client::tls(gateway.address("required"), &config, "localhost");
    assert_eq!(before.request("GET", "/workloads", &[], b"").status, 200);

    gateway.site().write("ca.pem", Authority::new().pem());

    eventually("the new truststore", || {
        ask(&gateway, ("required", "/workloads"), &config, &[]).is_err().then_some(())
    });
    assert_eq!(before.request("GET", "/workloads", &[], b"").status, 200);
}

const SHARED: &str = "a secret of at least thirty-two bytes";

/// An access token that is bound to a certificate (RFC 8705), or to none.
fn token(own: Option<&Issued>) -> String {
    let until = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 600;
    let bound = own.map(|own| {
        let digest = ring::digest::digest(&ring::digest::SHA256, &own.der());
        format!(r#","cnf":{{"x5t#S256":"{}"}}"#, URL_SAFE_NO_PAD.encode(digest))
    });
    let claims = format!(
        r#"{{"iss":"https://login.example.com/","aud":"orders","sub":"bob","exp":{until}{}}}"#,
        bound.unwrap_or_default()
    );
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SHARED.as_bytes());
    let signature = ring::hmac::sign(&key, message.as_bytes());
    format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_token_that_is_bound_to_a_certificate_is_worth_nothing_to_others() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let gateway = start(&authority, &upstream);
    let [own, other] = ["a", "b"].map(|name| authority.issue(name));
    let ask = |token: String, own: Option<&Issued>| {
        let config = trusting(&authority.pem(), own, &[]);
        let headers = [("authorization", token.as_str())];
        ask(&gateway, ("requested", "/tokens"), &config, &headers).unwrap().status
    };

    assert_eq!(ask(token(Some(&own)), Some(&own)), 200);
    assert_eq!(ask(token(Some(&own)), Some(&other)), 401);
    assert_eq!(ask(token(Some(&own)), None), 401);
    assert_eq!(ask(token(None), None), 200);
    assert_eq!(users(&upstream), ["bob", "bob"]);
}
