use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_pipeline::{Asked, CacheUse, Denial, Grant, PluginFault, Reason, Value};
use portcullis_policy::Policy;

use crate::scripted::{Scripted, denied, grant_to, granted};
use crate::sent::Sent;
use crate::served::{admit, guarded, pipeline, route};

fn post() -> Sent {
    Sent::new("POST", "/orders/7?q=1")
}

fn reason() -> Reason {
    let header = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
    Reason {
        code: "expired".into(),
        public_text: Some("the token has \"expired\"".into()),
        headers: vec![
            header("www-authenticate", "Bearer"),
            header("connection", "close"),
            header("content-type", "x/y"),
        ],
    }
}

async fn check(answer: fn() -> portcullis_pipeline::AuthorizerAnswer, status: u16, code: &str) {
    let pipeline = pipeline(guarded(), Scripted::default().authorizer(0, move |_| answer()));

    let outcome = admit(&pipeline, post()).await;

    assert_eq!(outcome.refusal(), (status, code));
}

#[tokio::test]
async fn a_request_without_credentials_is_never_forwarded() {
    check(|| denied(Denial::NotMine), 401, "unauthenticated").await;
    check(|| denied(Denial::Unauthenticated(reason())), 401, "unauthenticated").await;
    check(|| denied(Denial::Forbidden(reason())), 403, "forbidden").await;
}

#[tokio::test]
async fn an_authorizer_that_faults_has_not_allowed_the_request() {
    check(|| Err(PluginFault::WallTime), 503, "plugin-fault").await;
    check(|| Err(PluginFault::BreakerOpen), 503, "plugin-fault").await;
}

#[tokio::test]
async fn faults_of_authorizers_are_never_skipped() {
    let plugins = Scripted::default()
        .skips(0)
        .authorizer(0, |_| Err(PluginFault::Trap("unreachable".into())));

    let outcome = admit(&pipeline(guarded(), plugins), post()).await;

    assert_eq!(outcome.refusal(), (503, "plugin-fault"));
    assert_eq!(outcome.decision().reason.as_deref(), Some("trap"));
    assert_eq!(outcome.decision().detail, "authorizer `p0` trapped: unreachable");
}

#[tokio::test]
async fn the_client_reads_only_what_a_denial_says_in_public() {
    let plugins = Scripted::default().authorizer(0, |_| denied(Denial::Unauthenticated(reason())));

    let outcome = admit(&pipeline(guarded(), plugins), post()).await;

    let answer = outcome.rejection().answer("r-1");
    assert_eq!(
        answer.body,
        r#"{"code":"unauthenticated","detail":"the token has \"expired\"","request_id":"r-1","status":401,"title":"Unauthorized","type":"about:blank"}"#
    );
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!answer.headers.contains_key("connection"));
    assert_eq!(outcome.decision().reason.as_deref(), Some("expired"));
}

#[tokio::test]
async fn an_open_route_asks_nobody() {
    let pipeline = pipeline(route("POST /orders/{id}"), Scripted::default());

    let forward = admit(&pipeline, post()).await.forward();

    assert_eq!(forward.identity, None);
    assert!(pipeline.plugins().asked().is_empty());
}

#[tokio::test]
async fn a_granted_request_carries_its_caller_and_the_headers_for_the_response() {
    let header = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let plugins = Scripted::default().authorizer(0, move |_| {
        let response_headers = vec![header("set-cookie", "s=1"), header("content-length", "0")];
        Ok((Ok(Grant { response_headers, ..grant_to("alice") }), CacheUse::Hit))
    });

    let outcome = admit(&pipeline(guarded(), plugins), post()).await;

    assert_eq!(outcome.record.principal.as_deref(), Some("alice"));
    let asked = Asked { authorizer: "p0".into(), cache: CacheUse::Hit };
    assert_eq!(outcome.record.authorizers, [asked]);
    assert_eq!(outcome.record.decision, None);
    let forward = outcome.forward();
    assert_eq!(forward.identity.unwrap().principal, "alice");
    assert_eq!(forward.response_headers, [header("set-cookie", "s=1")]);
}

#[tokio::test]
async fn a_policy_is_evaluated_for_each_request_though_the_grant_is_cached() {
    let plugins = Scripted::default().authorizer(0, |_| {
        let document = r#"{"Statement": [{
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": "arn:aws:execute-api:*/POST/orders/1*"
        }]}"#;
        let allow = Arc::new(Policy::parse(document).unwrap());
        Ok((Ok(Grant { policies: vec![allow], ..grant_to("alice") }), CacheUse::Hit))
    });
    let pipeline = pipeline(guarded(), plugins);

    admit(&pipeline, Sent::new("POST", "/orders/12")).await.forward();
    admit(&pipeline, Sent::new("POST", "/orders/%31")).await.forward();
    let outcome = admit(&pipeline, Sent::new("POST", "/orders/2")).await;

    assert_eq!(outcome.refusal(), (403, "policy-denied"));
    assert_eq!(outcome.record.principal.as_deref(), Some("alice"));
}

#[tokio::test]
async fn an_authorizer_sees_the_request_and_its_facts() {
    let plugins = Scripted::default().authorizer(0, |view| {
        let text = |text: &str| Some(Value::Text(text.into()));
        assert_eq!((view.method(), view.scheme(), view.authority()), ("POST", "https", "api.test"));
        assert_eq!(
            (view.raw_path(), view.path(), view.query()),
            ("/orders/%37", "/orders/7", Some("q=1"))
        );
        assert_eq!(view.attribute("path:id"), text("7"));
        assert_eq!(view.attribute("route:id"), text("POST /orders/{id}"));
        assert_eq!(view.attribute("api:name"), text("shop"));
        assert_eq!(view.attribute("request:id"), text("r-1"));
        assert_eq!(view.attribute("client:address"), text("192.0.2.1"));
        for absent in ["path:no", "identity:principal", "tls:version", "odd", "odd:x"] {
            assert_eq!(view.attribute(absent), None, "{absent}");
        }
        assert_eq!(view.attributes_in("path").len(), 1);
        assert_eq!(view.attributes_in("route").len(), 2);
        assert_eq!(view.attributes_in("identity"), []);
        granted(grant_to("alice"))
    });

    admit(&pipeline(guarded(), plugins), Sent::new("POST", "/orders/%37?q=1")).await.forward();
}
