use std::sync::Arc;

use portcullis_config::{
    BodyRule, Items, Judge, Many, MediaRange, OtherMediaTypes, ParameterAt, ParameterRule, Range,
    RequestRules, Route, Scalar, ValueKind, ValueRule,
};
use portcullis_pipeline::{BodyMode, PluginFault, Rejection, Value};

use crate::scripted::{Scripted, grant_to, granted, violation};
use crate::sent::Sent;
use crate::served::{admit, guarded, pipeline, plugin};

fn validated() -> Route {
    Route { validators: vec![plugin(1), plugin(2)], ..guarded() }
}

fn scripted() -> Scripted {
    Scripted::default().authorizer(0, |_| granted(grant_to("alice")))
}

fn post() -> Sent {
    Sent::new("POST", "/orders/7")
}

#[tokio::test]
async fn the_violations_of_all_validators_arrive_in_one_400() {
    let plugins = scripted()
        .validator(1, |_| Ok(vec![violation("/a")]))
        .validator(2, |_| Ok(vec![violation("query:b")]));

    let outcome = admit(&pipeline(validated(), plugins), post()).await;

    assert_eq!(outcome.refusal(), (400, "invalid-request"));
    assert_eq!(
        outcome.rejection().answer("r-1").body,
        r#"{"code":"invalid-request","request_id":"r-1","status":400,"title":"Bad Request","type":"about:blank","violations":[{"location":"/a","message":"is odd"},{"location":"query:b","message":"is odd"}]}"#
    );
}

#[tokio::test]
async fn validators_are_asked_in_order_and_only_after_the_authorizer() {
    let plugins = scripted()
        .validator(1, |view| {
            assert_eq!(view.attribute("identity:principal"), Some(Value::Text("alice".into())));
            Ok(Vec::new())
        })
        .validator(2, |_| Ok(Vec::new()));
    let pipeline = pipeline(validated(), plugins);

    admit(&pipeline, post()).await.forward();

    assert_eq!(pipeline.plugins().asked(), [0, 1, 2]);
}

#[tokio::test]
async fn a_validator_that_faults_refuses_the_request() {
    let plugins = scripted().validator(1, |_| Err(PluginFault::CpuTime));

    let outcome = admit(&pipeline(validated(), plugins), post()).await;

    assert_eq!(outcome.refusal(), (503, "plugin-fault"));
}

#[tokio::test]
async fn a_validator_that_may_be_skipped_is_recorded_and_the_others_still_count() {
    let plugins = scripted()
        .skips(1)
        .validator(1, |_| Err(PluginFault::CpuTime))
        .validator(2, |_| Ok(vec![violation("/a")]));

    let outcome = admit(&pipeline(validated(), plugins), post()).await;

    assert_eq!(outcome.refusal(), (400, "invalid-request"));
    assert_eq!(outcome.record.skipped, [("p1".to_owned(), "cpu-time")]);
}

/// `POST /orders/{id}` with these rules.
fn ruled(parameters: Vec<ParameterRule>, bodies: Vec<BodyRule>) -> Route {
    Route { rules: Arc::new(RequestRules { parameters, bodies }), ..guarded() }
}

fn parameter(at: ParameterAt, value: ValueRule) -> ParameterRule {
    ParameterRule { at, required: false, many: Many::One, value }
}

fn limit() -> ParameterRule {
    let least = Some((1.0, portcullis_config::Edge::Within));
    let most = Some((100.0, portcullis_config::Edge::Within));
    let range = Range { least, most };
    let value = ValueRule { kind: ValueKind::Integer, range, ..ValueRule::default() };
    ParameterRule { required: true, ..parameter(ParameterAt::Query("limit".into()), value) }
}

/// What is wrong with a request, as `PLACE: MESSAGE`.
async fn wrong(parameters: Vec<ParameterRule>, request: Sent) -> Vec<String> {
    let outcome = admit(&pipeline(ruled(parameters, Vec::new()), scripted()), request).await;
    match &outcome.admitted {
        Ok(_) => Vec::new(),
        Err(Rejection::Invalid(found)) => {
            found.iter().map(|it| format!("{}: {}", it.location, it.message)).collect()
        }
        Err(other) => vec![other.to_string()],
    }
}

#[tokio::test]
async fn a_required_parameter_is_there_once_and_not_blank() {
    for (target, expected) in [
        ("/orders/7?limit=5", None),
        ("/orders/7?limit=%35", None),
        ("/orders/7", Some("query:limit: is required")),
        ("/orders/7?limit=", Some("query:limit: is required and must not be blank")),
        ("/orders/7?limit=+", Some("query:limit: is required and must not be blank")),
        ("/orders/7?limit=5&limit=6", Some("query:limit: is given more than once")),
        ("/orders/7?limit=101", Some("query:limit: must be at most 100")),
        ("/orders/7?limit=0", Some("query:limit: must be at least 1")),
        ("/orders/7?limit=1.0", Some("query:limit: must be a whole number")),
        ("/orders/7?Limit=5", Some("query:limit: is required")),
    ] {
        let found = wrong(vec![limit()], Sent::new("POST", target)).await;
        assert_eq!(found.first().map(String::as_str), expected, "{target}");
    }
}

#[tokio::test]
async fn headers_path_parameters_and_cookies_are_judged_alike() {
    let colour = || ValueRule {
        one_of: Some(vec![Scalar::Text("red".into()), Scalar::Text("green".into())]),
        max_length: Some(4),
        ..ValueRule::default()
    };
    let rules = || {
        vec![
            parameter(ParameterAt::Header("x-colour".parse().unwrap()), colour()),
            parameter(ParameterAt::Path("id".into()), colour()),
            parameter(ParameterAt::Cookie("colour".into()), colour()),
        ]
    };
    let sent = |colour: &str| {
        Sent::new("POST", &format!("/orders/{colour}"))
            .header("x-colour", colour)
            .header("cookie", &format!("other=1; colour={colour}"))
    };

    assert_eq!(wrong(rules(), sent("red")).await, [""; 0]);
    assert_eq!(
        wrong(rules(), sent("purple")).await,
        [
            "header:x-colour: must be one of red, green",
            "header:x-colour: must have at most 4 characters",
            "path:id: must be one of red, green",
            "path:id: must have at most 4 characters",
            "cookie:colour: must be one of red, green",
            "cookie:colour: must have at most 4 characters",
        ]
    );
}

#[tokio::test]
async fn lists_are_judged_item_by_item() {
    let items = Items { least: None, most: Some(3), distinct: true };
    let number = || ValueRule { kind: ValueKind::Integer, ..ValueRule::default() };
    for (many, good, bad) in [
        (Many::Repeated(items), "ids=1&ids=2", "ids=1&ids=1&ids=x&ids=3"),
        (Many::Separated(',', items), "ids=1,2", "ids=1,1,x,3"),
    ] {
        let rule = || ParameterRule {
            many: many.clone(),
            ..parameter(ParameterAt::Query("ids".into()), number())
        };
        let about = |query: &str| Sent::new("POST", &format!("/orders/7?{query}"));
        assert_eq!(wrong(vec![rule()], about(good)).await, [""; 0]);
        assert_eq!(
            wrong(vec![rule()], about(bad)).await,
            [
                "query:ids: must have at most 3 items",
                "query:ids: must not have equal items",
                "query:ids: must be a whole number",
            ]
        );
    }
}

fn json_body() -> BodyRule {
    let json = MediaRange::parse("application/json").unwrap();
    BodyRule {
        required: true,
        media_types: vec![(json, Judge::Validator(plugin(1)))],
        others: OtherMediaTypes::Refuse,
    }
}

fn judging() -> Scripted {
    scripted()
        .body(1, portcullis_config::Role::Validator, BodyMode::Buffer(50))
        .validator(1, |_| Ok(vec![violation("/a")]))
}

#[tokio::test]
async fn parameters_and_body_are_told_of_in_one_answer() {
    let pipeline = pipeline(ruled(vec![limit()], vec![json_body()]), judging());
    let request = post().header("content-type", "application/json; charset=utf-8").body("{}");

    let outcome = admit(&pipeline, request).await;

    let Rejection::Invalid(found) = outcome.rejection() else { unreachable!() };
    let places: Vec<&str> = found.iter().map(|it| it.location.as_str()).collect();
    assert_eq!(places, ["query:limit", "/a"]);
}

#[tokio::test]
async fn a_body_of_another_media_type_is_refused_unread() {
    let broken = || post().broken(portcullis_pipeline::BodyFault::Broken);
    for request in [
        broken().header("content-type", "text/plain"),
        broken().header("content-type", "application/json").header("content-type", "text/plain"),
        broken().header("content-type", "application/json").header("content-encoding", "gzip"),
        post().body("{}"),
    ] {
        let outcome =
            admit(&pipeline(ruled(Vec::new(), vec![json_body()]), judging()), request).await;
        assert_eq!(outcome.refusal(), (415, "unsupported-media-type"));
        assert_eq!(outcome.rejection().answer("r").headers["accept"], "application/json");
    }
    let passing = BodyRule { others: OtherMediaTypes::Pass, ..json_body() };
    for request in [post().header("content-type", "text/plain").body("x"), post().body("x")] {
        let pipeline = pipeline(ruled(Vec::new(), vec![passing.clone()]), judging());
        admit(&pipeline, request).await.forward();
    }
}

#[tokio::test]
async fn an_absent_body_is_a_violation_where_it_is_required() {
    for (request, required, refused) in [
        (post(), true, true),
        (post().header("content-type", "application/json"), true, true),
        (post(), false, false),
        (post().header("content-type", "application/json"), false, false),
    ] {
        let rule = BodyRule { required, ..json_body() };
        let outcome = admit(&pipeline(ruled(Vec::new(), vec![rule]), judging()), request).await;
        match refused {
            true => assert_eq!(outcome.refusal(), (400, "invalid-request")),
            false => drop(outcome.forward()),
        }
    }
}
