use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portcullis_config::Route;
use portcullis_pipeline::{
    Answer, Answered, BodyMode, HeldBody, PluginFault, Record, Rejection, ResponseEdit as Edit,
    ResponseNeed, ResponseOutcome,
};

use crate::scripted::Scripted;
use crate::sent::Sent;
use crate::served::{admit, pipeline, plugin, route};

const NEW: HeaderName = HeaderName::from_static("x-new");

fn transformed() -> Route {
    Route { response_transforms: vec![plugin(1), plugin(2)], ..route("POST /a") }
}

fn edits(edits: Vec<Edit>) -> Scripted {
    Scripted::default()
        .response_transform(1, move |_| Ok(ResponseOutcome::Edit(edits.clone())))
        .response_transform(2, |_| Ok(ResponseOutcome::Edit(Vec::new())))
}

fn whole() -> HeldBody {
    HeldBody { bytes: Bytes::from_static(b"old"), complete: true }
}

/// The way of a response through the transforms.
async fn answer(plugins: Scripted, body: HeldBody) -> (Result<Answered, Rejection>, Record) {
    let pipeline = pipeline(transformed(), plugins);
    let sent = Sent::new("POST", "/a");
    let forward = admit(&pipeline, Sent::new("POST", "/a")).await.forward();
    let response = (StatusCode::OK, HeaderMap::new());
    let mut record = Record::default();
    let answered = pipeline.answer(&forward, &sent, response, Some(body), &mut record).await;
    (answered, record)
}

async fn need(one: BodyMode, two: BodyMode) -> ResponseNeed {
    let pipeline =
        pipeline(transformed(), Scripted::default().response_body(1, one).response_body(2, two));
    let forward = admit(&pipeline, Sent::new("POST", "/a")).await.forward();
    pipeline.response_need(&forward)
}

#[tokio::test]
async fn a_route_needs_of_a_response_what_its_greediest_transform_does() {
    let plain = pipeline(route("POST /a"), Scripted::default());
    let forward = admit(&plain, Sent::new("POST", "/a")).await.forward();
    assert_eq!(plain.response_need(&forward), ResponseNeed::Nothing);
    assert_eq!(need(BodyMode::None, BodyMode::None).await, ResponseNeed::Head);
    assert_eq!(need(BodyMode::Peek(4), BodyMode::Peek(9)).await, ResponseNeed::Peek(9));
    assert_eq!(need(BodyMode::Peek(9), BodyMode::Buffer(4)).await, ResponseNeed::Whole(4));
    assert_eq!(need(BodyMode::Buffer(9), BodyMode::Buffer(4)).await, ResponseNeed::Whole(4));
}

#[tokio::test]
async fn each_transform_sees_the_response_as_those_before_it_left_it() {
    let first = vec![
        Edit::SetStatus(StatusCode::ACCEPTED),
        Edit::SetHeader(NEW, HeaderValue::from_static("1")),
        Edit::SetBody(Bytes::from_static(b"new")),
    ];
    let plugins =
        edits(first).response_body(1, BodyMode::Buffer(9)).response_transform(2, |call| {
            assert_eq!(call.status, 202);
            assert_eq!(call.headers[NEW], "1");
            assert_eq!(call.body.unwrap().bytes, "new");
            assert_eq!(call.request.view.path(), "/a");
            Ok(ResponseOutcome::Edit(vec![Edit::RemoveHeader(NEW)]))
        });

    let Ok(Answered::Edited { status, headers, body }) = answer(plugins, whole()).await.0 else {
        panic!("not edited")
    };

    assert_eq!((status, headers), (StatusCode::ACCEPTED, HeaderMap::new()));
    assert_eq!(body.unwrap(), "new");
}

#[tokio::test]
async fn a_body_that_streams_cannot_be_replaced() {
    let plugins = edits(vec![Edit::SetBody(Bytes::new())]).response_body(1, BodyMode::Peek(9));

    let (answered, record) = answer(plugins, whole()).await;

    let rejection = answered.unwrap_err();
    assert_eq!((rejection.status().as_u16(), rejection.code()), (503, "plugin-fault"));
    assert_eq!(record.decision, Some(rejection.decision()));
}

#[tokio::test]
async fn a_response_longer_than_a_transform_takes_is_502() {
    let beginning = HeldBody { complete: false, ..whole() };
    for (limit, body) in [(2, whole()), (9, beginning)] {
        let plugins = edits(Vec::new()).response_body(1, BodyMode::Buffer(limit));

        let rejection = answer(plugins, body).await.0.unwrap_err();

        assert_eq!(
            (rejection.status().as_u16(), rejection.code()),
            (502, "upstream-response-too-large")
        );
    }
}

#[tokio::test]
async fn a_status_that_ends_no_exchange_is_refused() {
    let plugins = edits(vec![Edit::SetStatus(StatusCode::SWITCHING_PROTOCOLS)]);

    assert_eq!(answer(plugins, whole()).await.0.unwrap_err().code(), "plugin-fault");
}

#[tokio::test]
async fn a_fault_refuses_the_response_unless_the_configuration_skips_it() {
    let faulty = || edits(Vec::new()).response_transform(1, |_| Err(PluginFault::Busy));

    assert_eq!(answer(faulty(), whole()).await.0.unwrap_err().code(), "plugin-fault");
    let (answered, record) = answer(faulty().skips(1), whole()).await;
    assert!(matches!(answered, Ok(Answered::Edited { status: StatusCode::OK, body: None, .. })));
    assert_eq!(record.skipped, [("p1".to_owned(), "busy")]);
}

#[tokio::test]
async fn a_transform_may_replace_the_response_for_good() {
    let plugins = edits(Vec::new()).response_transform(1, |_| {
        let headers =
            HeaderMap::from_iter([(http::header::CONTENT_LENGTH, HeaderValue::from_static("9"))]);
        Ok(ResponseOutcome::Replace(Answer {
            status: StatusCode::GONE,
            headers,
            body: Bytes::from_static(b"x"),
        }))
    });

    let (answered, record) = answer(plugins, whole()).await;

    let Ok(Answered::Replaced(answer)) = answered else { panic!("not replaced") };
    assert_eq!(
        (answer.status, answer.headers.len(), &answer.body[..]),
        (StatusCode::GONE, 0, &b"x"[..])
    );
    assert_eq!(record.decision.unwrap().code, "answered-by-plugin");
}
