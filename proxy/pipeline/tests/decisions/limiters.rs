use std::sync::Arc;

use portcullis_config::{Limit, LimitFields, Route, RouteLimits};
use portcullis_limits::{Keyed, Policy, Rate, Spec, TokenBucket};
use portcullis_pipeline::{
    GivesBack, LimiterCharge, LimiterLimit, Pipeline, PluginFault, Rejection,
};

use crate::counted::{Counted, Tested};
use crate::scripted::{Scripted, violation};
use crate::sent::Sent;
use crate::served::{Outcome, admit, api, plugin, route};

fn spec(name: &str, policy: Policy) -> Spec {
    let keyed = Keyed::PerKey("k".into());
    Spec { scope: name.into(), name: name.into(), policy, keyed }
}

fn limit(index: usize, name: &str, policy: Policy) -> Arc<Limit> {
    Arc::new(Limit { index, spec: spec(name, policy), per: None, sharing: None })
}

fn a_second(burst: u64) -> Policy {
    Policy::Bucket(TokenBucket::new(Rate::new(1, 1000).unwrap(), burst).unwrap())
}

fn charge(limit: usize, key: &str, cost: u64) -> LimiterCharge {
    LimiterCharge { limit, key: key.into(), cost }
}

/// A route with limiter 5, whose plan has these limits, beside a throttle of three for all.
fn limited(
    planned: &[(&str, Policy, GivesBack)],
    route: Route,
    plugins: impl FnOnce(Scripted, Vec<LimiterLimit>) -> Scripted,
) -> Tested {
    let wide = limit(0, "all", a_second(3));
    let limits = planned.iter().enumerate().map(|(at, (name, policy, gives_back))| LimiterLimit {
        limit: limit(at + 1, name, *policy),
        gives_back: *gives_back,
    });
    let limits: Vec<LimiterLimit> = limits.collect();
    let mut specs = vec![wide.spec.clone()];
    specs.extend(limits.iter().map(|it| it.limit.spec.clone()));
    let route_limits = RouteLimits {
        ladder: vec![wide],
        cost: 1,
        fields: LimitFields::Always,
        ipv6_prefix: 64,
        ..RouteLimits::default()
    };
    let route = Route { limits: route_limits, limiters: vec![plugin(5)], ..route };
    let plugins = plugins(Scripted::default(), limits);
    Pipeline::new(vec![api("shop", &[], "", vec![route])], plugins, Counted::of(&specs))
}

fn throttled(outcome: &Outcome) -> Vec<String> {
    match outcome.rejection() {
        Rejection::Throttled(throttled) => throttled.limits.clone(),
        other => panic!("not throttled: {other}"),
    }
}

fn get(path: &str) -> Sent {
    Sent::new("GET", path)
}

#[tokio::test]
async fn what_a_limiter_says_is_charged_with_the_throttles_or_nothing_is() {
    let planned =
        [("own", a_second(2), GivesBack::Never), ("dear", a_second(12), GivesBack::Never)];
    let pipeline = limited(&planned, route("GET /{who}"), |plugins, limits| {
        plugins.limiter(5, limits, |view| {
            let who = view.path().trim_start_matches('/').to_owned();
            Ok(vec![charge(0, &who, 1), charge(1, "", 4)])
        })
    });

    let first = admit(&pipeline, get("/alice")).await.forward();
    assert_eq!(
        first.response_headers.iter().map(|(_, value)| value.to_str().unwrap()).collect::<Vec<_>>(),
        [
            "\"own\";q=2;w=2, \"dear\";q=12;w=12, \"all\";q=3;w=3",
            "\"own\";r=1;t=1, \"dear\";r=8;t=1, \"all\";r=2;t=1"
        ]
    );
    admit(&pipeline, get("/alice")).await.forward();
    let refused = admit(&pipeline, get("/alice")).await;
    assert_eq!(refused.refusal(), (429, "throttled"));
    assert_eq!(throttled(&refused), ["own"]);
    // Nothing was taken by the refusal: the third of all is still there.
    admit(&pipeline, get("/bob")).await.forward();
    let refused = admit(&pipeline, get("/carol")).await;
    assert_eq!(throttled(&refused), ["dear", "all"]);
}

#[tokio::test]
async fn what_was_taken_is_given_back_where_a_later_phase_refuses() {
    for (gives_back, left) in [(GivesBack::IfRefused, true), (GivesBack::Never, false)] {
        let mut invalid = route("POST /a");
        invalid.validators = vec![plugin(6)];
        let planned = [("own", a_second(1), gives_back)];
        let pipeline = limited(&planned, invalid, |plugins, limits| {
            let plugins = plugins.limiter(5, limits, |_| Ok(vec![charge(0, "", 1)]));
            plugins.validator(6, |view| {
                let is_valid = view.headers().contains_key("x-valid");
                Ok(if is_valid { Vec::new() } else { vec![violation("/a")] })
            })
        });

        assert_eq!(admit(&pipeline, Sent::new("POST", "/a")).await.refusal().0, 400);
        let second = admit(&pipeline, Sent::new("POST", "/a").header("x-valid", "1")).await;
        assert_eq!(second.admitted.is_ok(), left, "{gives_back:?}");
    }
}

#[tokio::test]
async fn a_limiter_that_faults_lets_nothing_pass_unless_it_may_be_skipped() {
    let faulty =
        |plugins: Scripted, limits| plugins.limiter(5, limits, |_| Err(PluginFault::CpuTime));
    let pipeline = limited(&[], route("GET /a"), faulty);
    assert_eq!(admit(&pipeline, get("/a")).await.refusal(), (503, "plugin-fault"));

    let pipeline =
        limited(&[], route("GET /a"), |plugins, limits| faulty(plugins, limits).skips(5));
    let skipped = admit(&pipeline, get("/a")).await;
    assert_eq!(skipped.record.skipped, [("p5".to_owned(), "cpu-time")]);
    skipped.forward();
}

#[tokio::test]
async fn places_in_flight_of_a_limiter_are_free_again_after_the_exchange() {
    let planned = [("busy", Policy::InFlight(1), GivesBack::Never)];
    let pipeline = limited(&planned, route("GET /a"), |plugins, limits| {
        plugins.limiter(5, limits, |_| Ok(vec![charge(0, "k", 7)]))
    });

    let first = admit(&pipeline, get("/a")).await;
    assert_eq!(first.record.permits.len(), 1);
    assert_eq!(admit(&pipeline, get("/a")).await.refusal(), (429, "too-many-in-flight"));
    drop(first);
    admit(&pipeline, get("/a")).await.forward();
}
