use http::{HeaderMap, StatusCode};
use portcullis_config::{
    Escape, Integration, JsonPart, Part, Respond, RespondBody, RespondStatus, Route, Template,
};
use portcullis_pipeline::{Answer, Grant, Identity, Value};
use proptest::prelude::*;

use crate::scripted::{Scripted, granted};
use crate::sent::Sent;
use crate::served::{Outcome, admit, guarded, pipeline, route};

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn saying(body: RespondBody) -> Respond {
    Respond {
        status: RespondStatus::Is(StatusCode::OK),
        headers: HeaderMap::new(),
        filled_headers: Vec::new(),
        body,
        request_body: Some(100),
    }
}

async fn send(respond: Respond, sent: Sent) -> Outcome {
    let integration = Integration::Respond(respond);
    let route = Route { integration, ..route("POST /orders/{id}") };
    admit(&pipeline(route, Scripted::default()), sent).await
}

fn order() -> Sent {
    Sent::new("POST", "/orders/7?q=1&q=2&status=418").body(
        r#"{"id": "o\"1", "n": [1, 2.5], "o": {"a": null}, "t": true, "big": 18446744073709551615}"#,
    )
}

async fn text_of(body: RespondBody, sent: Sent) -> String {
    let answer: Answer = send(saying(body), sent).await.answer();
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// A text in a JSON document.
async fn check(text: &str, expected: &str) {
    let template = template(text);
    let part = match template.parts() {
        [Part::Value(placeholder)] => JsonPart::Typed(placeholder.clone()),
        _ => JsonPart::Text(template),
    };
    assert_eq!(text_of(RespondBody::Json(vec![part]), order()).await, expected, "{text}");
}

#[tokio::test]
async fn values_in_json_keep_their_types_and_stay_values() {
    check("{body:$.id}", r#""o\"1""#).await;
    check("<{body:$.id}>", r#""<o\"1>""#).await;
    check("{body:$.n}", "[1,2.5]").await;
    check("{body:$.n[*]}", "[1,2.5]").await;
    check("{body:$.none[*]}", "[]").await;
    check("{body:$.n[-1]}", "2.5").await;
    check("{body:$.o}", r#"{"a":null}"#).await;
    check("{body:$.t}", "true").await;
    check("{body:$.big}", "18446744073709551615").await;
    check("{body:$.none}", "null").await;
    check("no {body:$.none}", "null").await;
    check("{query:q}", r#""1,2""#).await;
    check("{path:id}", r#""7""#).await;
    check("{request:method} {query:no}", "null").await;
}

#[tokio::test]
async fn what_the_authorizer_says_keeps_its_type() {
    let plugins = Scripted::default().authorizer(0, |_| {
        let tags = Value::Texts(vec!["a".into(), "b,c".into()]);
        let attributes = vec![("tags".to_owned(), tags), ("n".to_owned(), Value::Integer(7))];
        granted(Grant {
            identity: Identity { attributes, ..Identity::default() }.into(),
            ..Grant::default()
        })
    });
    let parts =
        ["{identity:tags}", "{identity:n}"].map(template).map(|template| match template.parts() {
            [Part::Value(placeholder)] => JsonPart::Typed(placeholder.clone()),
            _ => JsonPart::Text(template),
        });
    let respond = saying(RespondBody::Json(parts.to_vec()));
    let route = Route { integration: Integration::Respond(respond), ..guarded() };

    let answer = admit(&pipeline(route, plugins), order()).await.answer();

    assert_eq!(answer.body, r#"["a","b,c"]7"#.as_bytes());
}

#[tokio::test]
async fn a_status_is_what_a_text_becomes_or_200() {
    for (text, query, expected) in [
        ("{query:s}", "s=418", 418),
        ("40{query:s}", "s=4", 404),
        ("{query:s}", "s=199", 200),
        ("{query:s}", "s=600", 200),
        ("{query:s}", "s=abc", 200),
        ("{query:s}", "s=1&s=2", 200),
        ("{query:s}", "", 200),
    ] {
        let status = RespondStatus::Filled(template(text));
        let respond = Respond { status, ..saying(RespondBody::Text("a".into())) };
        let answer = send(respond, Sent::new("POST", &format!("/orders/7?{query}"))).await.answer();
        assert_eq!(answer.status.as_u16(), expected, "{text} {query}");
    }
}

#[tokio::test]
async fn a_header_with_a_missing_value_is_left_out() {
    let headers = ["{path:id}", "{query:no}", "{header:x-split}"];
    let name = "x-told".parse::<http::HeaderName>().unwrap();
    let filled_headers = headers.iter().map(|text| (name.clone(), template(text))).collect();
    let respond = Respond { filled_headers, ..saying(RespondBody::Text(String::new())) };

    let answer = send(respond, order()).await.answer();

    assert_eq!(answer.headers.get_all("x-told").iter().collect::<Vec<_>>(), ["7"]);
}

#[tokio::test]
async fn a_body_that_is_read_is_held_within_the_limit() {
    let respond = || saying(RespondBody::Filled(template("[{body:$}]"), Escape::None));
    let long = Sent::new("POST", "/orders/7").chunked(
        "[1111111111, 2222222222, 3333333333, 4444444444, 5555555555, 6666666666, 7777777777, 8888888888, 99999]",
    );

    assert_eq!(send(respond(), long).await.refusal(), (413, "body-too-large"));
    let answer = send(respond(), Sent::new("POST", "/orders/7").body("no JSON")).await.answer();
    assert_eq!(answer.body, "[]".as_bytes());
}

proptest! {
    #[test]
    fn whatever_a_client_sends_stays_one_value(value in ".{0,20}") {
        let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let sent = || Sent::new("POST", &format!("/orders/7?a={encoded}"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let json = vec![
                JsonPart::Written("[".into()),
                JsonPart::Text(template("x{query:a}")),
                JsonPart::Written("]".into()),
            ];
            let text = text_of(RespondBody::Json(json), sent()).await;
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read, serde_json::json!([format!("x{value}")]));

            let markup = RespondBody::Filled(template("<a title=\"{query:a}\">{query:a}</a>"), Escape::Markup);
            let text = text_of(markup, sent()).await;
            let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"")
                .replace("&#39;", "'").replace("&amp;", "&");
            assert_eq!(plain, format!("<a title=\"{value}\">{value}</a>"));
            let count = |of| text.matches(of).count();
            assert_eq!((count('<'), count('>'), count('"'), count('\'')), (2, 2, 2, 0));
        });
    }
}
