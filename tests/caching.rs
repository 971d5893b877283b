//! Answers are kept by what the operator chose, and an authorizer is asked only about
//! requests that have what it goes by.

use portcullis_tests::{Gateway, Site, Upstream, eventually};

const CACHED: &str = r#"
    [authorizers.reader]
    plugin = "reads"
    settings = { headers = ["x-user", "x-other", "cookie"], parameters = ["token"], cacheable = true }
    cache = { life = "1h", by = [BY] }
    BUDGET
    [apis.shop]
    upstream = "orders"
    authorizer = "reader"
    routes."GET /{id}" = {}
    routes."GET /{id}/more" = { authorizer = { with = "reader", use = "more" } }
"#;

const KEYS: &str = r#"
    [authorizers.keys]
    plugin = "api-token"
    settings = { header = "x-api-key", tokens.alice = { secret = "alice" } }
    grants.secrets.alice = { file = "alice.key" }
    RULES
    BUDGET
    [authorizers.anybody]
    plugin = "reads"
    settings = {}
    BUDGET
    [apis.shop]
    upstream = "orders"
    routes."GET /orders" = { authorizer = "keys" }
    routes."GET /any" = { authorizer = { any = ["keys", "anybody"] } }
"#;

fn start(orders: &Upstream, config: &str) -> Gateway {
    let site = Site::new();
    site.write("alice.key", "sesame\n");
    let config = config.replace("BUDGET", crate::ROOMY);
    site.start(&format!("[upstreams.orders]\nendpoints = [\"{}\"]\n{config}", orders.address()))
}

fn decisions(gateway: &Gateway, plugin_use: &str, decision: &str) -> f64 {
    let labels = [("use", plugin_use), ("decision", decision)];
    gateway.metric("portcullis_plugin_decisions_total", &labels)
}

/// Asks, and how often the plugin has allowed and an answer was kept since the start.
fn ask(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> (f64, f64) {
    assert_eq!(gateway.get(target, headers).status, 200);
    (decisions(gateway, "reader", "allowed"), decisions(gateway, "reader", "cached"))
}

#[test]
fn requests_that_differ_elsewhere_share_an_answer() {
    let orders = Upstream::start();
    let gateway = start(&orders, &CACHED.replace("BY", r#""header:x-user""#));
    let ask = |target, headers: &[_]| ask(&gateway, target, headers);

    assert_eq!(ask("/1", &[("x-user", "alice")]), (1.0, 0.0));
    assert_eq!(ask("/2?token=a", &[("x-user", "alice"), ("x-other", "1")]), (1.0, 1.0));
    assert_eq!(ask("/1", &[("x-user", "bob")]), (2.0, 1.0));
    assert_eq!(ask("/1", &[("x-user", "alice"), ("x-user", "bob")]), (3.0, 1.0));
    assert_eq!(ask("/1/more", &[("x-user", "alice")]), (4.0, 1.0), "another argument");
}

#[test]
fn a_request_that_nothing_tells_apart_is_asked_about_each_time() {
    let orders = Upstream::start();
    let by = r#""header:x-user", "path""#;
    let gateway = start(&orders, &CACHED.replace("BY", by));
    let ask = |target, headers: &[_]| ask(&gateway, target, headers);

    assert_eq!(ask("/1", &[]), (1.0, 0.0));
    assert_eq!(ask("/1", &[]), (2.0, 0.0));
    assert_eq!(ask("/1", &[("x-user", "")]), (3.0, 0.0));
    assert_eq!(ask("/1", &[("x-user", "alice")]), (4.0, 0.0));
    assert_eq!(ask("/1", &[("x-user", "alice")]), (4.0, 1.0));
    assert_eq!(ask("/2", &[("x-user", "alice")]), (5.0, 1.0));
}

#[test]
fn cookies_parameters_and_methods_tell_requests_apart() {
    let orders = Upstream::start();
    let by = r#""cookie:session", "query:token""#;
    let gateway = start(&orders, &CACHED.replace("BY", by));
    let ask = |target, cookie: &str| ask(&gateway, target, &[("cookie", cookie)]);

    assert_eq!(ask("/1", "session=a; theme=dark"), (1.0, 0.0));
    assert_eq!(ask("/1", "theme=light; session=a"), (1.0, 1.0));
    assert_eq!(ask("/1", "session=b"), (2.0, 1.0));
    assert_eq!(ask("/1?token=%61", "session=a"), (3.0, 1.0));
    assert_eq!(ask("/1?other=1&token=a", "session=a"), (3.0, 2.0));
    assert_eq!(ask("/1", "token=a; sessions=a"), (4.0, 2.0));
    assert_eq!(ask("/1", "token=a; sessions=a"), (5.0, 2.0));
}

#[test]
fn a_cache_goes_only_by_what_the_plugin_reads() {
    let site = Site::new();
    let by = r#""header:x-user", "header:authorization", "query:page", "attribute:route:id""#;
    let config = CACHED.replace("BY", by).replace("BUDGET", "");
    let listener = "plugins = \"plugins\"\nlisteners.public.address = \"127.0.0.1:0\"";
    let outcome = site
        .check(&format!("{listener}\n[upstreams.orders]\nendpoints = [\"127.0.0.1:9\"]\n{config}"));

    let text = outcome.text();
    assert_ne!(outcome.code, Some(0), "{text}");
    for unread in ["header:authorization", "query:page", "attribute:route:id"] {
        assert!(text.contains(&format!("does not read `{unread}`")), "{text}");
    }
    assert!(!text.contains("does not read `header:x-user`"), "{text}");
}

#[test]
fn refusals_are_kept_where_the_operator_wants_it() {
    let orders = Upstream::start();
    let rules = r#"cache = { life = "1h", by = ["header:x-api-key"], denials = "1h" }"#;
    let gateway = start(&orders, &KEYS.replace("RULES", rules));
    let ask = |key: &str| {
        let status = gateway.get("/orders", &[("x-api-key", key)]).status;
        (status, decisions(&gateway, "keys", "refused"), decisions(&gateway, "keys", "cached"))
    };

    assert_eq!(ask("guess"), (401, 1.0, 0.0));
    assert_eq!(ask("guess"), (401, 1.0, 1.0));
    assert_eq!(ask("another"), (401, 2.0, 1.0));
    assert_eq!(ask("sesame"), (200, 2.0, 1.0));
    assert_eq!(ask("sesame"), (200, 2.0, 2.0));
    let refused = gateway.wait_for_line("a line of a refusal", |line| line["status"] == 401);
    assert_eq!(refused["reason"], "unknown-token");
}

#[test]
fn a_kept_refusal_expires() {
    let orders = Upstream::start();
    let rules = r#"cache = { life = "1h", denials = "200ms" }"#;
    let gateway = start(&orders, &KEYS.replace("RULES", rules));
    let ask = || assert_eq!(gateway.get("/orders", &[("x-api-key", "guess")]).status, 401);

    ask();

    eventually("a second refusal after the first expired", || {
        ask();
        (decisions(&gateway, "keys", "refused") >= 2.0).then_some(())
    });
}

#[test]
fn an_authorizer_is_not_asked_about_a_request_without_identity() {
    let orders = Upstream::start();
    let rules =
        r#"identity_sources = [{ source = "header:x-api-key", matches = "ses.*" }, "host"]"#;
    let gateway = start(&orders, &KEYS.replace("RULES", rules));
    let calls = || gateway.use_metric("portcullis_plugin_duration_seconds_count", "keys");
    let refused = |headers: &[_], reason: &str| {
        // A line comes after its answer: without waiting for each, they may change places.
        let earlier = gateway.access_log().len();
        let response = gateway.get("/orders", headers);
        assert_eq!(response.verdict(), (401, "unauthenticated".into()));
        let line =
            eventually("a line of the refusal", || gateway.access_log().into_iter().nth(earlier));
        assert_eq!(line["reason"], reason);
    };

    refused(&[], "missing-identity");
    refused(&[("x-api-key", "")], "missing-identity");
    refused(&[("x-api-key", "guess")], "malformed-identity");
    refused(&[("x-api-key", "a sesame")], "malformed-identity");
    refused(&[("x-api-key", "sesame"), ("x-api-key", "guess")], "malformed-identity");
    assert_eq!(calls(), 0.0);
    refused(&[("x-api-key", "sesam")], "unknown-token");
    assert_eq!(gateway.get("/orders", &[("x-api-key", "sesame")]).status, 200);
    assert_eq!(calls(), 2.0);
}

#[test]
fn without_identity_for_one_authorizer_another_is_asked() {
    let orders = Upstream::start();
    let rules = r#"identity_sources = ["header:x-api-key"]"#;
    let gateway = start(&orders, &KEYS.replace("RULES", rules));

    assert_eq!(gateway.get("/any", &[]).status, 200);
    assert_eq!(gateway.get("/any", &[("x-api-key", "guess")]).status, 401);

    assert_eq!(decisions(&gateway, "anybody", "allowed"), 1.0);
}
