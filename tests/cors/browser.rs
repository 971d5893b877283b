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
        "#,
        crate::ROOMY,
        orders.address(),
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
        })
    );
    for (what, came_to) in told["stranger"].as_object().expect("calls") {
        assert_eq!(came_to, "TypeError", "{what}");
    }
    // What a browser asks first and refuses itself never comes to the upstream.
    let methods: Vec<String> = orders.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["GET", "PUT"]);
}
