//! What a plugin remembers is its own, shared by its instances, and bounded.

use portcullis_tests::{Gateway, Seen, Upstream, eventually};

const COUNTING: &str = r#"
    [authorizers.counter]
    plugin = "counts"
    grants.keyvalue = { GRANT }
    settings = { ballast = 0 }
    ROOMY
    [authorizers.other]
    plugin = "counts"
    grants.keyvalue = {}
    ROOMY

    [transforms.count]
    plugin = "headers"
    settings.request.set = { x-count = "${identity:count}" }
    ROOMY

    [apis.shop]
    upstream = "orders"
    request_transforms = ["count"]
    routes."GET /count" = { authorizer = "counter" }
    routes."GET /other" = { authorizer = "other" }
"#;

fn counting(orders: &Upstream, grant: &str) -> String {
    let upstream = format!("[upstreams.orders]\nendpoints = [\"{}\"]\n", orders.address());
    upstream + &COUNTING.replace("GRANT", grant).replace("ROOMY", crate::ROOMY)
}

fn counts(orders: &Upstream) -> Vec<String> {
    let count = |seen: Seen| seen.headers.get("x-count").map(str::to_owned);
    orders.seen().into_iter().filter_map(count).collect()
}

#[test]
fn what_a_plugin_remembers_is_shared_by_its_fresh_instances_and_nobody_else() {
    let orders = Upstream::start();
    let gateway = Gateway::start(&counting(&orders, ""));

    for target in ["/count", "/count", "/other", "/count"] {
        assert_eq!(gateway.get(target, &[]).status, 200);
    }

    assert_eq!(counts(&orders), ["1", "2", "1", "3"]);
    let started = "portcullis_plugin_instances_started_total";
    assert_eq!(gateway.use_metric(started, "counter"), 3.0);
}

#[test]
fn what_a_plugin_remembers_survives_a_reload_of_it() {
    let orders = Upstream::start();
    let config = counting(&orders, "");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/count", &[]).status, 200);
    let before = gateway.reloads("Replaced");

    gateway.reload_config(&config.replace("ballast = 0", "ballast = 1"));
    eventually("a reload", || (gateway.reloads("Replaced") > before).then_some(()));

    assert_eq!(gateway.get("/count", &[]).status, 200);
    assert_eq!(counts(&orders), ["1", "2"]);
}

#[test]
fn a_full_store_says_so() {
    let orders = Upstream::start();
    let config = counting(&orders, r#"size = "2KiB""#).replace("ballast = 0", "ballast = 600");
    let gateway = Gateway::start(&config);

    let statuses: Vec<u16> = (0..4).map(|_| gateway.get("/count", &[]).status).collect();

    assert_eq!(statuses, [200, 200, 403, 403]);
    let refused = eventually("the line of a refusal", || {
        gateway.access_log().into_iter().find(|line| line["status"] == 403)
    });
    assert_eq!(refused["reason"], "store-refused");
    assert_eq!(gateway.get("/other", &[]).status, 200);
}
