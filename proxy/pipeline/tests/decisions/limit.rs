use std::net::IpAddr;
use std::sync::Arc;

use portcullis_config::{Limit, LimitFields, LimitKey, Route, RouteLimits};
use portcullis_limits::{Keyed, Policy, Rate, Spec, TokenBucket};
use portcullis_pipeline::{
    Admitted, Denial, Grant, Identity, Pipeline, PluginFault, Reason, Record, Rejection, Throttled,
    Value,
};

use crate::counted::{Counted, Tested};
use crate::scripted::{Scripted, denied, grant_to, granted};
use crate::sent::{Sent, arrival};
use crate::served::{Outcome, admit, api, guarded, plugin, route};

/// Limits, narrowest first: one a second for each key, or so many in flight.
fn ladder(limits: &[(&str, Option<LimitKey>, Policy)]) -> Vec<Arc<Limit>> {
    let limit = |(index, (name, per, policy)): (usize, &(&str, Option<LimitKey>, Policy))| {
        let keyed = if per.is_some() { Keyed::PerKey("k".into()) } else { Keyed::Shared };
        let name = (*name).to_owned();
        let spec = Spec { scope: name.clone(), name, policy: *policy, keyed };
        Arc::new(Limit { index, spec, per: per.clone(), sharing: None })
    };
    limits.iter().enumerate().map(limit).collect()
}

fn a_second(burst: u64) -> Policy {
    Policy::Bucket(TokenBucket::new(Rate::new(1, 1000).unwrap(), burst).unwrap())
}

fn limited(route: Route, ladder: Vec<Arc<Limit>>, plugins: Scripted) -> Tested {
    let specs: Vec<Spec> = ladder.iter().map(|limit| limit.spec.clone()).collect();
    let limits = RouteLimits {
        ladder,
        cost: route.limits.cost.max(1),
        fields: LimitFields::Always,
        ipv6_prefix: 64,
        ..RouteLimits::default()
    };
    let route = Route { limits, ..route };
    Pipeline::new(vec![api("shop", &[], "", vec![route])], plugins, Counted::of(&specs))
}

fn throttled(outcome: &Outcome) -> &Throttled {
    match outcome.rejection() {
        Rejection::Throttled(throttled) => throttled,
        other => panic!("not throttled: {other}"),
    }
}

async fn admit_from(pipeline: &Tested, client: &str, sent: Sent) -> bool {
    admit_with(pipeline, client, sent).await.admitted.is_ok()
}

async fn admit_with(pipeline: &Tested, client: &str, mut sent: Sent) -> Outcome {
    let mut record = Record::default();
    let mut arrival = arrival();
    arrival.client = client.parse::<IpAddr>().unwrap();
    let admitted = pipeline.admit(arrival, &mut sent, &mut record).await;
    Outcome { admitted, record }
}

fn get() -> Sent {
    Sent::new("GET", "/a")
}

#[tokio::test]
async fn the_narrowest_limit_is_named_and_a_refusal_charges_none() {
    let limits =
        ladder(&[("own", Some(LimitKey::Address), a_second(2)), ("all", None, a_second(3))]);
    let pipeline = limited(route("GET /a"), limits, Scripted::default());
    assert!(admit_from(&pipeline, "192.0.2.1", get()).await);
    assert!(admit_from(&pipeline, "192.0.2.1", get()).await);

    for _ in 0..10 {
        let refused = admit_with(&pipeline, "192.0.2.1", get()).await;
        assert_eq!(refused.refusal(), (429, "throttled"));
        assert_eq!(throttled(&refused).limits, ["own"]);
        assert_eq!(refused.record.throttled_by, ["own"]);
    }

    assert!(admit_from(&pipeline, "192.0.2.2", get()).await, "the third of all is still there");
    let refused = admit_with(&pipeline, "192.0.2.2", get()).await;
    assert_eq!(throttled(&refused).limits, ["all"]);
    let refused = admit_with(&pipeline, "192.0.2.1", get()).await;
    assert_eq!(throttled(&refused).limits, ["own", "all"]);
    pipeline.limits().wait_ms(1000);
    assert!(admit_from(&pipeline, "192.0.2.2", get()).await, "its own had one left");
}

#[tokio::test]
async fn a_refusal_says_when_to_come_again() {
    let limits =
        ladder(&[("own", Some(LimitKey::Client), a_second(5)), ("all", None, a_second(9))]);
    let mut pipeline = limited(route("GET /a"), limits.clone(), Scripted::default());
    let first = admit(&pipeline, get()).await.forward();
    assert_eq!(
        first.response_headers.iter().map(|(_, value)| value.to_str().unwrap()).collect::<Vec<_>>(),
        ["\"own\";q=5;w=5, \"all\";q=9;w=9", "\"own\";r=4;t=1, \"all\";r=8;t=1"]
    );

    let mut costly = route("GET /a");
    costly.limits.cost = 4;
    pipeline = limited(costly, limits, Scripted::default());
    for _ in 0..5 {
        admit(&pipeline, get()).await;
    }
    pipeline.limits().wait_ms(300);
    let refused = admit(&pipeline, get()).await;

    let answer = refused.rejection().answer("r-1");
    assert_eq!(answer.headers["retry-after"], "3");
    assert_eq!(answer.headers["ratelimit"], "\"own\";r=0;t=3, \"all\";r=5;t=1");
    assert_eq!(
        answer.body,
        r#"{"code":"throttled","request_id":"r-1","status":429,"title":"Too Many Requests","type":"https://iana.org/assignments/http-problem-types#quota-exceeded","violated-policies":["own"]}"#
    );
}

#[tokio::test]
async fn clients_are_told_apart_by_what_is_known_of_them() {
    let identity = |principal: &str, key: Option<&str>| Grant {
        identity: Arc::new(Identity {
            principal: principal.into(),
            usage_key: key.map(str::to_owned),
            attributes: vec![("tenant".into(), Value::Text("t".into()))],
        }),
        ..Grant::default()
    };
    let who = move |view: portcullis_pipeline::View<'_>| {
        let text = |name: &str| view.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        granted(identity(&text("x-who").unwrap(), text("x-key").as_deref()))
    };
    let sent = |who: &str, key: Option<&str>| {
        let sent = Sent::new("POST", "/orders/7").header("x-who", who);
        match key {
            Some(key) => sent.header("x-key", key),
            None => sent,
        }
    };
    let pipeline = |per: LimitKey| {
        let limits = ladder(&[("own", Some(per), a_second(1))]);
        limited(guarded(), limits, Scripted::default().authorizer(0, who))
    };

    let by_client = pipeline(LimitKey::Client);
    assert!(admit(&by_client, sent("alice", Some("k"))).await.admitted.is_ok());
    assert!(admit(&by_client, sent("bob", Some("k"))).await.admitted.is_err());
    assert!(admit(&by_client, sent("k", None)).await.admitted.is_ok(), "a principal is no key");
    assert!(admit(&by_client, sent("k", None)).await.admitted.is_err());

    let by_key = pipeline(LimitKey::UsageKey);
    assert!(admit(&by_key, sent("alice", None)).await.admitted.is_ok());
    assert!(admit(&by_key, sent("bob", None)).await.admitted.is_err(), "without a key is one");
    assert!(admit(&by_key, sent("bob", Some("k"))).await.admitted.is_ok());

    for (per, same, other) in [
        (LimitKey::Principal, ("alice", Some("z")), Some(("bob", None))),
        (LimitKey::Header("x-who".parse().unwrap()), ("alice", Some("z")), Some(("bob", None))),
        (LimitKey::Attribute("path:id".into()), ("bob", None), None),
        (LimitKey::Attribute("identity:tenant".into()), ("bob", None), None),
        (LimitKey::Attribute("identity:absent".into()), ("bob", None), None),
        (LimitKey::Address, ("bob", None), None),
    ] {
        let pipeline = pipeline(per.clone());
        assert!(admit(&pipeline, sent("alice", None)).await.admitted.is_ok(), "{per:?}");
        assert!(admit(&pipeline, sent(same.0, same.1)).await.admitted.is_err(), "{per:?}");
        if let Some((who, key)) = other {
            assert!(admit(&pipeline, sent(who, key)).await.admitted.is_ok(), "{per:?}");
        }
    }
}

#[tokio::test]
async fn addresses_of_one_ipv6_network_are_one() {
    let limits = ladder(&[("own", Some(LimitKey::Address), a_second(1))]);
    let pipeline = limited(route("GET /a"), limits, Scripted::default());

    assert!(admit_from(&pipeline, "2001:db8::1", get()).await);
    assert!(!admit_from(&pipeline, "2001:db8::ffff:1", get()).await);
    assert!(admit_from(&pipeline, "2001:db8:0:1::1", get()).await);
    assert!(admit_from(&pipeline, "192.0.2.1", get()).await);
    assert!(!admit_from(&pipeline, "::ffff:192.0.2.1", get()).await);
    assert!(admit_from(&pipeline, "192.0.2.2", get()).await);
}

#[tokio::test]
async fn a_place_in_flight_is_held_as_long_as_the_record() {
    let limits = ladder(&[
        ("flight", Some(LimitKey::Address), Policy::InFlight(1)),
        ("all", None, a_second(2)),
    ]);
    let pipeline = limited(route("GET /a"), limits, Scripted::default());
    let first = admit(&pipeline, get()).await;
    assert!(first.admitted.is_ok());

    let refused = admit(&pipeline, get()).await;
    assert_eq!(refused.refusal(), (429, "too-many-in-flight"));
    drop(first);

    assert!(admit(&pipeline, get()).await.admitted.is_ok(), "the refusal took nothing of `all`");
    let refused = admit(&pipeline, get()).await;
    assert_eq!(throttled(&refused).limits, ["all"]);
    pipeline.limits().wait_ms(1000);
    assert!(admit(&pipeline, get()).await.admitted.is_ok(), "the refusal held no place");
}

#[tokio::test]
async fn nobody_is_charged_who_is_not_authorized_or_whose_route_costs_nothing() {
    let limits = ladder(&[("all", None, a_second(1))]);
    let denying = Scripted::default().authorizer(0, |view| {
        if view.headers().contains_key("x-good") {
            granted(grant_to("alice"))
        } else {
            denied(Denial::NotMine)
        }
    });
    let pipeline = limited(guarded(), limits.clone(), denying);
    let post = || Sent::new("POST", "/orders/7");
    for _ in 0..5 {
        assert_eq!(admit(&pipeline, post()).await.refusal(), (401, "unauthenticated"));
    }
    assert!(admit(&pipeline, post().header("x-good", "1")).await.admitted.is_ok());
    assert!(admit(&pipeline, post().header("x-good", "1")).await.admitted.is_err());

    let specs: Vec<Spec> = limits.iter().map(|limit| limit.spec.clone()).collect();
    let free = Route {
        limits: RouteLimits { ladder: limits, cost: 0, ..RouteLimits::default() },
        ..route("GET /a")
    };
    let pipeline: Tested = Pipeline::new(
        vec![api("shop", &[], "", vec![free])],
        Scripted::default(),
        Counted::of(&specs),
    );
    for _ in 0..5 {
        assert!(admit(&pipeline, get()).await.admitted.is_ok());
    }
}

#[tokio::test]
async fn the_limit_comes_before_the_validators() {
    let limits = ladder(&[("all", None, a_second(1))]);
    let route = Route { validators: vec![plugin(1)], ..route("GET /a") };
    let plugins = Scripted::default().validator(1, |_| Ok(Vec::new()));
    let pipeline = limited(route, limits, plugins);
    assert!(admit(&pipeline, get()).await.admitted.is_ok());

    assert!(admit(&pipeline, get()).await.admitted.is_err());

    assert_eq!(pipeline.plugins().asked(), [1]);
}

#[tokio::test]
async fn an_address_with_too_many_failures_is_refused_before_the_authorizer() {
    let failures = ladder(&[("failed-authorizations", Some(LimitKey::Address), a_second(2))]);
    let specs: Vec<Spec> = failures.iter().map(|limit| limit.spec.clone()).collect();
    let limits = RouteLimits {
        failed_authorizations: failures.first().cloned(),
        ipv6_prefix: 64,
        ..RouteLimits::default()
    };
    let plugins = Scripted::default().authorizer(0, |view| match view.headers().get("x-say") {
        Some(say) if say == "yes" => granted(grant_to("alice")),
        Some(say) if say == "fault" => Err(PluginFault::CpuTime),
        _ => denied(Denial::Unauthenticated(Reason::default())),
    });
    let route = Route { limits, ..guarded() };
    let pipeline: Tested =
        Pipeline::new(vec![api("shop", &[], "", vec![route])], plugins, Counted::of(&specs));
    let say = |say: &str| Sent::new("POST", "/orders/7").header("x-say", say);
    for _ in 0..5 {
        assert!(admit(&pipeline, say("yes")).await.admitted.is_ok());
        assert_eq!(admit(&pipeline, say("fault")).await.refusal(), (503, "plugin-fault"));
    }
    assert_eq!(admit(&pipeline, say("no")).await.refusal(), (401, "unauthenticated"));
    assert_eq!(admit(&pipeline, say("no")).await.refusal(), (401, "unauthenticated"));

    let asked = pipeline.plugins().asked().len();
    let refused = admit(&pipeline, say("yes")).await;

    assert_eq!(refused.refusal(), (429, "too-many-failed-authorizations"));
    assert_eq!(refused.record.throttled_by, ["failed-authorizations"]);
    assert_eq!(pipeline.plugins().asked().len(), asked);
    assert!(matches!(
        admit_with(&pipeline, "192.0.2.9", say("yes")).await.admitted,
        Ok(Admitted::Forward(_))
    ));
    pipeline.limits().wait_ms(1000);
    assert!(admit(&pipeline, say("yes")).await.admitted.is_ok());
}
