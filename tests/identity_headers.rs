//! The upstream learns who calls by headers that no client can write.

use portcullis_tests::{Gateway, Site, Upstream};

const TOLD: &str = r#"
    [authorizers.keys]
    plugin = "api-token"
    settings.tokens.alice = { secret = "alice", attributes = { email = "alice@example.com", bad = "a\nb" } }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET

    [transforms.echo]
    plugin = "headers"
    settings.request = { set = { x-copy = "${identity:usage-key}" }, remove = ["x-late"] }
    BUDGET

    [apis.shop]
    upstream = "orders"
    authorizer = "keys"
    [apis.shop.identity_headers]
    X-User = "identity:principal"
    x-email = "identity:email"
    x-key = "identity:usage-key"
    x-order = "path:id"
    x-bad = "identity:bad"
    [apis.shop.routes]
    "GET /orders/{id}" = {}
    "GET /open" = { authorizer = "none" }
    "GET /other" = { identity_headers = { x-who = "identity:principal" } }
    "GET /bare" = { identity_headers = {} }
    "GET /late" = { request_transforms = ["echo"], identity_headers = { x-late = "identity:principal", x-early = "identity:principal" } }
"#;

const BEARER: (&str, &str) = ("authorization", "Bearer sesame");

/// What a client tries to say in the gateway's place.
const FORGED: [(&str, &str); 9] = [
    ("x-user", "mallory"),
    ("X-USER", "mallory"),
    ("x_user", "mallory"),
    ("X_User", "mallory"),
    ("x-email", "mallory"),
    ("x_key", "mallory"),
    ("x-order", "mallory"),
    ("x-bad", "mallory"),
    ("x-client", "kept"),
];

fn start(orders: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("alice.key", "sesame");
    let config = TOLD.replace("BUDGET", crate::ROOMY);
    site.start(&format!("upstreams.orders.endpoints = [\"{}\"]\n{config}", orders.address()))
}

#[test]
fn the_upstream_learns_who_calls() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    assert_eq!(gateway.get("/orders/%37", &[&[BEARER], &FORGED[..]].concat()).status, 200);

    let seen = orders.only();
    for (name, expected) in [
        ("x-user", "alice"),
        ("x-email", "alice@example.com"),
        ("x-key", "alice"),
        ("x-order", "7"),
        ("x-client", "kept"),
        ("authorization", "Bearer sesame"),
    ] {
        assert_eq!(seen.headers.all(name).collect::<Vec<_>>(), [expected], "{name}");
    }
    let all = format!("{:?}", seen.headers);
    assert!(!all.contains("mallory") && !all.contains("x-bad"), "{all}");
}

#[test]
fn look_alikes_are_taken_off_where_nobody_is_known_too() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    assert_eq!(gateway.get("/open", &FORGED).status, 200);

    let all = format!("{:?}", orders.only().headers).to_lowercase();
    assert!(all.contains("kept"), "{all}");
    for name in ["mallory", "x-user", "x_user", "x-email", "x_key"] {
        assert!(!all.contains(name), "{all}");
    }
}

#[test]
fn a_routes_table_takes_the_place_of_its_apis() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    gateway.get("/other", &[BEARER, ("x-user", "own"), ("x-who", "mallory")]);
    gateway.get("/bare", &[BEARER, ("x-user", "own"), ("x-who", "own")]);

    let seen = orders.seen();
    assert_eq!(seen[0].headers.get("x-user"), Some("own"));
    assert_eq!(seen[0].headers.all("x-who").collect::<Vec<_>>(), ["alice"]);
    assert_eq!(seen[1].headers.get("x-who"), Some("own"));
}

#[test]
fn transforms_come_after() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    gateway.get("/late", &[BEARER]);

    let seen = orders.only();
    assert_eq!((seen.headers.get("x-early"), seen.headers.get("x-late")), (Some("alice"), None));
    assert_eq!(seen.headers.get("x-copy"), Some("alice"));
}

#[test]
fn a_client_cannot_have_a_header_dropped_as_its_connections() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let upgrade = [
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    gateway.get("/orders/7", &[BEARER, ("connection", "x-user, x-hop"), ("x-hop", "1")]);
    gateway.get(
        "/orders/8",
        &[&[BEARER, ("connection", "upgrade, x-user, x-hop"), ("x-hop", "1")], &upgrade[..]]
            .concat(),
    );

    let seen = orders.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.headers.all("x-user").collect::<Vec<_>>(), ["alice"], "{seen:?}");
        assert_eq!(seen.headers.get("x-hop"), None, "{seen:?}");
        assert!(!seen.headers.get("connection").unwrap_or_default().contains("x-user"), "{seen:?}");
    }
}
