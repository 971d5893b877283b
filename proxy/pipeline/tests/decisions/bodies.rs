use portcullis_config::{Role, Route};
use portcullis_pipeline::{BodyFault, BodyMode, Reads, Value};

use crate::scripted::{Scripted, violation};
use crate::sent::Sent;
use crate::served::{admit, pipeline, plugin, route};

/// A route that takes 10 bytes, with a validator that reads `body` and objects to
/// whatever it is asked about.
async fn check(body: BodyMode, sent: Sent, status: u16, code: &str) {
    check_reads(Reads { body, ..Reads::default() }, sent, status, code).await;
}

async fn check_reads(reads: Reads, sent: Sent, status: u16, code: &str) {
    let plugins = Scripted::default()
        .reads(1, Role::Validator, reads)
        .validator(1, |_| Ok(vec![violation("")]));

    let outcome = admit(&pipeline(validated(), plugins), sent).await;

    assert_eq!(outcome.refusal(), (status, code));
}

fn validated() -> Route {
    Route { validators: vec![plugin(1)], body_limit: 10, ..route("POST /a") }
}

fn post() -> Sent {
    Sent::new("POST", "/a")
}

const ASKED: (u16, &str) = (400, "invalid-request");
const TOO_LARGE: (u16, &str) = (413, "body-too-large");

#[tokio::test]
async fn a_body_declared_longer_than_the_route_takes_is_refused_before_any_plugin() {
    check(BodyMode::None, post().body("0123456789").broken(BodyFault::Broken), ASKED.0, ASKED.1)
        .await;
    check(
        BodyMode::None,
        post().body("0123456789+").broken(BodyFault::Broken),
        TOO_LARGE.0,
        TOO_LARGE.1,
    )
    .await;
}

#[tokio::test]
async fn a_plugin_that_takes_a_whole_body_is_not_asked_about_a_longer_one() {
    check(BodyMode::Buffer(4), post().body("0123"), ASKED.0, ASKED.1).await;
    check(BodyMode::Buffer(4), post().chunked("0123"), ASKED.0, ASKED.1).await;
    check(
        BodyMode::Buffer(4),
        post().body("01234").broken(BodyFault::Broken),
        TOO_LARGE.0,
        TOO_LARGE.1,
    )
    .await;
    check(BodyMode::Buffer(4), post().chunked("01234"), TOO_LARGE.0, TOO_LARGE.1).await;
    check(BodyMode::Buffer(99), post().chunked("0123456789+"), TOO_LARGE.0, TOO_LARGE.1).await;
    check(BodyMode::Buffer(4), post(), ASKED.0, ASKED.1).await;
}

#[tokio::test]
async fn a_peek_takes_a_body_of_any_length_that_the_route_takes() {
    check(BodyMode::Peek(4), post().chunked("0123456789+"), ASKED.0, ASKED.1).await;
    check(BodyMode::Peek(99), post().chunked("0123456789+"), TOO_LARGE.0, TOO_LARGE.1).await;
}

#[tokio::test]
async fn a_body_that_cannot_be_held_refuses_the_request() {
    let mode = BodyMode::Buffer(4);
    check(mode, post().broken(BodyFault::TimedOut), 408, "body-timeout").await;
    check(mode, post().broken(BodyFault::Broken), 400, "client-closed").await;
    check(mode, post().broken(BodyFault::NoRoom), 503, "no-room").await;
}

#[tokio::test]
async fn a_digest_is_of_the_whole_body() {
    for name in ["body:sha256", "body:*"] {
        let reads =
            Reads { attributes: vec![name.into()], body: BodyMode::Peek(1), ..Reads::default() };
        let plugins =
            Scripted::default().reads(1, Role::Validator, reads.clone()).validator(1, |view| {
                let Some(Value::Bytes(digest)) = view.attribute("body:sha256") else {
                    panic!("no digest")
                };
                assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
                assert_eq!(view.attributes_in("body").len(), 1);
                Ok(Vec::new())
            });

        admit(&pipeline(validated(), plugins), post().chunked("abc")).await.forward();

        check_reads(reads, post().chunked("0123456789+"), TOO_LARGE.0, TOO_LARGE.1).await;
    }
}

#[tokio::test]
async fn what_a_response_transform_reads_of_the_request_is_held_before_it_is_forwarded() {
    let route = Route { response_transforms: vec![plugin(1)], body_limit: 10, ..route("POST /a") };
    let plugins = Scripted::default().body(1, Role::ResponseTransform, BodyMode::Buffer(4));
    let pipeline = pipeline(route, plugins);

    admit(&pipeline, post().chunked("0123")).await.forward();

    assert_eq!(admit(&pipeline, post().chunked("01234")).await.refusal(), TOO_LARGE);
}
