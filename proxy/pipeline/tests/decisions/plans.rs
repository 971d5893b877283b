//! Usage plans: who passes with one, what is charged, and in which order.

use std::sync::Arc;

use portcullis_config::{
    Limit, LimitFields, LimitKey, Plan, Route, RouteLimits, RoutePlan, RoutePlans,
};
use portcullis_limits::{Keyed, Period, Policy, Quota, Rate, Spec, TokenBucket};
use portcullis_pipeline::{Grant, Identity, Pipeline, Rejection};

use crate::counted::{Counted, Tested};
use crate::scripted::{Scripted, granted};
use crate::sent::Sent;
use crate::served::{Outcome, admit, api, guarded};

/// A limit of one a second, with room for so many at once.
fn limit(index: usize, name: &str, per: Option<LimitKey>, burst: u64) -> Arc<Limit> {
    let rate = Rate::new(1, 1000).unwrap();
    let policy = Policy::Bucket(TokenBucket::new(rate, burst).unwrap());
    let keyed = if per.is_some() { Keyed::PerKey("k".into()) } else { Keyed::Shared };
    let spec = Spec { scope: name.into(), name: name.into(), policy, keyed };
    Arc::new(Limit { index, spec, per, sharing: None })
}

fn plan(name: &str, quota: Option<u64>) -> Arc<Plan> {
    let quota = quota.map(|limit| Quota::new(limit, Period::Month));
    Arc::new(Plan { name: name.into(), quota, quota_sharing: None })
}

/// A route that plan `gold` opens, with three a month, two at once for each account, and
/// five at once for all; and `closed` does not.
fn pipeline() -> Tested {
    let (own, all) = (limit(0, "plan-gold", Some(LimitKey::Account), 2), limit(1, "all", None, 5));
    let specs = [own.spec.clone(), all.spec.clone()];
    let open = RoutePlan { plan: plan("gold", Some(3)), ladder: vec![own, Arc::clone(&all)] };
    let limits = RouteLimits {
        ladder: vec![all],
        cost: 1,
        plans: Some(RoutePlans { open: vec![open], closed: vec![plan("closed", None)] }),
        fields: LimitFields::Always,
        ..RouteLimits::default()
    };
    let route = Route { limits, ..guarded() };
    let plugins = Scripted::default().authorizer(0, |view| {
        let usage_key = view.headers().get("x-key").map(|key| key.to_str().unwrap().to_owned());
        let identity = Identity { principal: "alice".into(), usage_key, ..Identity::default() };
        granted(Grant { identity: identity.into(), ..Grant::default() })
    });
    let counted = Counted::of(&specs)
        .with_key("one", "gold", "account")
        .with_key("rotated", "gold", "account")
        .with_key("other", "gold", "another")
        .with_key("closed", "closed", "closed")
        .with_key("gone", "gone", "gone")
        .with_key("none", "", "none");
    Pipeline::new(vec![api("shop", &[], "", vec![route])], plugins, counted)
}

async fn ask(pipeline: &Tested, key: &str) -> Outcome {
    admit(pipeline, Sent::new("POST", "/orders/7").header("x-key", key)).await
}

#[tokio::test]
async fn nobody_passes_without_a_plan_that_opens_the_route() {
    let pipeline = pipeline();
    for (key, code, reason) in [
        ("unknown", "no-usage-plan", Some("unknown-usage-key")),
        ("none", "no-usage-plan", Some("no-plan")),
        ("gone", "unknown-usage-plan", None),
        ("closed", "not-in-usage-plan", None),
    ] {
        let refused = ask(&pipeline, key).await;
        assert_eq!(refused.refusal(), (403, code), "{key}");
        let decision = refused.rejection().decision();
        assert_eq!(decision.reason.as_deref(), reason, "{key}");
    }
    let without = admit(&pipeline, Sent::new("POST", "/orders/7")).await;
    assert_eq!(without.refusal(), (403, "no-usage-plan"));
    assert_eq!(ask(&pipeline, "gone").await.record.usage_plan.as_deref(), Some("gone"));
    assert!(ask(&pipeline, "one").await.admitted.is_ok(), "refusals took nothing");
}

#[tokio::test]
async fn keys_of_an_account_share_bucket_and_quota_and_others_do_not() {
    let pipeline = pipeline();
    assert!(ask(&pipeline, "one").await.admitted.is_ok());
    assert!(ask(&pipeline, "rotated").await.admitted.is_ok());
    let refused = ask(&pipeline, "one").await;
    assert_eq!(refused.refusal(), (429, "throttled"));
    assert_eq!(refused.record.throttled_by, ["plan-gold"]);
    assert!(ask(&pipeline, "other").await.admitted.is_ok());
    assert_eq!(pipeline.limits().counted("one"), 2, "a throttled request is not counted");

    pipeline.limits().wait_ms(2000);
    assert!(ask(&pipeline, "rotated").await.admitted.is_ok());
    let refused = ask(&pipeline, "one").await;
    assert_eq!(refused.refusal(), (429, "quota-exceeded"));
    assert_eq!(refused.record.throttled_by, ["plan-gold-quota"]);
    let Rejection::Throttled(throttled) = refused.rejection() else { panic!("a quota") };
    // The test's clock of periods stands at the beginning of January 1970.
    assert_eq!(throttled.retry_after_s, 31 * 24 * 3600);
    assert_eq!(throttled.fields[0].1, "\"plan-gold-quota\";q=3");
    assert_eq!(throttled.fields[1].1, "\"plan-gold-quota\";r=0;t=2678400");
}

#[tokio::test]
async fn a_spent_quota_takes_nothing_of_throttles() {
    let pipeline = pipeline();
    for _ in 0..3 {
        assert!(ask(&pipeline, "one").await.admitted.is_ok());
        pipeline.limits().wait_ms(1000);
    }
    for _ in 0..20 {
        assert_eq!(ask(&pipeline, "one").await.refusal(), (429, "quota-exceeded"));
    }
    assert!(ask(&pipeline, "other").await.admitted.is_ok());
    assert_eq!(pipeline.limits().counted("one"), 3);
}
