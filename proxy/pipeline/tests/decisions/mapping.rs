use std::sync::Arc;

use http::HeaderName;
use portcullis_config::{
    Change, RequestMapping, ResponseChanges, ResponseMapping, Route, StatusMatch, Template,
};
use portcullis_pipeline::{
    Answered, CanonicalPath, Grant, HeldBody, Identity, Outgoing, Record, RequestEdit,
    RequestOutcome, ResponseNeed, Value,
};
use proptest::prelude::*;

use crate::scripted::{Scripted, granted};
use crate::sent::Sent;
use crate::served::{Outcome, admit, guarded, pipeline, plugin, route};

const TOLD: HeaderName = HeaderName::from_static("x-told");

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn mapped(mapping: RequestMapping) -> Route {
    Route { request: Some(Arc::new(mapping)), ..route("POST /orders/{id}") }
}

fn telling(text: &str) -> Route {
    let headers = vec![Change::Set(TOLD, template(text))];
    mapped(RequestMapping { headers, body: Some(50), ..RequestMapping::default() })
}

async fn send(route: Route, sent: Sent) -> Outcome {
    admit(&pipeline(route, Scripted::default()), sent).await
}

async fn check(text: &str, expected: Option<&str>) {
    let sent = Sent::new("POST", "/orders/%37?q=1&q=2&e=")
        .header("x-told", "forged")
        .header("x_told", "forged")
        .header("x-a", "1")
        .header("x-a", "2")
        .body(r#"{"id": "o-1", "n": [1, 2]}"#);
    let headers = send(telling(text), sent).await.forward().outgoing.headers.unwrap();
    let told: Vec<_> = headers.get_all(TOLD).iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{text}");
    assert!(!headers.contains_key("x_told"), "{text}");
}

#[tokio::test]
async fn placeholders_stand_for_what_the_gateway_knows() {
    check("plain", Some("plain")).await;
    check("{header:x-a}", Some("1,2")).await;
    check("{query:q}", Some("1,2")).await;
    check("[{query:e}]", Some("[]")).await;
    check("{path:id}", Some("7")).await;
    check("{body:$.id}/{body:$.n}", Some("o-1/1,2")).await;
    check("{request:id} {request:method}", Some("r-1 POST")).await;
    check("{request:path} {request:host}", Some("/orders/7 api.test")).await;
    check("{client:address}", Some("192.0.2.1")).await;
    check("{route:id} {api:name}", Some("POST /orders/{id} shop")).await;
}

#[tokio::test]
async fn one_missing_value_makes_the_whole_missing() {
    for text in
        ["{header:no}", "a {query:no}", "{body:$.no}", "{identity:principal}", "{query:e}\n"]
    {
        check(text, None).await;
    }
    check(" a", None).await;
}

#[tokio::test]
async fn lists_of_the_identity_are_told_only_where_they_are_read_as_lists() {
    let told = |value: Value| async move {
        let plugins = Scripted::default().authorizer(0, move |_| {
            let attributes = vec![("a".to_owned(), value.clone())];
            granted(Grant {
                identity: Identity { attributes, ..Identity::default() }.into(),
                ..Grant::default()
            })
        });
        let request = telling("{identity:a}").request;
        let route = Route { request, ..guarded() };
        let forward = admit(&pipeline(route, plugins), Sent::new("POST", "/orders/7")).await;
        forward.forward().outgoing.headers.unwrap().get(TOLD).cloned()
    };
    assert_eq!(told(Value::Texts(vec!["a".into(), "b".into()])).await.unwrap(), "a,b");
    assert_eq!(told(Value::Texts(vec!["a,b".into()])).await, None);
}

#[tokio::test]
async fn a_route_without_a_mapping_copies_nothing() {
    let Outgoing { headers, path, query, body } =
        send(route("POST /orders/{id}"), Sent::new("POST", "/orders/7")).await.forward().outgoing;

    assert!(headers.is_none() && path.is_none() && query.is_none() && body.is_none());
}

#[tokio::test]
async fn a_body_is_held_only_where_a_value_is_read_from_it() {
    let long = "x".repeat(51).leak();
    let post = || Sent::new("POST", "/orders/7").chunked(long);
    let unread = RequestMapping { query: vec![Change::Remove("a".into())], ..Default::default() };

    assert_eq!(send(telling("{body:$.id}"), post()).await.refusal(), (413, "body-too-large"));
    send(mapped(unread), post()).await.forward();
}

#[tokio::test]
async fn transforms_see_what_the_mapping_made() {
    let plugins = Scripted::default().request_transform(1, |view| {
        assert_eq!((view.path(), view.query()), ("/v2/7", Some("b=2")));
        assert_eq!(view.headers()[TOLD], "7");
        Ok(RequestOutcome::Edit(vec![RequestEdit::RemoveHeader(TOLD)]))
    });
    let mapping = RequestMapping {
        headers: vec![Change::Set(TOLD, template("{path:id}"))],
        query: vec![Change::Remove("a".into())],
        path: Some(template("/v2/{path:id}")),
        body: None,
    };
    let route = Route { request_transforms: vec![plugin(1)], ..mapped(mapping) };

    let sent = Sent::new("POST", "/orders/7?a=1&b=2");
    let outgoing = admit(&pipeline(route, plugins), sent).await.forward().outgoing;

    assert!(!outgoing.headers.unwrap().contains_key(TOLD));
}

#[tokio::test]
async fn a_response_is_collected_only_as_far_as_its_mapping_reads() {
    let need = |text: &str, body| {
        let headers = vec![Change::Set(TOLD, template(text))];
        let always = ResponseChanges { headers, status: None };
        let on = vec![(StatusMatch::Class(4), ResponseChanges::default())];
        let mapping = ResponseMapping { always, on, body, request_body: None };
        let route = Route { response: Some(Arc::new(mapping)), ..route("POST /orders/{id}") };
        pipeline(route, Scripted::default())
    };
    let head = need("{response:status}", None);
    let whole = need("{response-body:$.id}", Some(20));
    let sent = Sent::new("POST", "/orders/7");
    let mut record = Record::default();
    let forward = admit(&whole, Sent::new("POST", "/orders/7")).await.forward();

    assert_eq!(head.response_need(&forward), ResponseNeed::Head);
    assert_eq!(whole.response_need(&forward), ResponseNeed::Whole(20));
    for (body, complete, told) in [(r#"{"id":7}"#, true, true), (r#"{"id":7"#, false, false)] {
        let response = (http::StatusCode::OK, http::HeaderMap::new());
        let held = HeldBody { bytes: body.into(), complete };
        let answered = whole.answer(&forward, &sent, response, Some(held), &mut record).await;
        match answered {
            Ok(Answered::Edited { headers, .. }) => assert_eq!(headers[TOLD], "7"),
            other => assert!(!told && other.is_err(), "{other:?}"),
        }
    }
}

/// A query parameter with any value.
fn with_query(value: &str) -> Sent {
    let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
    Sent::new("POST", &format!("/orders/7?a={encoded}&kept=1"))
}

proptest! {
    #[test]
    fn no_value_makes_more_than_its_header(value in any::<String>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(send(telling("<{query:a}>"), with_query(&value)));
        let headers = outcome.forward().outgoing.headers.unwrap();
        let told: Vec<_> = headers.get_all(TOLD).iter().collect();
        prop_assert!(told.len() <= 1);
        let expected = format!("<{value}>");
        prop_assert!(told.iter().all(|told| told.as_bytes() == expected.as_bytes()));
        prop_assert_eq!(headers.keys_len(), 1 + told.len());
    }

    #[test]
    fn no_value_leaves_its_segment(value in any::<String>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let path = Some(template("/in/{query:a}/side"));
        let mapping = RequestMapping { path, ..RequestMapping::default() };
        let outcome = runtime.block_on(send(mapped(mapping), with_query(&value)));
        match &outcome.admitted {
            Err(_) => prop_assert_eq!(outcome.refusal(), (400, "path-unmade")),
            Ok(_) => {
                let path = outcome.forward().outgoing.path.unwrap();
                prop_assert_eq!(path.split('/').count(), 4, "{}", path);
                prop_assert!(path.starts_with("/in/") && path.ends_with("/side"), "{}", path);
                let canonical = CanonicalPath::parse(&path).unwrap();
                prop_assert_eq!(canonical.as_str(), path);
            }
        }
    }

    #[test]
    fn no_value_makes_another_parameter(value in any::<String>(), name in "[^\\pC]{1,9}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let query = vec![Change::Set(name, template("{query:a}"))];
        let mapping = RequestMapping { query, ..RequestMapping::default() };
        let outcome = runtime.block_on(send(mapped(mapping), with_query(&value)));
        let query = outcome.forward().outgoing.query.unwrap().unwrap();
        prop_assert!(query.split('&').count() <= 3, "{}", query);
        prop_assert!(query.bytes().all(|b| b.is_ascii_graphic() && b != b'#'), "{}", query);
    }
}
