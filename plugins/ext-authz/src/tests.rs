use portcullis_plugin_sdk::http::Response;
use portcullis_plugin_sdk::testing::{Host, configured};
use prost::Message;
use proto::{HeaderValue, HttpStatus, Status};
use serde_json::{Value, json};

use super::*;

fn settings() -> Value {
    json!({
        "target": "http://10.0.0.7:9001",
        "context": { "zone": "edge" },
        "attributes": { "tier": "x-tier" },
    })
}

fn ask(answer: &CheckResponse) -> Result<Grant, Denial> {
    let message = answer.encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    answered(Response {
        status: 200,
        body,
        trailers: vec![Header::new("grpc-status", "0")],
        ..Response::default()
    })
}

fn answered(response: Response) -> Result<Grant, Denial> {
    let host = Host::new().with_service(move |question| {
        assert_eq!(question.url, "http://10.0.0.7:9001/envoy.service.auth.v3.Authorization/Check");
        let asked = CheckRequest::decode(&question.body[5..]).unwrap().attributes.unwrap();
        assert_eq!(asked.context_extensions["zone"], "edge");
        let http = asked.request.unwrap().http.unwrap();
        assert_eq!((http.method.as_str(), http.path.as_str()), ("GET", "/orders?x=1"));
        assert_eq!(http.headers["authorization"], "a,b");
        Ok(response.clone())
    });
    let _host = host.install();
    let plugin: ExtAuthz = configured(settings()).unwrap();
    let request = Request::get("/orders?x=1")
        .with_header("authorization", "a")
        .with_header("authorization", "b");
    plugin.authorize(&request)
}

fn header(key: &str, value: &str) -> HeaderValueOption {
    let raw_value = Vec::new();
    HeaderValueOption {
        header: Some(HeaderValue { key: key.to_owned(), value: value.to_owned(), raw_value }),
    }
}

#[test]
fn an_ok_names_the_caller() {
    let ok = OkHttpResponse {
        headers: vec![header("X-User", "alice"), header("x-tier", "gold"), header("x-no", "1")],
        response_headers_to_add: vec![header("set-cookie", "s=1")],
    };
    let answer = CheckResponse {
        status: Some(Status { code: 0 }),
        http_response: Some(HttpResponse::Ok(ok)),
    };
    let alice =
        Grant::to("alice").with_attribute("tier", "gold").with_response_header("set-cookie", "s=1");

    assert_eq!(ask(&answer), Ok(alice));
}

#[test]
fn a_denial_is_the_clients_answer() {
    let denied = |status| DeniedHttpResponse {
        status: Some(HttpStatus { code: status }),
        headers: vec![header("location", "/login")],
        body: "no".to_owned(),
    };
    let answer = |status| CheckResponse {
        status: Some(Status { code: 16 }),
        http_response: Some(HttpResponse::Denied(denied(status))),
    };
    let expected =
        |status| FullResponse::new(status).with_header("location", "/login").with_body("no");

    assert_eq!(ask(&answer(302)), Err(Denial::Respond(expected(302))));
    assert_eq!(ask(&answer(70_000)), Err(Denial::Respond(expected(403))));
    let bare = CheckResponse { status: Some(Status { code: 7 }), http_response: None };
    assert_eq!(ask(&bare), Err(Denial::forbidden("grpc-7")));
}

#[test]
fn what_is_no_decision_denies() {
    let contradictory = CheckResponse {
        status: Some(Status { code: 7 }),
        http_response: Some(HttpResponse::Ok(OkHttpResponse::default())),
    };
    assert_eq!(ask(&contradictory), Err(Denial::unavailable("contradictory-answer")));
    assert_eq!(ask(&CheckResponse::default()), Err(Denial::unavailable("contradictory-answer")));

    let status = |status, grpc: &str, body: &[u8]| Response {
        status,
        headers: vec![Header::new("grpc-status", grpc)],
        body: body.to_vec(),
        ..Response::default()
    };
    for (response, code) in [
        (status(503, "0", b""), "status-503"),
        (status(200, "14", b""), "grpc-14"),
        (status(200, "fourteen", b""), "malformed-answer"),
        (status(200, "0", &[0, 0, 0, 0, 9]), "malformed-answer"),
        (status(200, "0", &[0, 0, 0, 0, 1, 0xff]), "malformed-answer"),
    ] {
        assert_eq!(answered(response), Err(Denial::unavailable(code)));
    }
}

#[test]
fn a_target_is_an_origin() {
    let pointer =
        |target: &str| configured::<ExtAuthz>(json!({ "target": target })).unwrap_err().pointer;

    assert_eq!(pointer("10.0.0.7:9001"), "/target");
    assert_eq!(pointer("http://10.0.0.7:9001/check"), "/target");
}
