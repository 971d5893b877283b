//! Nobody passes without leave, and the upstream learns who passed from nobody else.

use portcullis_tests::{Gateway, Site, Upstream, eventually};

const KEYS: &str = r#"
    [authorizers.keys]
    plugin = "api-token"
    settings = { header = "x-api-key", tokens.alice = { secret = "alice", attributes.plan = "gold" } }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET

    [transforms.caller]
    plugin = "headers"
    settings.request.set = { x-caller = "${identity:principal}", x-plan = "${identity:plan}" }
    BUDGET

    [apis.shop]
    upstream = "orders"
    request_transforms = ["caller"]
    routes."GET /orders" = { authorizer = "keys" }
    routes."POST /orders" = { authorizer = "keys" }
    routes."GET /open" = { authorizer = "none" }
"#;

fn start(orders: &Upstream, config: &str) -> Gateway {
    let site = Site::new();
    site.write("alice.key", "sesame\n");
    let config = config.replace("BUDGET", crate::ROOMY);
    site.start(&format!("[upstreams.orders]\nendpoints = [\"{}\"]\n{config}", orders.address()))
}

#[test]
fn a_request_without_credentials_never_reaches_the_upstream() {
    let orders = Upstream::start();
    let gateway = start(&orders, KEYS);

    let nothing = gateway.get("/orders", &[]);
    let wrong = gateway.get("/orders", &[("x-api-key", "guess")]);
    let twice = gateway.get("/orders", &[("x-api-key", "guess"), ("x-api-key", "sesame")]);
    let body = gateway.post("/orders", &[("x-api-key", "Sesame")], &[b'x'; 100_000]);

    for refused in [nothing, wrong, twice, body] {
        assert_eq!(refused.verdict(), (401, "unauthenticated".into()));
    }
    orders.assert_saw_nothing();
}

#[test]
fn the_upstream_learns_who_the_caller_is() {
    let orders = Upstream::start();
    let gateway = start(&orders, KEYS);

    let response = gateway.get("/orders", &[("x-api-key", "sesame"), ("x-caller", "mallory")]);

    assert_eq!(response.status, 200);
    let seen = orders.only();
    assert_eq!(seen.headers.all("x-caller").collect::<Vec<_>>(), ["alice"]);
    assert_eq!(seen.headers.get("x-plan"), Some("gold"));
}

#[test]
fn nobody_can_say_who_they_are_by_a_look_alike_header() {
    let orders = Upstream::start();
    let gateway = start(&orders, KEYS);
    let forged = [
        ("X-Caller", "mallory"),
        ("x-caller", "mallory"),
        ("x-CALLER", "mallory"),
        ("connection", "x-caller"),
        ("x-plan", "platinum"),
    ];

    let open = gateway.get("/open", &forged);
    let granted = gateway.get("/orders", &[&forged[..], &[("x-api-key", "sesame")]].concat());

    assert_eq!((open.status, granted.status), (200, 200));
    let seen = orders.seen();
    assert!(!format!("{:?}", seen[0].headers).contains("mallory"), "{:?}", seen[0]);
    assert!(!format!("{:?}", seen[1].headers).contains("mallory"), "{:?}", seen[1]);
    assert_eq!(seen[1].headers.get("x-plan"), Some("gold"));
}

#[test]
fn a_refused_token_is_answered_with_its_challenge() {
    let orders = Upstream::start();
    let bearer = r#"
        [authorizers.keys]
        plugin = "api-token"
        settings.tokens.alice = { secret = "alice" }
        grants.secrets.alice = { file = "alice.key" }
        BUDGET
        [apis.shop.routes."GET /"]
        authorizer = "keys"
        upstream = "orders"
    "#;
    let gateway = start(&orders, bearer);

    let refused = gateway.get("/", &[("authorization", "Bearer guess")]);
    let line = gateway.log_line("/");
    let granted = gateway.get("/", &[("authorization", "bearer sesame")]);

    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
    assert_eq!(granted.status, 200);
    assert_eq!(line["reason"], "unknown-token");
}

const CACHED: &str = r#"
    [authorizers.reader]
    plugin = "reads"
    settings = { headers = ["x-user"], cacheable = true }
    cache = "LIFE"
    BUDGET
    [apis.shop]
    upstream = "orders"
    [apis.shop.routes]
    "GET /orders" = { authorizer = "reader" }
    "GET /a" = { authorizer = { with = "reader", use = "a" } }
    "GET /{id}/b" = { authorizer = { with = "reader", use = "b" } }
"#;

fn decisions(gateway: &Gateway, plugin_use: &str, decision: &str) -> f64 {
    let labels = [("use", plugin_use), ("decision", decision)];
    gateway.metric("portcullis_plugin_decisions_total", &labels)
}

#[test]
fn equal_reads_are_answered_from_the_cache_and_others_are_not() {
    let orders = Upstream::start();
    let gateway = start(&orders, &CACHED.replace("LIFE", "1h"));
    let ask = |target, user| {
        assert_eq!(gateway.get(target, &[("x-user", user), ("x-other", target)]).status, 200);
        (decisions(&gateway, "reader", "allowed"), decisions(&gateway, "reader", "cached"))
    };

    assert_eq!(ask("/orders", "alice"), (1.0, 0.0));
    assert_eq!(ask("/orders", "alice"), (1.0, 1.0));
    assert_eq!(ask("/orders", "bob"), (2.0, 1.0));
    assert_eq!(ask("/a", "alice"), (3.0, 1.0), "another argument is another question");
    assert_eq!(ask("/orders", "bob"), (3.0, 2.0));
    assert_eq!(gateway.use_metric("portcullis_plugin_instances_started_total", "reader"), 3.0);
}

#[test]
fn a_kept_grant_expires() {
    let orders = Upstream::start();
    let gateway = start(&orders, &CACHED.replace("LIFE", "300ms"));
    let ask = || assert_eq!(gateway.get("/orders", &[("x-user", "alice")]).status, 200);

    ask();

    eventually("a second call after the first answer expired", || {
        ask();
        (decisions(&gateway, "reader", "allowed") >= 2.0).then_some(())
    });
}

#[test]
fn a_denial_is_never_kept() {
    let orders = Upstream::start();
    let config = KEYS.replace("grants.secrets", "cache = \"1h\"\ngrants.secrets");
    let gateway = start(&orders, &config);

    for _ in 0..3 {
        assert_eq!(gateway.get("/orders", &[("x-api-key", "guess")]).status, 401);
    }

    assert_eq!(decisions(&gateway, "keys", "refused"), 3.0);
    assert_eq!(decisions(&gateway, "keys", "cached"), 0.0);
    assert_eq!(gateway.get("/orders", &[("x-api-key", "sesame")]).status, 200);
}
