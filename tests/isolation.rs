//! What an instance remembers of one request is there for the next only where the
//! operator lets instances be reused.

use portcullis_tests::{Gateway, Seen, Upstream};

fn start(upstream: &Upstream, isolation: &str) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        [upstreams.orders]
        endpoints = ["{address}"]
        [authorizers.leaky]
        plugin = "leaky"
        {isolation}
        {roomy}
        [transforms.tell]
        plugin = "headers"
        settings.request.set = {{ x-seen = "${{identity:seen}}", x-remembered = "${{identity:remembered}}" }}
        {roomy}
        [apis.shop.routes."GET /a"]
        authorizer = "leaky"
        upstream = "orders"
        request_transforms = ["tell"]
        "#,
        roomy = crate::ROOMY
    ))
}

/// What the plugin remembered in each of ten requests: its count, and the secret of the
/// request before.
fn remembered(gateway: &Gateway, upstream: &Upstream) -> Vec<(usize, String)> {
    for round in 0..10 {
        let secret = format!("secret-{round}");
        assert_eq!(gateway.get("/a", &[("x-secret", &secret)]).status, 200);
    }
    let told = |seen: Seen| {
        let count = seen.headers.get("x-seen").unwrap_or_default().parse().unwrap();
        (count, seen.headers.get("x-remembered").unwrap_or_default().to_owned())
    };
    upstream.seen().into_iter().map(told).collect()
}

#[test]
fn a_fresh_instance_knows_nothing_of_the_request_before() {
    for isolation in ["", "isolation = \"fresh\""] {
        let upstream = Upstream::start();
        let gateway = start(&upstream, isolation);

        let remembered = remembered(&gateway, &upstream);

        assert_eq!(remembered, vec![(1, String::new()); 10], "{isolation}");
        let name = "portcullis_plugin_instances_started_total";
        assert_eq!(gateway.use_metric(name, "leaky"), 10.0);
    }
}

#[test]
fn a_fresh_instance_from_an_image_knows_nothing_either() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "isolation = \"fresh\"");
    gateway.wait_for_image("leaky");

    assert_eq!(remembered(&gateway, &upstream), vec![(1, String::new()); 10]);
}

#[test]
fn a_reused_instance_remembers_as_long_as_it_may_live() {
    let upstream = Upstream::start();
    let gateway = start(&upstream, "isolation = { reuse = 4 }");

    let counts: Vec<usize> =
        remembered(&gateway, &upstream).into_iter().map(|(count, _)| count).collect();

    assert_eq!(counts, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]);
    assert_eq!(upstream.seen()[1].headers.get("x-remembered"), Some("secret-0"));
    assert_eq!(gateway.use_metric("portcullis_plugin_instances_started_total", "leaky"), 3.0);
}
