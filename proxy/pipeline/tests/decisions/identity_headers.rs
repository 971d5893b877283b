use std::sync::Arc;

use http::HeaderMap;
use portcullis_config::{Access, IdentityHeader, Route};
use portcullis_pipeline::{Grant, Identity, RequestOutcome, Value};
use proptest::prelude::*;

use crate::scripted::{Scripted, granted};
use crate::sent::Sent;
use crate::served::{admit, guarded, pipeline, plugin};

fn table(headers: &[(&str, &str)]) -> Arc<[IdentityHeader]> {
    let header = |(name, attribute): &(&str, &str)| IdentityHeader {
        name: name.parse().unwrap(),
        attribute: (*attribute).to_owned(),
    };
    headers.iter().map(header).collect()
}

fn naming(value: Value) -> Scripted {
    Scripted::default().authorizer(0, move |_| {
        let attributes = vec![("a".to_owned(), value.clone())];
        let usage_key = Some("key-7".to_owned());
        let identity = Identity { principal: "alice".into(), attributes, usage_key };
        granted(Grant { identity: identity.into(), ..Grant::default() })
    })
}

fn post() -> Sent {
    Sent::new("POST", "/orders/7").header("x-a", "forged").header("x-other", "kept")
}

async fn sent_on(value: Value, headers: &[(&str, &str)], sent: Sent) -> HeaderMap {
    let route = Route { identity_headers: table(headers), ..guarded() };
    let forward = admit(&pipeline(route, naming(value)), sent).await.forward();
    forward.outgoing.headers.unwrap()
}

async fn check(value: Value, attribute: &str, expected: Option<&str>) {
    let headers = sent_on(value.clone(), &[("x-a", attribute)], post()).await;
    let all: Vec<_> = headers.get_all("x-a").iter().map(http::HeaderValue::as_bytes).collect();
    let expected: Vec<_> = expected.iter().map(|text| text.as_bytes()).collect();
    assert_eq!(all, expected, "{value:?}");
    assert_eq!(headers["x-other"], "kept");
}

#[tokio::test]
async fn the_upstream_learns_what_the_gateway_knows() {
    let a = "identity:a";
    let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|it| (*it).to_owned()).collect());
    check(Value::Text("alice".into()), a, Some("alice")).await;
    check(Value::Text("Zoë".into()), a, Some("Zoë")).await;
    check(Value::Text(String::new()), a, Some("")).await;
    check(Value::Integer(-3), a, Some("-3")).await;
    check(Value::Boolean(true), a, Some("true")).await;
    check(texts(&["a", "b"]), a, Some("a,b")).await;
    check(Value::Integer(1), "identity:principal", Some("alice")).await;
    check(Value::Integer(1), "identity:usage-key", Some("key-7")).await;
    check(Value::Integer(1), "path:id", Some("7")).await;
    check(Value::Integer(1), "request:id", Some("r-1")).await;
}

#[tokio::test]
async fn what_cannot_be_told_as_it_is_is_not_told() {
    let a = "identity:a";
    for text in ["a\r\nx-admin: 1", "a\0", " alice", "alice\t", &"a".repeat(8193)] {
        check(Value::Text(text.into()), a, None).await;
        check(Value::Texts(vec!["b".into(), text.into()]), a, None).await;
    }
    check(Value::Texts(vec!["a,admin".into()]), a, None).await;
    check(Value::Texts(vec!["a".into(), String::new()]), a, None).await;
    check(Value::Texts(Vec::new()), a, None).await;
    check(Value::Bytes(vec![1]), a, None).await;
    check(Value::Integer(1), "identity:no-such", None).await;
    check(Value::Integer(1), "tls:client-certificate.sha256", None).await;
}

#[tokio::test]
async fn digests_are_told_in_hexadecimal() {
    let route = Route { identity_headers: table(&[("x-a", "identity:sha256")]), ..guarded() };
    let plugins = Scripted::default().authorizer(0, |_| {
        let attributes = vec![("sha256".to_owned(), Value::Bytes(vec![0, 171]))];
        granted(Grant {
            identity: Identity { attributes, ..Identity::default() }.into(),
            ..Grant::default()
        })
    });

    let forward = admit(&pipeline(route, plugins), post()).await.forward();

    assert_eq!(forward.outgoing.headers.unwrap()["x-a"], "00ab");
}

#[tokio::test]
async fn what_clients_send_by_these_names_is_taken_off_always() {
    let forged = || post().header("x_a", "forged").header("X-a", "forged").header("x.a", "forged");
    let route = Route {
        access: Access::Open,
        identity_headers: table(&[("x-a", "identity:principal")]),
        ..guarded()
    };

    let open = admit(&pipeline(route, Scripted::default()), forged()).await.forward();
    let missing = sent_on(Value::Integer(1), &[("x-a", "identity:b")], forged()).await;

    for headers in [open.outgoing.headers.unwrap(), missing] {
        let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["host", "x-other"]);
    }
}

#[tokio::test]
async fn a_client_cannot_have_the_header_taken_off_by_naming_it_as_its_connections() {
    let sent = post().header("connection", "x-a, x-other, close");

    let headers = sent_on(Value::Text("alice".into()), &[("x-a", "identity:a")], sent).await;

    assert_eq!(headers["x-a"], "alice");
    assert!(!headers.contains_key("x-other"));
}

#[tokio::test]
async fn authorizers_see_what_was_sent_and_transforms_what_will_be() {
    let plugins = Scripted::default()
        .authorizer(0, |view| {
            assert_eq!(view.headers()["x-a"], "forged");
            granted(Grant {
                identity: Identity { principal: "alice".into(), ..Identity::default() }.into(),
                ..Grant::default()
            })
        })
        .request_transform(1, |view| {
            assert_eq!(view.headers()["x-a"], "alice");
            Ok(RequestOutcome::Edit(Vec::new()))
        });
    let route = Route {
        identity_headers: table(&[("x-a", "identity:principal")]),
        request_transforms: vec![plugin(1)],
        ..guarded()
    };

    admit(&pipeline(route, plugins), post()).await.forward();
}

proptest! {
    #[test]
    fn no_value_makes_more_than_its_header(value in any::<String>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let headers = runtime.block_on(sent_on(
            Value::Text(value.clone()),
            &[("x-a", "identity:a")],
            post(),
        ));
        let told: Vec<_> = headers.get_all("x-a").iter().collect();
        prop_assert!(told.len() <= 1);
        prop_assert!(told.iter().all(|told| told.as_bytes() == value.as_bytes()));
        prop_assert_eq!(headers.keys_len(), 2 + told.len());
    }
}
