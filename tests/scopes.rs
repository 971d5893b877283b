//! A route's scopes are asked of each request, whatever was granted before.

use portcullis_tests::{Gateway, Site, Upstream};

const SCOPED: &str = r#"
    [authorizers.keys]
    plugin = "api-token"
    cache = { life = "1h", by = ["header:authorization"] }
    grants.secrets = { reader = { file = "reader.key" }, writer = { file = "writer.key" }, guest = { file = "guest.key" } }
    BUDGET
    [authorizers.keys.settings.tokens]
    reader = { secret = "reader", attributes.scopes = "orders:read profile" }
    writer = { secret = "writer", attributes.scopes = "orders:write orders:read" }
    guest = { secret = "guest" }

    [apis.shop]
    upstream = "orders"
    authorizer = "keys"
    scopes = ["orders:read", "orders:admin"]
    routes."GET /orders" = {}
    routes."POST /orders" = { scopes = { all = ["orders:read", "orders:write"] } }
    routes."GET /anybody" = { scopes = [] }
    routes."GET /open" = { authorizer = "none", scopes = [] }
"#;

fn start(orders: &Upstream) -> Gateway {
    let site = Site::new();
    for name in ["reader", "writer", "guest"] {
        site.write(&format!("{name}.key"), format!("{name}-secret"));
    }
    let config = SCOPED.replace("BUDGET", crate::ROOMY);
    site.start(&format!("upstreams.orders.endpoints = [\"{}\"]\n{config}", orders.address()))
}

fn verdict(gateway: &Gateway, method: &str, target: &str, token: &str) -> u16 {
    let bearer = format!("Bearer {token}-secret");
    gateway.request(method, target, &[("authorization", &bearer)], b"").status
}

#[test]
fn a_caller_needs_the_scopes_of_the_route() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    for (method, target, allowed) in [
        ("GET", "/orders", &["reader", "writer"][..]),
        ("POST", "/orders", &["writer"]),
        ("GET", "/anybody", &["reader", "writer", "guest"]),
        ("GET", "/open", &["reader", "writer", "guest"]),
    ] {
        for token in ["reader", "writer", "guest"] {
            let expected = if allowed.contains(&token) { 200 } else { 403 };
            assert_eq!(verdict(&gateway, method, target, token), expected, "{token} {target}");
        }
    }
    assert_eq!(gateway.get("/anybody", &[]).status, 401);
}

#[test]
fn a_refusal_names_what_is_needed() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    let refused = gateway.get("/orders", &[("authorization", "Bearer guest-secret")]);

    assert_eq!(refused.verdict(), (403, "insufficient-scope".into()));
    let challenge = r#"Bearer error="insufficient_scope", scope="orders:read orders:admin""#;
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
    let line = gateway.log_line("/orders");
    assert_eq!(
        (&line["code"], &line["principal"]),
        (&"insufficient-scope".into(), &"guest".into())
    );
    orders.assert_saw_nothing();
}

#[test]
fn a_kept_grant_of_one_route_does_not_open_another() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let decided = |decision| {
        let labels = [("use", "keys"), ("decision", decision)];
        gateway.metric("portcullis_plugin_decisions_total", &labels)
    };

    for expected in [1.0, 3.0] {
        assert_eq!(verdict(&gateway, "GET", "/orders", "reader"), 200);
        assert_eq!(verdict(&gateway, "POST", "/orders", "reader"), 403);
        assert_eq!(decided("cached"), expected, "both routes share what was granted once");
    }
    assert_eq!(decided("allowed"), 1.0);
}
