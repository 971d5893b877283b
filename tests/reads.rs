//! A plugin is shown what it declared and nothing else.

use portcullis_tests::{Gateway, Upstream};

fn start(upstream: &Upstream, settings: &str) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        [upstreams.orders]
        endpoints = ["{address}"]
        [authorizers.reader]
        plugin = "reads"
        settings = {settings}
        {roomy}
        [transforms.tell]
        plugin = "headers"
        settings.request.set = {{ x-shown-headers = "${{identity:headers}}", x-shown-parameters = "${{identity:parameters}}", x-shown-attributes = "${{identity:attributes}}" }}
        {roomy}
        [apis.shop.routes."GET /orders/{{id}}"]
        authorizer = "reader"
        upstream = "orders"
        request_transforms = ["tell"]
        "#,
        roomy = crate::ROOMY
    ))
}

const SENT: [(&str, &str); 4] =
    [("x-wanted", "1"), ("X-Wanted", "2"), ("x-other", "secret"), ("authorization", "secret")];

#[test]
fn what_is_declared_is_shown_and_the_rest_is_not() {
    let upstream = Upstream::start();
    let settings = r#"{ headers = ["x-wanted"], parameters = ["q"], attributes = ["path:id"] }"#;
    let gateway = start(&upstream, settings);

    assert_eq!(gateway.get("/orders/7?q=a&other=b&q=c%20d", &SENT).status, 200);

    let seen = upstream.only();
    assert_eq!(seen.headers.get("x-shown-headers"), Some("x-wanted=1,x-wanted=2"));
    assert_eq!(seen.headers.get("x-shown-parameters"), Some("q=a,q=c d"));
    assert_eq!(seen.headers.get("x-shown-attributes"), Some("path:id=7"));
}

#[test]
fn a_plugin_that_declares_nothing_is_shown_nothing() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "{}");

    assert_eq!(gateway.get("/orders/7?q=a", &SENT).status, 200);

    let seen = upstream.only();
    for name in ["x-shown-headers", "x-shown-parameters", "x-shown-attributes"] {
        assert_eq!(seen.headers.get(name).unwrap_or_default(), "", "{name}");
    }
}

#[test]
fn bytes_are_passed_to_a_plugin_only_where_it_declared_them() {
    let large = "x".repeat(20_000);
    let read = |settings: &str| {
        let upstream = Upstream::start();
        let gateway = start(&upstream, settings);
        let read = || gateway.use_metric("portcullis_plugin_bytes_read_total", "reader");
        assert_eq!(gateway.get("/orders/7", &[]).status, 200);
        let before = read();
        assert_eq!(gateway.get("/orders/7", &[("x-large", &large)]).status, 200);
        let first = before;
        read() - 2.0 * first
    };

    assert_eq!(read(r#"{ headers = ["x-wanted"] }"#), 0.0);
    let declared = read(r#"{ headers = ["x-large"] }"#);
    assert!((20_000.0..21_000.0).contains(&declared), "{declared}");
}
