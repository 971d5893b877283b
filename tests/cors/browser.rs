//! A real browser holds pages to what the gateway says.

use portcullis_tests::{Site, Upstream, node, said};
use serde_json::{Value, json};

/// A site that has one page, which says nothing.
fn page() -> Upstream {
    Upstream::answering(|_, reply| {
        let html = [("content-type", "text/html")];
        reply.send(200, &html, b"<!doctype html><title>A page</title>")
    })
}

#[test]
fn a_real_browser_lets_pages_do_what_the_configuration_says() {
    let (friend, stranger) = (page(), page());
    let orders = Upstream::answering(|_, reply| reply.send(200, &[("x-hidden", "1")], b"an order"));
    let config = format!(
        r#"
        [authorizers.keys]
        plugin = "api-token"
        settings.tokens.alice = {{ secret = "alice" }}
        grants.secrets.alice = {{ file = "alice.key" }}
        {}
        [upstreams.orders]
        endpoints = ["{}"]
        [apis.shop]
        upstream = "orders"
        authorizer = "keys"
        cors = {{ origins = ["http://{}"], headers = ["authorization"], expose = ["x-request-id"] }}
        routes."GET /orders/{{id}}" = {{}}
        routes."PUT /orders/{{id}}" = {{}}
        [apis.shop.routes."GET /session"]
        authorizer = "none"
        cors = {{ origins = ["http://{}"], expose = ["x-request-id"], credentials = true }}
        [apis.shop.routes."GET /public"]
        authorizer = "none"
        cors = {{ origins = ["*"], headers = ["*"], expose = ["x-request-id"] }}
        "#,
        crate::ROOMY,
        orders.address(),
        friend.address(),
        friend.address(),
    );
    let site = Site::new();
    site.write("alice.key", "alice");
    let gateway = site.start(&config);

    let url = |upstream: &Upstream| format!("http://{}", upstream.address());
    let gateway_url = format!("http://{}", gateway.address("public"));
    let script =
        concat!(include_str!("../clients/chromium.mjs"), include_str!("../clients/pages.mjs"));
    let arguments = [url(&friend), url(&stranger), gateway_url, "/usr/bin/chromium".to_owned()];
    let told: Value = serde_json::from_str(&said(node(script).args(arguments))).expect("JSON");

    let read = json!({ "status": 200, "id": true, "hidden": false, "code": "an order" });
    let refused = json!({ "status": 401, "id": true, "hidden": false, "code": "unauthenticated" });
    let nowhere = json!({ "status": 404, "id": true, "hidden": false, "code": "no-such-route" });
    assert_eq!(
        told["friend"],
        json!({
            "granted": read, "refused": refused, "sent": read,
            "otherMethod": "TypeError", "otherHeader": "TypeError", "nowhere": nowhere,
            // Cookies go where the gateway says that they may, and nowhere that anybody may call.
            "ordersWithCookies": "TypeError", "session": read,
            "public": read, "publicWithCookies": "TypeError",
        })
    );
    for (what, came_to) in told["stranger"].as_object().expect("calls") {
        let expected = if what == "public" { read.clone() } else { "TypeError".into() };
        assert_eq!(*came_to, expected, "{what}");
    }
    // What a browser asks first and refuses itself never comes to the upstream. What it need
    // not ask about comes there; the page learns nothing of it.
    let came: Vec<String> = orders
        .seen()
        .iter()
        .map(|seen| {
            let cookie = seen.headers.get("cookie").unwrap_or("none");
            format!("{} {} {cookie}", seen.method, seen.target)
        })
        .collect();
    let unasked = ["GET /session session=1", "GET /public none", "GET /public session=1"];
    let friendly = ["GET /orders/1 none", "PUT /orders/1 none"].into_iter().chain(unasked);
    assert_eq!(came, friendly.chain(unasked).collect::<Vec<_>>());
}
