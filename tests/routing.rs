//! A request finds the route that the documented precedence says.

use portcullis_tests::{Gateway, Upstream};

fn check(gateway: &Gateway, method: &str, host: &str, target: &str, expected: &str) {
    let response = gateway.request(method, target, &[("host", host)], b"");
    let found = match response.status {
        200 => response.text(),
        status => format!("{status} {}", response.code()),
    };
    assert_eq!(found, expected, "{method} {host} {target}");
}

#[test]
fn the_most_specific_route_answers() {
    let gateway = Gateway::start(
        r#"
        authorizer = "none"
        [apis.pets.routes]
        "$default" = { respond = { body = "default" } }
        "ANY /{rest+}" = { respond = { body = "any greedy" } }
        "GET /pets/{rest+}" = { respond = { body = "greedy" } }
        "ANY /pets/dog" = { respond = { body = "any literal" } }
        "GET /pets/{id}" = { respond = { body = "parameter" } }
        "GET /pets/dog" = { respond = { body = "literal" } }
        "GET /{kind}/dog/{id}" = { respond = { body = "late literal" } }
        "GET /pets/{id}/{part}" = { respond = { body = "early literal" } }
        "#,
    );
    let check = |method, target, expected| check(&gateway, method, "a", target, expected);

    check("GET", "/pets/dog", "literal");
    check("GET", "/pets/dog?x=/pets/cat", "literal");
    check("GET", "/pets/d%6Fg", "literal");
    check("POST", "/pets/dog", "any literal");
    check("GET", "/pets/cat", "parameter");
    check("GET", "/pets/cat/1/2", "greedy");
    check("GET", "/pets/dog/1", "early literal");
    check("GET", "/toys/dog/1", "late literal");
    check("POST", "/pets/cat", "any greedy");
    check("DELETE", "/elsewhere", "any greedy");
    check("GET", "/", "default");
}

#[test]
fn hosts_are_told_apart_before_paths() {
    let gateway = Gateway::start(
        r#"
        authorizer = "none"
        [apis.exact]
        hosts = ["shop.example.com"]
        routes."GET /{id}" = { respond = { body = "exact" } }
        [apis.wildcard]
        hosts = ["*.example.com"]
        routes."GET /a" = { respond = { body = "wildcard" } }
        [apis.any]
        routes."GET /a" = { respond = { body = "any" } }
        "#,
    );
    let check = |host, target, expected| check(&gateway, "GET", host, target, expected);

    check("shop.example.com", "/a", "exact");
    check("SHOP.example.COM:8080", "/a", "exact");
    check("shop.example.com.", "/a", "exact");
    check("other.example.com", "/a", "wildcard");
    check("example.com", "/a", "any");
    check("a.b.example.com", "/a", "any");
    check("other.example.com", "/b", "404 no-such-route");
}

#[test]
fn an_unserved_path_is_404_and_an_unserved_method_405_with_those_that_are() {
    let gateway = Gateway::start(
        r#"
        authorizer = "none"
        [apis.shop.routes]
        "GET /orders" = { respond = { body = "list" } }
        "DELETE /orders" = { respond = { body = "gone" } }
        "#,
    );

    let missing = gateway.get("/order", &[]);
    let wrong = gateway.request("PATCH", "/orders", &[], b"{}");

    assert_eq!(missing.verdict(), (404, "no-such-route".into()));
    assert_eq!(missing.header("content-type"), Some("application/problem+json"));
    assert_eq!(missing.json()["request_id"].as_str(), missing.header("x-request-id"));
    assert_eq!(wrong.verdict(), (405, "method-not-allowed".into()));
    assert_eq!(wrong.header("allow"), Some("DELETE, GET"));
}

#[test]
fn a_base_path_stands_before_every_route_and_bounds_the_default() {
    let gateway = Gateway::start(
        r#"
        authorizer = "none"
        [apis.v1]
        base_path = "/v1"
        routes."GET /orders" = { respond = { body = "v1" } }
        routes."$default" = { respond = { body = "v1 default" } }
        [apis.v2]
        base_path = "/v2"
        routes."GET /orders" = { respond = { body = "v2" } }
        routes."GET /" = { respond = { body = "v2 root" } }
        "#,
    );
    let check = |target, expected| check(&gateway, "GET", "a", target, expected);

    check("/v1/orders", "v1");
    check("/v2/orders", "v2");
    check("/v1/else", "v1 default");
    check("/v2/else", "404 no-such-route");
    check("/v2", "v2 root");
    check("/v2/", "v2 root");
    check("/v1", "v1 default");
    check("/v10/orders", "404 no-such-route");
    check("/orders", "404 no-such-route");
}

fn proxied(upstream: &Upstream, rest: &str) -> Gateway {
    let (address, rest) = (upstream.address(), rest.replace("BUDGET", crate::ROOMY));
    Gateway::start(&format!(
        "authorizer = \"none\"\n[upstreams.orders]\nendpoints = [\"{address}\"]\n{rest}"
    ))
}

#[test]
fn path_parameters_are_facts_for_plugins() {
    let orders = Upstream::start();
    let gateway = proxied(
        &orders,
        r#"
        [transforms.facts]
        plugin = "headers"
        settings.request.set = { x-id = "${path:id}", x-rest = "${path:rest}" }
        BUDGET
        [apis.shop.routes."GET /orders/{id}/{rest+}"]
        upstream = "orders"
        request_transforms = ["facts"]
        "#,
    );

    let response = gateway.get("/orders/a%20b/c/d", &[("x-id", "forged")]);

    assert_eq!(response.status, 200);
    let seen = orders.only();
    assert_eq!(seen.headers.all("x-id").collect::<Vec<_>>(), ["a b"]);
    assert_eq!(seen.headers.get("x-rest"), Some("c/d"));
    assert_eq!(seen.target, "/orders/a%20b/c/d");
}

#[test]
fn a_rewrite_changes_the_prefix_and_nothing_else() {
    let orders = Upstream::start();
    let gateway = proxied(
        &orders,
        r#"
        [apis.shop]
        base_path = "/v1"
        [apis.shop.routes."GET /{rest+}"]
        upstream = "orders"
        rewrite = { strip_prefix = "/v1", add_prefix = "/api" }
        "#,
    );

    gateway.get("/v1/or%64ers/%7e1?a=b%20c&a=d", &[]);

    assert_eq!(orders.only().target, "/api/or%64ers/%7e1?a=b%20c&a=d");
}
