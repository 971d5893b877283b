use portcullis_config::Route;
use portcullis_pipeline::{PluginFault, Value};

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
