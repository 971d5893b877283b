//! How much may pass, as a configuration says it.

use std::sync::Arc;

use portcullis_config::{Limit, LimitFields, LimitKey, WhenAway};
use portcullis_limits::{Period, Policy, PolicySharing, Quota};

use crate::whole;

/// Limits as a test writes them: their name, how much, and whose.
pub(crate) fn shown(limit: &Limit) -> String {
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

    let [orders, other, ..] = &gateway.apis[..] else { panic!("two apis") };
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
    let Some(PolicySharing::Bucket(sharing)) = limits.ladder[0].sharing else {
        panic!("{:?}", limits.ladder[0].sharing);
    };
    assert_eq!((sharing.share.rate().to_string(), sharing.share.burst()), ("25/s".into(), 50));
    assert_eq!((sharing.terms.most, sharing.terms.life_ns), (12, 500_000_000));
    assert!(limits.ladder[1..].iter().all(|limit| limit.sharing.is_none()));
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

#[test]
fn plans_open_routes_and_are_charged_before_them() {
    let (_folder, gateway) = whole();
    let quotas: Vec<_> = gateway.plans.iter().map(|plan| (&*plan.name, plan.quota)).collect();
    assert_eq!(
        quotas,
        [
            ("gold", Some(Quota::new(100_000, Period::Month))),
            ("trial", Some(Quota::new(1_000, Period::Week))),
        ]
    );
    let sharing = gateway.plans[0].quota_sharing.unwrap();
    assert_eq!((sharing.gateways, sharing.terms.most), (4, 250));
    assert_eq!(gateway.plans[1].quota_sharing, None);
    let [orders, other, ..] = &gateway.apis[..] else { panic!("two apis") };
    let plans = |at: usize| orders.routes[at].limits.plans.as_ref();
    let by_id = plans(0).unwrap();
    assert_eq!(by_id.closed[..], [Arc::clone(&gateway.plans[1])]);
    let [gold] = &by_id.open[..] else { panic!("one plan opens it") };
    let own: Vec<String> = gold.ladder.iter().take(3).map(|limit| shown(limit)).collect();
    assert_eq!(
        own,
        [
            "plan-gold-route 9/m 10 api-key",
            "plan-gold-api 50/s 50 api-key",
            "plan-gold 100/s 300 api-key",
        ]
    );
    let shared: Vec<bool> = gold.ladder.iter().map(|limit| limit.sharing.is_some()).collect();
    assert_eq!(shared[..3], [false, false, true]);
    assert_eq!(gold.ladder[3..], orders.routes[0].limits.ladder[..]);
    assert_eq!(plans(1), None, "it is off");
    let names = |at: usize| plans(at).unwrap().open.iter().map(|open| open.plan.name.to_string());
    assert_eq!(names(2).collect::<Vec<_>>(), ["gold", "trial"]);
    assert_eq!(other.routes[0].limits.plans, None);
}

#[test]
fn shared_limits_are_counted_where_the_file_says() {
    let (_folder, gateway) = whole();

    let shared = gateway.shared_limits.unwrap();

    let redis = shared.redis;
    assert_eq!((redis.host.as_str(), redis.port, redis.database), ("redis.example.com", 7000, 3));
    assert_eq!((redis.tls, redis.user.as_deref()), (true, Some("gate")));
    assert!(redis.password.is_some() && redis.ca.is_some());
    assert_eq!((shared.lease.as_millis(), shared.timeout.as_millis()), (500, 20));
    assert_eq!((shared.gateways, shared.when_away), (4, WhenAway::Deny));
    assert_eq!(shared.prefix, "edge");
}
