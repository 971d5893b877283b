//! The keys of issuers are had without a request waiting for them, are fresh, and are
//! fetched from nowhere else than the operator meant.

mod issuer;
mod tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis_tests::{Authority, Gateway, Site, Upstream, eventually};

use issuer::{Issuer, Signer};

/// A route behind a plugin that verifies signatures.
const VERIFYING: &str = r#"
    [upstreams.orders]
    endpoints = ["ORDERS"]

    [authorizers.signed]
    plugin = "verifies"
    settings = { issuer = "ISSUER", SETTINGS }
    CACHE
    budget = { cpu_time = "20s", wall_time = "60s", breaker_after = 0 }

    [authorizers.signed.grants.issuers."ISSUER"]
    GRANT

    [apis.shop]
    upstream = "orders"
    request_transforms = ["said"]
    routes."GET /orders" = { authorizer = "signed" }

    [transforms.said]
    plugin = "headers"
    settings.request.set = { x-metadata = "${identity:metadata}" }
    budget = { cpu_time = "20s", wall_time = "60s", breaker_after = 0 }
"#;

/// Generous to issuers, for tests that are not about slow ones.
const PATIENT: &str = "timeout = \"20s\"";

/// What differs from test to test.
struct Verifying<'a> {
    name: String,
    settings: &'a str,
    grant: String,
    cache: &'a str,
}

impl Verifying<'_> {
    /// With the keys that the issuer's discovery document leads to.
    fn discovering(issuer: &Issuer) -> Self {
        let grant = format!("discovery = true\n{PATIENT}");
        Self { name: issuer.url(), settings: "cacheable = false", grant, cache: "" }
    }

    fn with(mut self, grant: &str) -> Self {
        self.grant.push('\n');
        self.grant.push_str(grant);
        self
    }

    fn granting(mut self, grant: &str) -> Self {
        self.grant = format!("{grant}\n{PATIENT}");
        self
    }

    fn config(&self, orders: &Upstream) -> String {
        VERIFYING
            .replace("ORDERS", &orders.address().to_string())
            .replace("ISSUER", &self.name)
            .replace("SETTINGS", self.settings)
            .replace("GRANT", &self.grant)
            .replace("CACHE", self.cache)
    }

    fn start(&self, orders: &Upstream) -> Gateway {
        Site::new().start(&self.config(orders))
    }
}

/// What became of a request that this signer signed.
fn ask(gateway: &Gateway, signer: &Signer) -> u16 {
    let headers = signer.headers("hello");
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    gateway.get("/orders", &headers).status
}

/// Waits for a refusal with this reason in the access log.
fn wait_for_reason(gateway: &Gateway, reason: &str) {
    eventually(&format!("a refusal because of {reason}"), || {
        gateway.access_log().iter().any(|line| line["reason"] == reason).then_some(())
    });
}

fn wait_for_refreshes(gateway: &Gateway, outcome: &str, least: f64) {
    gateway.wait_for_metric(&format!("{least} refreshes that {outcome}"), |metrics| {
        metrics.sum("portcullis_issuer_refreshes_total", &[("outcome", outcome)]) >= least
    });
}

#[test]
fn keys_are_found_by_discovery_before_the_first_request() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    let gateway = Verifying::discovering(&issuer).start(&orders);

    let (good, other) = (ask(&gateway, &signer), ask(&gateway, &Signer::new("one")));

    assert_eq!((good, other), (200, 401));
    let said = orders.only().headers.get("x-metadata").map(str::to_owned);
    assert!(said.is_some_and(|said| said.contains("jwks_uri")));
    assert_eq!((issuer.asked("/keys"), issuer.asked("/.well-known/openid-configuration")), (1, 1));
    let labels = [("issuer", issuer.url())];
    let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(gateway.metric("portcullis_issuer_keys", &labels), 1.0);
}

#[test]
fn keys_come_from_a_url_or_from_where_the_plan_says() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    let written = format!("jwks_url = \"{}/keys\"", issuer.url());
    let partner = Verifying { name: "partner".into(), ..Verifying::discovering(&issuer) };
    let planned = format!("keys.key_set = \"{}/keys\"", issuer.url());
    let inline = format!("keys.inline = '{}'", issuer::key_set(&[&signer]));

    for verifying in [
        Verifying::discovering(&issuer).granting(&written),
        partner.granting(&written),
        Verifying { settings: &planned, ..Verifying::discovering(&issuer) }
            .granting("private_addresses = true"),
        Verifying { settings: "keys = 'discovery'", ..Verifying::discovering(&issuer) }
            .granting(""),
        Verifying { settings: &inline, ..Verifying::discovering(&issuer) }.granting(""),
    ] {
        let gateway = verifying.start(&orders);
        assert_eq!(ask(&gateway, &signer), 200, "{}", verifying.grant);
    }
}

#[test]
fn a_new_key_is_used_at_once_and_an_old_one_no_more() {
    let (orders, old, new) = (Upstream::start(), Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(&[&old]);
    let gateway = Verifying::discovering(&issuer).start(&orders);
    assert_eq!(ask(&gateway, &old), 200);

    issuer.publish(&[&new]);

    assert_eq!(ask(&gateway, &new), 200);
    assert_eq!(ask(&gateway, &old), 401);
    wait_for_reason(&gateway, "unknown-key");
}

#[test]
fn a_cached_grant_does_not_outlive_its_key() {
    let (orders, old, new) = (Upstream::start(), Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(&[&old]);
    let verifying = Verifying {
        settings: "cacheable = true",
        cache: "cache = \"1h\"",
        ..Verifying::discovering(&issuer)
    };
    let gateway = verifying.start(&orders);
    assert_eq!((ask(&gateway, &old), ask(&gateway, &old)), (200, 200));
    assert_eq!(gateway.metric("portcullis_plugin_decisions_total", &[("decision", "cached")]), 1.0);

    issuer.publish(&[&new]);

    assert_eq!(ask(&gateway, &new), 200);
    assert_eq!(ask(&gateway, &old), 401);
}

#[test]
fn keys_rotate_under_load_without_a_refusal() {
    let orders = Upstream::start();
    let signers: Vec<Signer> = (0..6).map(|number| Signer::new(&number.to_string())).collect();
    let issuer = Issuer::start(&[&signers[0]]);
    let gateway = Verifying::discovering(&issuer).with("min_refresh = \"1ms\"").start(&orders);
    let stop = AtomicBool::new(false);

    let asked = std::thread::scope(|scope| {
        let (stop, issuer, signers, gateway) = (&stop, &issuer, &signers, &gateway);
        let load = |using: Arc<AtomicUsize>| {
            let (mut asked, mut refused) = (0, Vec::new());
            while !stop.load(Ordering::SeqCst) {
                using.store(issuer.newest(), Ordering::SeqCst);
                let signer = &signers[using.load(Ordering::SeqCst)];
                asked += 1;
                match ask(gateway, signer) {
                    200 => {}
                    other => refused.push(other),
                }
            }
            let refusals = || {
                let lines = gateway.access_log().into_iter();
                lines.filter(|line| line["status"] != 200).collect::<Vec<_>>()
            };
            assert!(refused.is_empty(), "{refused:?}: {:?}\n{}", refusals(), gateway.stderr());
            asked
        };
        let using: Vec<Arc<AtomicUsize>> = (0..4).map(|_| Arc::default()).collect();
        let loads = using.iter().map(|using| {
            let using = Arc::clone(using);
            scope.spawn(move || load(using))
        });
        let loads: Vec<_> = loads.collect();
        for newest in 1..signers.len() {
            // Nobody is still asking with a key that is withdrawn now.
            eventually("the last key's use", || {
                let is_in_use =
                    |using: &Arc<AtomicUsize>| using.load(Ordering::SeqCst) + 1 >= newest;
                using.iter().all(is_in_use).then_some(())
            });
            let known: Vec<&Signer> = signers[newest - 1..=newest].iter().collect();
            issuer.publish_newest(&known, newest);
            let before = orders.seen().len();
            eventually("more requests", || (orders.seen().len() > before + 8).then_some(()));
        }
        stop.store(true, Ordering::SeqCst);
        loads.into_iter().map(|load| load.join().expect("no refusals")).sum::<usize>()
    });

    assert!(asked > 40, "{asked}");
}

#[test]
fn made_up_key_ids_cost_the_issuer_one_request() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    let gateway = Verifying::discovering(&issuer).with("min_refresh = \"1h\"").start(&orders);
    wait_for_refreshes(&gateway, "fetched", 1.0);
    let before = issuer.asked("/keys");

    std::thread::scope(|scope| {
        for thread in 0..4 {
            let gateway = &gateway;
            scope.spawn(move || {
                for number in 0..25 {
                    assert_eq!(ask(gateway, &Signer::new(&format!("{thread}-{number}"))), 401);
                }
            });
        }
    });

    assert_eq!((before, issuer.asked("/keys")), (1, 2));
    assert_eq!(ask(&gateway, &signer), 200);
}

#[test]
fn an_issuer_in_trouble_leaves_its_keys_in_use() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    let gateway = Verifying::discovering(&issuer).with("refresh = \"50ms\"").start(&orders);

    for trouble in [
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned(),
        answer("[]"),
        answer("{\"keys\": [], \"keys\": []}"),
        answer(&" ".repeat(300 << 10)),
        "HTTP/1.1 302 Found\r\nlocation: /keys\r\ncontent-length: 0\r\n\r\n".to_owned(),
    ] {
        let failed = gateway.metric("portcullis_issuer_refreshes_total", &[("outcome", "failed")]);
        issuer.answer_keys_with(Some(trouble));
        wait_for_refreshes(&gateway, "failed", failed + 1.0);
        assert_eq!(ask(&gateway, &signer), 200);
    }

    let next = Signer::new("next");
    issuer.publish(&[&next]);
    eventually("the new key", || (ask(&gateway, &next) == 200).then_some(()));
    assert_eq!(ask(&gateway, &signer), 401);
    gateway.wait_for_output("the old ones go on being used");
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn keys_that_are_too_old_are_used_no_more() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    let verifying = Verifying::discovering(&issuer);
    let gateway = verifying.with("refresh = \"100ms\"\nmax_stale = \"2s\"").start(&orders);

    issuer.answer_keys_with(Some("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned()));
    eventually("refusals", || (ask(&gateway, &signer) == 503).then_some(()));

    wait_for_reason(&gateway, "unavailable");
    issuer.publish(&[&signer]);
    eventually("keys again", || (ask(&gateway, &signer) == 200).then_some(()));
}

#[test]
fn an_issuer_that_cannot_be_reached_holds_up_nothing() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    issuer.answer_keys_with(Some(String::new()));
    let gateway = Verifying::discovering(&issuer).start(&orders);

    assert_eq!(ask(&gateway, &signer), 503);
    wait_for_reason(&gateway, "unavailable");
    gateway.wait_for_output("its tokens are refused");

    issuer.publish(&[&signer]);
    eventually("keys", || (ask(&gateway, &signer) == 200).then_some(()));
}

#[test]
fn an_issuer_that_says_nothing_holds_up_nothing() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    issuer.answer_keys_with(Some(issuer::NOTHING.to_owned()));
    let mut verifying = Verifying::discovering(&issuer);
    verifying.grant = "discovery = true\ntimeout = \"500ms\"".to_owned();
    let gateway = verifying.start(&orders);

    assert_eq!(ask(&gateway, &signer), 503);
    wait_for_reason(&gateway, "unavailable");
    wait_for_refreshes(&gateway, "failed", 1.0);

    issuer.publish(&[&signer]);
    eventually("keys", || (ask(&gateway, &signer) == 200).then_some(()));
}

#[test]
fn a_document_of_another_issuer_is_none() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::calling_itself("https://login.example.com", &[&signer]);
    let gateway = Verifying::discovering(&issuer).start(&orders);

    assert_eq!(ask(&gateway, &signer), 503);

    gateway.wait_for_output("the discovery document is of the issuer");
    assert_eq!(issuer.asked("/keys"), 0);
}

#[test]
fn a_name_of_a_private_address_is_asked_only_where_that_is_granted() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::named("localhost", &[&signer]);
    let gateway = Verifying::discovering(&issuer).start(&orders);
    let trusting = Verifying::discovering(&issuer).with("private_addresses = true").start(&orders);

    assert_eq!(ask(&gateway, &signer), 503);
    gateway.wait_for_output("has no public address");
    assert_eq!(ask(&trusting, &signer), 200);
}

#[test]
fn an_issuer_over_tls_is_known_by_its_certificate() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let authority = Authority::new();
    let issuer = Issuer::over_tls(&authority.issue("localhost"), &[&signer]);
    let start = |trusted: &Authority| {
        let site = Site::new();
        site.write("authority.pem", trusted.pem());
        let grant = "private_addresses = true\nca = \"authority.pem\"";
        site.start(&Verifying::discovering(&issuer).with(grant).config(&orders))
    };

    let (trusting, doubting) = (start(&authority), start(&Authority::new()));

    assert_eq!((ask(&trusting, &signer), ask(&doubting, &signer)), (200, 503));
}

#[test]
fn a_reload_keeps_what_was_fetched() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    let verifying = Verifying::discovering(&issuer);
    let gateway = verifying.start(&orders);
    let before = gateway.reloads("Replaced");

    // Another use of the same issuer, and a use that has changed itself.
    let config = verifying.config(&orders).replace("60s", "59s");
    gateway.reload_config(&config);
    gateway.wait_for_metric("another configuration", |metrics| {
        metrics.sum("portcullis_reloads_total", &[("result", "replaced")]) > before
            || metrics.sum("portcullis_reloads_total", &[("result", "Replaced")]) > before
    });

    assert_eq!(ask(&gateway, &signer), 200);
    assert_eq!(issuer.asked("/keys"), 1);
}

#[test]
fn what_nobody_said_is_a_problem_of_the_configuration() {
    let site = Site::new();
    let check = |settings: &str, grant: &str| {
        let orders = portcullis_tests::dead_address();
        let config = VERIFYING
            .replace("ORDERS", &orders.to_string())
            .replace("ISSUER", "https://login.example.com")
            .replace("SETTINGS", settings)
            .replace("GRANT", grant)
            .replace("CACHE", "");
        let head = "plugins = \"plugins\"\n[listeners.public]\naddress = \"127.0.0.1:0\"\n";
        site.check(&format!("{head}{config}")).text()
    };

    let nowhere = check("keys = 'granted'", "");
    assert!(nowhere.contains("neither its settings nor a grant say where"), "{nowhere}");
    let private = check("keys.key_set = 'https://169.254.169.254/'", "");
    assert!(private.contains("it is a private address"), "{private}");
    let plain = check("keys.key_set = 'http://login.example.com/'", "");
    assert!(plain.contains("it is not `https`"), "{plain}");
    let broken = check("keys.inline = '{}'", "");
    assert!(broken.contains("the keys that its settings give"), "{broken}");
}
