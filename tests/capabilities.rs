//! What a plugin may reach beyond itself: the services it is granted and no other, and
//! what it remembers, within bounds.

mod keyvalue;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_tests::{Authority, Gateway, Issued, Site, Upstream, eventually};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A route behind a plugin that asks the service, and one behind none.
const ASKING: &str = r#"
    [authorizers.asker]
    plugin = "calls-out"
    settings = { authority = "AUTHORITY", SETTINGS }
    grants.http = { origins = ["ORIGIN"], timeout = "TIMEOUT", GRANT }
    BUDGET

    [apis.shop]
    upstream = "orders"
    request_transforms = ["said"]
    routes."GET /orders" = { authorizer = "asker" }
    routes."GET /open" = { authorizer = "none", request_transforms = [] }

    [transforms.said]
    plugin = "headers"
    settings.request.set = { x-said = "${identity:said}" }
    ROOMY
"#;

/// What differs from test to test.
struct Asking<'a> {
    authority: String,
    origin: String,
    settings: &'a str,
    grant: &'a str,
    timeout: &'a str,
    budget: &'a str,
}

impl Asking<'_> {
    /// Of this service, under its address.
    fn of(service: &Upstream) -> Self {
        let authority = service.address().to_string();
        let origin = format!("http://{authority}");
        Self { authority, origin, settings: "", grant: "", timeout: "60s", budget: crate::ROOMY }
    }

    /// Of this service, under a name that is this machine's.
    fn by_name(service: &Upstream) -> Self {
        let authority = format!("localhost:{}", service.address().port());
        let origin = format!("http://{authority}");
        Self { authority, origin, ..Self::of(service) }
    }

    fn start(&self, orders: &Upstream) -> Gateway {
        self.start_in(Site::new(), orders)
    }

    fn start_in(&self, site: Site, orders: &Upstream) -> Gateway {
        let config = ASKING
            .replace("AUTHORITY", &self.authority)
            .replace("ORIGIN", &self.origin)
            .replace(", SETTINGS", &listed(self.settings))
            .replace(", GRANT", &listed(self.grant))
            .replace("TIMEOUT", self.timeout)
            .replace("BUDGET", self.budget)
            .replace("ROOMY", crate::ROOMY);
        site.start(&format!("[upstreams.orders]\nendpoints = [\"{}\"]\n{config}", orders.address()))
    }
}

fn listed(more: &str) -> String {
    if more.is_empty() { String::new() } else { format!(", {more}") }
}

/// A service that knows one token.
fn service() -> Upstream {
    Upstream::answering(|seen, reply| match seen.headers.get("authorization") {
        Some("sesame") => reply.send(200, &[], b"alice"),
        _ => reply.send(403, &[], b"nobody"),
    })
}

fn ask(gateway: &Gateway, token: &str) -> u16 {
    gateway.get("/orders", &[("x-token", token)]).status
}

fn requests(gateway: &Gateway, outcome: &str) -> f64 {
    let labels = [("use", "asker"), ("outcome", outcome)];
    gateway.metric("portcullis_plugin_http_requests_total", &labels)
}

fn reason(gateway: &Gateway) -> String {
    gateway.log_line("/orders")["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_granted_service_is_asked() {
    let (orders, service) = (Upstream::start(), service());
    let gateway = Asking::of(&service).start(&orders);

    let (good, bad) = (ask(&gateway, "sesame"), ask(&gateway, "guess"));

    assert_eq!((good, bad), (200, 401));
    assert_eq!(orders.only().headers.get("x-said"), Some("alice"));
    let seen = service.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("GET", "/token"));
    assert_eq!(seen[0].headers.get("host"), Some(service.address().to_string().as_str()));
    assert_eq!((requests(&gateway, "sent"), requests(&gateway, "refused")), (2.0, 0.0));
}

#[test]
fn connections_to_a_service_are_used_again() {
    let (orders, service) = (Upstream::start(), service());
    let gateway = Asking::of(&service).start(&orders);

    for _ in 0..5 {
        assert_eq!(ask(&gateway, "sesame"), 200);
    }

    assert_eq!((service.seen().len(), service.connections()), (5, 1));
}

#[test]
fn no_other_service_is_asked() {
    let (orders, service, other) = (Upstream::start(), service(), service());
    let authority = other.address().to_string();
    let gateway = Asking { authority, ..Asking::of(&service) }.start(&orders);

    assert_eq!(ask(&gateway, "sesame"), 403);

    assert_eq!(reason(&gateway), "request-denied");
    assert_eq!((requests(&gateway, "sent"), requests(&gateway, "refused")), (0.0, 1.0));
    gateway.wait_for_output("is no origin that is granted");
    other.assert_saw_nothing();
    orders.assert_saw_nothing();
}

#[test]
fn a_name_of_a_private_address_is_refused_unless_that_is_granted() {
    let (orders, service) = (Upstream::start(), service());
    let asking = Asking::by_name(&service);
    let gateway = asking.start(&orders);
    let trusting = Asking { grant: "private_addresses = true", ..asking }.start(&orders);

    assert_eq!(ask(&gateway, "sesame"), 403);

    assert_eq!(reason(&gateway), "address-prohibited");
    assert_eq!(requests(&gateway, "refused"), 1.0);
    service.assert_saw_nothing();
    assert_eq!(ask(&trusting, "sesame"), 200);
}

/// A server that asks clients for no certificate.
pub(super) fn server(own: &Issued) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(own.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes());
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth();
    let certificates = vec![certificate.expect("a certificate")];
    Arc::new(builder.with_single_cert(certificates, key.expect("a key")).expect("a pair"))
}

#[test]
fn a_service_over_tls_is_known_by_its_certificate() {
    let orders = Upstream::start();
    let authority = Authority::new();
    let service = Upstream::tls(server(&authority.issue("localhost")));
    let start = |trusted: &Authority| {
        let by_name = Asking::by_name(&service);
        let origin = by_name.origin.replace("http:", "https:");
        let site = Site::new();
        site.write("authority.pem", trusted.pem());
        let grant = "private_addresses = true, ca = \"authority.pem\"";
        Asking { origin, settings: "tls = true", grant, ..by_name }.start_in(site, &orders)
    };

    let (trusting, doubting) = (start(&authority), start(&Authority::new()));

    assert_eq!(ask(&trusting, "sesame"), 200);
    assert_eq!(ask(&doubting, "sesame"), 403);
    assert_eq!(reason(&doubting), "certificate-refused");
}

#[test]
fn a_slow_service_is_the_fault_of_its_own_call() {
    let orders = Upstream::start();
    let closed = Arc::new(AtomicBool::new(false));
    let slow = Upstream::answering({
        let closed = closed.clone();
        move |_, reply| {
            // Until the gateway closes the connection.
            while reply.piece().is_ok_and(|piece| !piece.is_empty()) {}
            closed.store(true, Ordering::SeqCst);
            reply.close();
            Ok(())
        }
    });
    let budget = r#"budget = { wall_time = "15s", cpu_time = "20s" }"#;
    let gateway = Asking { budget, ..Asking::of(&slow) }.start(&orders);

    let (asked, open) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&gateway, "sesame"));
        slow.wait_for("the request of the plugin", |_| true);
        let open = gateway.get("/open", &[]).status;
        assert!(!asked.is_finished(), "the other route waited for the service");
        (asked.join().expect("a client does not panic"), open)
    });

    assert_eq!((asked, open), (503, 200));
    assert_eq!(gateway.faults("asker", "wall-time"), 1.0);
    eventually("an end of the connection to the service", || {
        closed.load(Ordering::SeqCst).then_some(())
    });
}

#[test]
fn a_grants_time_ends_a_request_before_the_budget_does() {
    let orders = Upstream::start();
    let slow = Upstream::answering(|_, reply| {
        reply.begin(200, &[("content-length", "10")])?;
        while !reply.piece()?.is_empty() {}
        reply.close();
        Ok(())
    });
    let gateway = Asking { timeout: "4s", ..Asking::of(&slow) }.start(&orders);

    assert_eq!(ask(&gateway, "sesame"), 403);

    assert_eq!(reason(&gateway), "answer-too-late");
}

#[test]
fn an_answer_is_read_only_within_its_limit() {
    let orders = Upstream::start();
    let announced = Upstream::answering(|_, reply| reply.send(200, &[], &[b'x'; 2000]));
    let chunked = Upstream::answering(|_, reply| {
        reply.begin(200, &[("transfer-encoding", "chunked")])?;
        (0..20).try_for_each(|_| reply.chunk(&[b'x'; 100]))?;
        reply.chunk(b"")
    });

    for service in [announced, chunked] {
        let grant = r#"response = "1KiB""#;
        let gateway = Asking { grant, ..Asking::of(&service) }.start(&orders);

        assert_eq!(ask(&gateway, "sesame"), 403);
        assert_eq!(reason(&gateway), "answer-too-long");
    }
    orders.assert_saw_nothing();
}

#[test]
fn a_call_sends_only_so_many_requests() {
    let (orders, service) = (Upstream::start(), service());
    let gateway = Asking { settings: "times = 5", ..Asking::of(&service) }.start(&orders);

    assert_eq!(ask(&gateway, "sesame"), 403);
    assert_eq!(ask(&gateway, "sesame"), 403);

    assert_eq!((requests(&gateway, "sent"), requests(&gateway, "refused")), (8.0, 2.0));
}

#[test]
fn a_redirect_is_an_answer_like_another() {
    let (orders, elsewhere) = (Upstream::start(), Upstream::start());
    let location = format!("http://{}/token", elsewhere.address());
    let service =
        Upstream::answering(move |_, reply| reply.send(302, &[("location", &location)], b""));
    let gateway = Asking::of(&service).start(&orders);

    assert_eq!(ask(&gateway, "sesame"), 401);

    assert_eq!(reason(&gateway), "status-302");
    elsewhere.assert_saw_nothing();
}

#[test]
fn the_headers_of_the_connection_are_not_a_plugins_to_set() {
    let (orders, service) = (Upstream::start(), service());

    for header in ["host", "connection", "transfer-encoding", "te", "upgrade"] {
        let settings = format!("header = \"{header}\"");
        let gateway = Asking { settings: &settings, ..Asking::of(&service) }.start(&orders);

        assert_eq!(ask(&gateway, "sesame"), 403, "{header}");
        assert_eq!(reason(&gateway), "header-refused", "{header}");
    }
    service.assert_saw_nothing();
}

/// Without its grants: what `check` says of a plugin that wants more than it was given.
const UNGRANTED: &str = r#"plugins = "plugins"
[listeners.public]
address = "127.0.0.1:0"
[authorizers.asker]
plugin = "calls-out"
settings = { authority = "127.0.0.1:1" }
[authorizers.counter]
plugin = "counts"
[apis.shop.routes]
"GET /a" = { authorizer = "asker", respond = { status = 200 } }
"GET /b" = { authorizer = "counter", respond = { status = 200 } }
"#;

#[test]
fn an_import_that_is_not_granted_is_refused_at_its_place() {
    let site = Site::new();

    let checked = site.check(UNGRANTED);
    let granted = UNGRANTED
        .replace(
            "plugin = \"calls-out\"",
            "plugin = \"calls-out\"\ngrants.http = { origins = [\"https://a\"] }",
        )
        .replace(
            "plugin = \"counts\"",
            "plugin = \"counts\"\ngrants.keyvalue = { size = \"16MiB\" }",
        );

    assert_eq!(checked.code, Some(1), "{}", checked.text());
    for expected in [
        "plugin `calls-out`: it imports `wasi:http`, and nothing of the kind is granted",
        "portcullis.toml:5:10",
        r#"grant it: grants.http = { origins = ["https://…"] }"#,
        "plugin `counts`: it imports `wasi:keyvalue`, and nothing of the kind is granted",
        "portcullis.toml:8:10",
        r#"grant it: grants.keyvalue = { size = "16MiB" }"#,
    ] {
        assert!(checked.text().contains(expected), "`{expected}` is not in\n{}", checked.text());
    }
    assert_eq!(site.check(&granted).code, Some(0));
}

#[test]
fn an_inspection_tells_which_grants_a_plugin_would_need() {
    let site = Site::new();
    site.install("counts", portcullis_test_guests::component("counts"));

    let inspected = site.run(&["plugin", "inspect", "plugins/counts.wasm"]).text();

    assert!(inspected.contains("imports    wasi:keyvalue"), "{inspected}");
    assert!(inspected.contains("would need grants.keyvalue = {"), "{inspected}");
}
