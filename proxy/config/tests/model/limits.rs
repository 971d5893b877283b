//! How much may pass, as a configuration says it.

use portcullis_config::{Limit, LimitFields, LimitKey};
use portcullis_limits::Policy;

use crate::whole;

/// Limits as a test writes them: their name, how much, and whose.
fn shown(limit: &Limit) -> String {
    let how_much = match limit.spec.policy {
        Policy::Bucket(bucket) => format!("{} {}", bucket.rate(), bucket.burst()),
        Policy::Fixed(_) | Policy::Sliding(_) => panic!("only limiters have windows"),
        Policy::InFlight(limit) => limit.to_string(),
    };
    let whose = limit.per.as_ref().map_or("all".to_owned(), LimitKey::to_string);
    format!("{} {how_much} {whose}", limit.spec.name)
}

#[test]
fn routes_are_charged_to_their_limits_narrowest_first() {
    let (_folder, gateway) = whole();
    let limits = &gateway.limits;
    assert_eq!((limits.throttle_keys, limits.throttle_ipv6_prefix), (5000, 56));
    assert_eq!(limits.throttle_fields, LimitFields::Always);

    let [orders, other, _] = &gateway.apis[..] else { panic!("three apis") };
    let limits = &orders.routes[0].limits;
    let ladder: Vec<String> = limits.ladder.iter().map(|limit| shown(limit)).collect();
    assert_eq!(
        ladder,
        [
            "route-client 100/s 200 client",
            "route-address 5/m 5 address",
            "route-in-flight-attribute 50 identity:tenant",
            "api-in-flight-usage-key 70 usage-key",
            "api 1000/s 1000 all",
            "all 80 all",
            "everything 10000/s 5000 all",
            "account-in-flight 900 all",
        ]
    );
    assert_eq!((limits.cost, limits.ipv6_prefix), (5, 56));
    let failed = |at: usize| orders.routes[at].limits.failed_authorizations.as_deref().map(shown);
    assert_eq!(failed(0).unwrap(), "failed-authorizations 5/10s 1 address");
    assert_eq!(failed(1), None, "the route is open");
    let other = &other.routes[0].limits;
    assert_eq!((other.ladder.len(), other.cost), (2, 1));
    let failed = other.failed_authorizations.as_deref().map(shown);
    assert_eq!(failed.unwrap(), "failed-authorizations 5/m 20 address");
    for (at, limit) in gateway.throttles.iter().enumerate() {
        assert_eq!(limit.index, at);
    }
}
