//! What a shared limit gave for a request that another limit refuses is there for others.

use portcullis_tests::{Gateway, Redis, eventually};

use crate::shared_limits::url;

/// More keys than there is room for leases.
const TENANTS: usize = 120;

#[test]
fn tokens_of_keys_without_a_lease_go_back_where_another_limit_refuses() {
    let redis = Redis::start();
    let gateway = Gateway::start(&format!(
        r#"
        authorizer = "none"
        limits = {{ throttle_keys = 1 }}
        shared_limits = {{ redis = "{}", gateways = 2, timeout = "10s", lease = "1m", prefix = "edge" }}
        [apis.shop]
        throttle = {{ rate = "2/31d", burst = 3, per = "header:x-tenant", shared = true }}
        [apis.shop.routes."GET /closed"]
        respond = {{}}
        throttle = {{ rate = "2/31d", burst = 1, shared = true }}
        [apis.shop.routes."GET /open"]
        respond = {{}}
        "#,
        url(&redis)
    ));
    gateway.wait_for_metric("Redis to be there", |metrics| {
        metrics.sum("portcullis_shared_limits_up", &[]) == 1.0
    });
    let mut client = gateway.connect();
    let mut ask = |target: &str, tenant: usize| {
        let tenant = tenant.to_string();
        client.request("GET", target, &[("x-tenant", &tenant)], b"").status
    };
    assert_eq!(ask("/closed", TENANTS), 200);

    for tenant in 0..TENANTS {
        for _ in 0..2 {
            assert_eq!(ask("/closed", tenant), 429, "{tenant}");
        }
    }
    // A bucket that is full again is forgotten in a second; those of leases are not, nor the
    // closed one, nor the one that connections are tried with.
    let leases = gateway.metric("portcullis_shared_limit_leases", &[]);
    assert!(leases < TENANTS as f64, "{leases}");
    eventually("what was taken to be given back", || {
        let keys = redis.ask(&["KEYS", "edge:limit:*"]).len();
        (keys as f64 <= leases + 2.0).then_some(())
    });

    for tenant in 0..TENANTS {
        let passed = (0..5).filter(|_| ask("/open", tenant) == 200).count();
        assert_eq!(passed, 3, "{tenant}");
    }
    assert_eq!(gateway.metric("portcullis_shared_limits_away_total", &[]), 0.0);
}
