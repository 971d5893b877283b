//! A whole OpenAPI document drives an API: its routes, what their requests must be, and
//! who may make them.

use portcullis_tests::{Gateway, Site, Upstream};

const ORDERS: &str = r##"openapi: 3.0.3
info: { title: Orders, version: "1" }
security:
  - token: []
paths:
  /orders:
    parameters:
      - $ref: "#/components/parameters/Tenant"
    get:
      operationId: listOrders
      security: []
      parameters:
        - { name: limit, in: query, required: true, schema: { type: integer, maximum: 100 } }
        - { name: tags, in: query, schema: { type: array, maxItems: 2, items: { enum: [a, b] } } }
        - { name: ids, in: query, explode: false, schema: { type: array, items: { type: integer } } }
        - { name: Accept, in: header, schema: { type: integer } }
    post:
      operationId: createOrder
      requestBody:
        required: true
        content:
          application/json:
            schema: { $ref: "parts.yaml#/Order" }
          text/plain: {}
  /orders/{id}:
    get:
      operationId: getOrder
      parameters:
        - { name: id, in: path, required: true, schema: { type: integer, format: int32, minimum: 0, exclusiveMinimum: true } }
    delete:
      operationId: deleteOrder
      security:
        - token: [orders:write]
          caller: []
components:
  parameters:
    Tenant: { name: X-Tenant, in: header, required: true, schema: { type: string, pattern: "^[a-z]+$" } }
  securitySchemes:
    token: { type: http, scheme: bearer }
    caller: { type: apiKey, in: header, name: x-caller }
"##;

const PARTS: &str = r##"Order:
  type: object
  required: [item]
  properties:
    item: { type: string, nullable: true }
    next: { $ref: "#/Order" }
"##;

fn config(upstream: &Upstream, more: &str) -> String {
    format!(
        r#"
        [upstreams.orders]
        endpoints = ["{}"]
        [authorizers.tokens]
        plugin = "api-token"
        settings = {{ header = "x-token", tokens = {{ alice = {{ secret = "alice" }} }} }}
        grants = {{ secrets = {{ alice = {{ file = "token" }} }} }}
        budget = {{ wall_time = "30s", cpu_time = "20s" }}
        [apis.orders]
        upstream = "orders"
        openapi = "orders.yaml"
        json = {{ budget = {{ wall_time = "30s", cpu_time = "20s" }} }}
        {more}
        "#,
        upstream.address()
    )
}

fn site() -> Site {
    let site = Site::new();
    site.write("orders.yaml", ORDERS).write("parts.yaml", PARTS).write("token", "s3cret");
    site
}

/// A gateway whose security schemes anybody meets.
fn open(upstream: &Upstream) -> Gateway {
    let mapped = "security = { token = \"none\" }\n[apis.orders.routes]\n\
                  \"DELETE /orders/{id}\" = { authorizer = \"none\" }";
    site().start(&config(upstream, mapped))
}

#[test]
fn operations_are_routes_and_their_parameters_are_judged() {
    let upstream = Upstream::start();
    let gateway = open(&upstream);
    let tenant = [("x-tenant", "blue")];

    let response = gateway.get("/orders?tags=a&tags=c&tags=b&ids=1,x&limit=x", &[]);
    assert_eq!(
        response.violations(),
        [
            "query:limit: must be a whole number",
            "query:tags: must have at most 2 items",
            "query:tags: must be one of a, b",
            "query:ids: must be a whole number",
            "header:x-tenant: is required",
        ]
    );
    assert_eq!(gateway.get("/orders?limit=1&tags=a&ids=1,2", &tenant).status, 200);
    assert_eq!(gateway.get("/orders/0", &[]).violations(), ["path:id: must be greater than 0"]);
    assert_eq!(
        gateway.get("/orders/2147483648", &[]).violations(),
        ["path:id: must be at most 2147483647"]
    );
    assert_eq!(gateway.get("/orders/7", &[]).status, 200);
    assert_eq!(gateway.request("PUT", "/orders/7", &[], b"").status, 405);
}

#[test]
fn bodies_are_judged_by_the_schemas_of_the_document() {
    let upstream = Upstream::start();
    let gateway = open(&upstream);
    let post = |kind: &str, body: &str| {
        gateway.post("/orders", &[("x-tenant", "blue"), ("content-type", kind)], body.as_bytes())
    };

    let mut found = post("application/json", r#"{"next": {"item": 1}}"#).violations();
    found.sort();
    assert_eq!(found, ["/item: is required", "/next/item: must be null or a text"]);
    assert_eq!(post("application/json", r#"{"item": null}"#).status, 200);
    assert_eq!(post("text/plain", "anything").status, 200);
    assert_eq!(post("application/xml", "<a/>").status, 415);
    assert_eq!(post("application/json", "").violations(), [": a body is required"]);
}

#[test]
fn security_is_what_the_configuration_says_stands_for_it() {
    let upstream = Upstream::start();
    let without = site();
    without.configure(&config(&upstream, ""));
    let shown = without.run(&["check", "portcullis.toml"]).text();
    assert!(shown.contains("no authorizer stands for the security scheme `token`"), "{shown}");
    assert!(shown.contains("orders.yaml:4:5"), "{shown}");
    assert!(shown.contains("no authorizer stands for the security scheme `caller`"), "{shown}");

    let mapped = "security = { token = \"tokens\" }\n[apis.orders.routes]\n\
                  \"DELETE /orders/{id}\" = { authorizer = \"tokens\" }";
    let gateway = site().start(&config(&upstream, mapped));

    assert_eq!(gateway.get("/orders/7", &[]).status, 401);
    assert_eq!(gateway.get("/orders/7", &[("x-token", "s3cret")]).status, 200);
    assert_eq!(gateway.get("/orders?limit=1", &[("x-tenant", "blue")]).status, 200, "open");
    assert_eq!(gateway.request("DELETE", "/orders/7", &[], b"").status, 401);
}

#[test]
fn commands_show_operations() {
    let upstream = Upstream::start();
    let site = site();
    site.configure(&config(&upstream, "security = { token = \"tokens\", caller = \"tokens\" }"));

    let routes = site.run(&["routes", "portcullis.toml"]).text();
    let line = routes.lines().find(|line| line.contains("listOrders")).unwrap_or_default();
    assert!(line.contains("GET /orders") && line.contains("open"), "{routes}");

    let explain = ["explain", "POST", "http://x/orders", "--config", "portcullis.toml"];
    let explained = site.run(&explain).text();
    assert!(explained.contains("operation  createOrder"), "{explained}");
    assert!(explained.contains("header:x-tenant a text, required"), "{explained}");
    assert!(explained.contains("text/plain as it is"), "{explained}");
}
