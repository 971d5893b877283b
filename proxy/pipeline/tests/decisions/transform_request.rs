use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portcullis_config::{Integration, Respond, RespondBody, RespondStatus, Role, Route};
use portcullis_pipeline::{
    Answer, BodyMode, Grant, PluginFault, Reads, RequestEdit as Edit, RequestOutcome, Value,
};

use crate::scripted::{Scripted, grant_to, granted};
use crate::sent::Sent;
use crate::served::{Outcome, admit, guarded, pipeline, plugin, route};

const OLD: HeaderName = HeaderName::from_static("x-old");
const NEW: HeaderName = HeaderName::from_static("x-new");

fn transformed() -> Route {
    Route { request_transforms: vec![plugin(1), plugin(2)], ..route("POST /a") }
}

fn post() -> Sent {
    Sent::new("POST", "/a?q=1").header("x-old", "1").header("x-old", "2").body("old")
}

fn value(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

fn edits(edits: Vec<Edit>) -> Scripted {
    Scripted::default()
        .request_transform(1, move |_| Ok(RequestOutcome::Edit(edits.clone())))
        .request_transform(2, |_| Ok(RequestOutcome::Edit(Vec::new())))
}

async fn check(plugins: Scripted) -> Outcome {
    admit(&pipeline(transformed(), plugins), post()).await
}

#[tokio::test]
async fn an_unedited_request_is_forwarded_without_a_copy() {
    let outgoing = check(edits(Vec::new())).await.forward().outgoing;

    assert!(
        outgoing.headers.is_none()
            && outgoing.path.is_none()
            && outgoing.query.is_none()
            && outgoing.body.is_none()
    );
}

#[tokio::test]
async fn edits_are_applied_in_order() {
    let edits = edits(vec![
        Edit::RemoveHeader(OLD),
        Edit::AppendHeader(OLD, value("3")),
        Edit::SetHeader(NEW, value("4")),
        Edit::SetHeader(NEW, value("5")),
        Edit::SetPath("/b".into()),
        Edit::SetQuery(None),
    ]);

    let outgoing = check(edits).await.forward().outgoing;

    let headers = outgoing.headers.unwrap();
    assert_eq!(headers.get_all(OLD).iter().collect::<Vec<_>>(), ["3"]);
    assert_eq!(headers.get_all(NEW).iter().collect::<Vec<_>>(), ["5"]);
    assert_eq!(headers["host"], "api.test");
    assert_eq!(outgoing.path.as_deref(), Some("/b"));
    assert_eq!(outgoing.query, Some(None));
}

#[tokio::test]
async fn a_transform_sees_the_request_as_those_before_it_left_it() {
    let buffer = Reads {
        body: BodyMode::Buffer(9),
        attributes: vec!["body:sha256".into()],
        ..Reads::default()
    };
    let first = vec![
        Edit::SetHeader(NEW, value("1")),
        Edit::SetPath("/b".into()),
        Edit::SetQuery(Some("q=2".into())),
        Edit::SetBody(Bytes::from_static(b"abc")),
    ];
    let plugins = edits(first)
        .reads(1, Role::RequestTransform, buffer.clone())
        .reads(2, Role::RequestTransform, buffer)
        .request_transform(2, |view| {
            assert_eq!((view.raw_path(), view.path(), view.query()), ("/a", "/b", Some("q=2")));
            assert_eq!(view.headers()[NEW], "1");
            assert_eq!(view.body().unwrap().bytes, "abc");
            let Some(Value::Bytes(digest)) = view.attribute("body:sha256") else {
                panic!("no digest")
            };
            assert_eq!(digest[..2], [0xba, 0x78]);
            Ok(RequestOutcome::Edit(vec![Edit::SetHeader(NEW, value("2"))]))
        });

    let outgoing = check(plugins).await.forward().outgoing;

    assert_eq!(outgoing.body.unwrap(), "abc");
    assert_eq!(outgoing.headers.unwrap()[NEW], "2");
}

#[tokio::test]
async fn a_transform_that_buffers_sees_the_whole_body() {
    let plugins = edits(Vec::new())
        .body(1, Role::RequestTransform, BodyMode::Buffer(3))
        .request_transform(1, |view| {
            assert_eq!(view.body().unwrap().bytes, "old");
            assert!(view.body().unwrap().complete);
            Ok(RequestOutcome::Edit(vec![Edit::SetBody(Bytes::from_static(b"new"))]))
        });

    assert_eq!(check(plugins).await.forward().outgoing.body.unwrap(), "new");
}

#[tokio::test]
async fn an_edit_that_is_refused_takes_all_others_of_the_list_with_it() {
    let plugins =
        edits(vec![Edit::SetHeader(NEW, value("1")), Edit::RemoveHeader(http::header::HOST)])
            .skips(1);

    let outcome = check(plugins).await;

    assert_eq!(outcome.record.skipped, [("p1".to_owned(), "bad-answer")]);
    assert!(outcome.forward().outgoing.headers.is_none());
}

#[tokio::test]
async fn what_only_the_gateway_may_write_is_refused_as_a_fault() {
    let refused = [
        Edit::SetHeader(http::header::CONTENT_LENGTH, value("0")),
        Edit::AppendHeader(http::header::TRANSFER_ENCODING, value("chunked")),
        Edit::SetHeader(HeaderName::from_static("x-forwarded-for"), value("127.0.0.1")),
        Edit::SetPath("b".into()),
        Edit::SetPath("/b?c".into()),
        Edit::SetQuery(Some("a b".into())),
        Edit::SetBody(Bytes::new()),
    ];
    for edit in refused {
        let outcome = check(edits(vec![edit])).await;

        assert_eq!(outcome.refusal(), (503, "plugin-fault"));
        assert_eq!(outcome.decision().reason.as_deref(), Some("bad-answer"));
    }
}

#[tokio::test]
async fn a_fault_refuses_the_request_unless_the_configuration_skips_it() {
    let faulty = || edits(Vec::new()).request_transform(1, |_| Err(PluginFault::Memory));

    assert_eq!(check(faulty()).await.refusal(), (503, "plugin-fault"));
    let outcome = check(faulty().skips(1)).await;
    assert_eq!(outcome.record.skipped, [("p1".to_owned(), "memory")]);
    outcome.forward();
}

#[tokio::test]
async fn a_body_put_in_place_is_not_shown_to_a_plugin_that_takes_less() {
    let buffer = |most| BodyMode::Buffer(most);
    let plugins = edits(vec![Edit::SetBody(Bytes::from_static(b"0123456789"))])
        .body(1, Role::RequestTransform, buffer(9))
        .body(2, Role::RequestTransform, buffer(9));

    assert_eq!(check(plugins).await.refusal(), (413, "body-too-large"));
}

#[tokio::test]
async fn a_transform_may_answer_and_the_authorizers_headers_are_added() {
    let route = Route { request_transforms: vec![plugin(1), plugin(2)], ..guarded() };
    let cookie = (http::header::SET_COOKIE, value("s=1"));
    let plugins = Scripted::default()
        .authorizer(0, move |_| {
            granted(Grant { response_headers: vec![cookie.clone()], ..grant_to("alice") })
        })
        .request_transform(1, |_| {
            let headers = HeaderMap::from_iter([
                (NEW, value("1")),
                (http::header::CONNECTION, value("close")),
            ]);
            Ok(RequestOutcome::Respond(Answer {
                status: StatusCode::NO_CONTENT,
                headers,
                body: Bytes::new(),
            }))
        });
    let pipeline = pipeline(route, plugins);

    let outcome = admit(&pipeline, Sent::new("POST", "/orders/7")).await;

    assert_eq!(pipeline.plugins().asked(), [0, 1]);
    assert_eq!(outcome.decision().code, "answered-by-plugin");
    let answer = outcome.answer();
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.headers,
        HeaderMap::from_iter([(NEW, value("1")), (http::header::SET_COOKIE, value("s=1"))])
    );
}

#[tokio::test]
async fn a_fixed_response_is_given_after_everything_else_passed() {
    let integration = Integration::Respond(Respond {
        status: RespondStatus::Is(StatusCode::OK),
        headers: HeaderMap::from_iter([(NEW, value("1"))]),
        filled_headers: Vec::new(),
        body: RespondBody::Text("hello".into()),
        request_body: None,
    });
    let pipeline = pipeline(Route { integration, ..transformed() }, edits(Vec::new()));

    let outcome = admit(&pipeline, post()).await;

    assert_eq!(pipeline.plugins().asked(), [1, 2]);
    assert_eq!(outcome.decision().code, "fixed-response");
    let answer = outcome.answer();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(answer.headers[NEW], "1");
}
