//! What requests are charged to, natively.

use portcullis_plugin_sdk::testing::configured;
use portcullis_plugin_sdk::{Charge, Limiter, Request, SettingsError};
use serde_json::{Value, json};

use super::RateLimit;

fn limiter(settings: Value) -> RateLimit {
    configured(settings).unwrap()
}

fn refused(settings: Value) -> SettingsError {
    configured::<RateLimit>(settings).unwrap_err()
}

fn names(charges: &[Charge]) -> Vec<(&str, u64)> {
    charges.iter().map(|charge| (charge.limit.as_str(), charge.cost)).collect()
}

fn tiers() -> RateLimit {
    limiter(json!({
        "tier": "identity:tier",
        "default_tier": "free",
        "limits": {
            "free": { "limit": 10, "per": "1m", "by": ["client"], "tiers": ["free"] },
            "gold": { "limit": 1000, "per": "1m", "by": ["client"], "tiers": ["gold"] },
            "monthly": {
                "algorithm": "fixed-window", "limit": 5000, "per": "month",
                "by": ["identity:tenant"], "costs": { "search": 10, "ping": 0 },
            },
            "searches": { "algorithm": "in-flight", "limit": 3, "uses": ["search"] },
        },
    }))
}

#[test]
fn tiers_and_uses_choose_the_limits() {
    let limiter = tiers();
    let request = |tier: &str, used: &str| {
        Request::get("/").with_attribute("identity:tier", tier).with_argument(used)
    };

    let charges = limiter.limit(&request("gold", "other"));
    assert_eq!(names(&charges), [("gold", 1), ("monthly", 1)]);
    let charges = limiter.limit(&request("free", "search"));
    assert_eq!(names(&charges), [("free", 1), ("monthly", 10), ("searches", 1)]);
    let charges = limiter.limit(&request("made-up", "ping"));
    assert_eq!(names(&charges), [("free", 1)]);
    assert_eq!(names(&limiter.limit(&Request::get("/"))), [("free", 1), ("monthly", 1)]);
}

#[test]
fn keys_tell_callers_apart_and_nothing_else() {
    let by =
        |by: Value| limiter(json!({ "limits": { "a": { "limit": 1, "per": "1s", "by": by } } }));
    let key = |limiter: &RateLimit, request: &Request| limiter.limit(request)[0].key.clone();
    let from = |address: &str| {
        let mut request = Request::get("/");
        request.client_address = address.to_owned();
        request
    };

    let client = by(json!(["client"]));
    let alice = from("192.0.2.1").with_attribute("identity:principal", "alice");
    let elsewhere = from("192.0.2.9").with_attribute("identity:principal", "alice");
    assert_eq!(key(&client, &alice), key(&client, &elsewhere));
    assert_ne!(key(&client, &alice), key(&client, &from("192.0.2.1")));
    let used = elsewhere.with_attribute("identity:usage-key", "alice");
    assert_ne!(key(&client, &alice), key(&client, &used));

    let address = by(json!(["address"]));
    assert_eq!(key(&address, &from("192.0.2.1")), key(&address, &from("::ffff:192.0.2.1")));
    assert_eq!(key(&address, &from("2001:db8::1")), key(&address, &from("2001:db8::2:1")));
    assert_ne!(key(&address, &from("2001:db8::1")), key(&address, &from("2001:db8:0:1::1")));

    let two = by(json!(["header:a", "header:b"]));
    let header = |name: &str, value: &str| Request::get("/").with_header(name, value);
    assert_ne!(key(&two, &header("a", "x")), key(&two, &header("b", "x")));
    let long = "x".repeat(5000);
    assert_eq!(key(&two, &header("a", &long)).len(), 32);
    assert_ne!(key(&two, &header("a", &long)), key(&two, &header("b", &long)));
    let shared = by(json!([]));
    assert_eq!(key(&shared, &header("a", "x")), Vec::<u8>::new());
}

#[test]
fn settings_that_make_no_sense_are_refused_where_they_stand() {
    let limit = |limit: Value| refused(json!({ "limits": { "a": limit } })).pointer;
    assert_eq!(refused(json!({ "limits": {} })).pointer, "/limits");
    assert_eq!(limit(json!({ "limit": 0, "per": "1s" })), "/limits/a/limit");
    assert_eq!(limit(json!({ "limit": 1 })), "/limits/a");
    assert_eq!(limit(json!({ "limit": 1, "per": "soon" })), "/limits/a/per");
    assert_eq!(limit(json!({ "limit": 1, "per": "month" })), "/limits/a/per");
    assert_eq!(limit(json!({ "limit": 1, "per": "1s", "by": ["who"] })), "/limits/a/by/0");
    assert_eq!(limit(json!({ "limit": 1, "per": "1s", "cost": 2 })), "/limits/a");
    assert_eq!(limit(json!({ "limit": 1, "per": "1s", "tiers": ["x"] })), "");
    let in_flight = json!({ "algorithm": "in-flight", "limit": 1, "per": "1s" });
    assert_eq!(limit(in_flight), "/limits/a/per");
    let window = json!({ "algorithm": "fixed-window", "limit": 1, "per": "1s", "burst": 2 });
    assert_eq!(limit(window), "/limits/a/burst");
    let tiers = |tier: Value, default: Value| {
        let limits = json!({ "a": { "limit": 1, "per": "1s", "tiers": ["x"] } });
        refused(json!({ "limits": limits, "tier": tier, "default_tier": default })).pointer
    };
    assert_eq!(tiers(json!("identity:tier"), json!("y")), "/default_tier");
    assert_eq!(tiers(json!("client"), json!("x")), "/tier");
}
