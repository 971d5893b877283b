//! Tokens that are bound to a certificate of the client.

use portcullis_plugin_sdk::testing::configured;
use portcullis_plugin_sdk::{Authorizer, Denial, Plugin, Request};
use serde_json::{Value, json};

use super::{ask, bearing, encode, host, settings, token};
use crate::Jwt;

const DIGEST: [u8; 32] = [7; 32];

fn showing(request: Request, certificate: Option<[u8; 32]>) -> Request {
    let name = "tls:client-certificate.sha256";
    match certificate {
        Some(digest) => request.with_attribute(name, digest.to_vec()),
        None => request,
    }
}

fn check(bound: Value, cnf: Value, certificate: Option<[u8; 32]>, expected: &str) {
    let mut settings = settings();
    if !bound.is_null() {
        settings["certificate_bound"] = bound;
    }
    let request = showing(bearing(&token(&json!({}), &json!({ "cnf": cnf }))), certificate);
    let code = match ask(&settings, &request) {
        Ok(_) => "ok".to_owned(),
        Err(Denial::Unauthenticated(reason)) => reason.code,
        Err(denial) => format!("{denial:?}"),
    };
    assert_eq!(code, expected, "{settings} {cnf} {certificate:?}");
}

#[test]
fn a_bound_token_holds_for_its_certificate_alone() {
    let cnf = json!({ "x5t#S256": encode(DIGEST) });

    for bound in [json!(null), json!(true)] {
        check(bound.clone(), cnf.clone(), Some(DIGEST), "ok");
        check(bound.clone(), cnf.clone(), Some([8; 32]), "wrong-certificate");
        check(bound, cnf.clone(), None, "no-certificate");
    }
    for certificate in [Some(DIGEST), Some([8; 32]), None] {
        check(json!(false), cnf.clone(), certificate, "ok");
    }
}

#[test]
fn tokens_may_have_to_be_bound() {
    for certificate in [Some(DIGEST), None] {
        check(json!(null), json!(null), certificate, "ok");
        check(json!(true), json!(null), certificate, "not-bound");
        check(json!(true), json!({ "jkt": "abc" }), certificate, "not-bound");
        check(json!(null), json!({ "jkt": "abc" }), certificate, "ok");
    }
}

#[test]
fn a_binding_that_is_not_understood_is_no_freedom() {
    let nested = json!({ "x5t#S256": encode(DIGEST), "jwk": { "kty": "EC" } });

    for cnf in [json!("x5t"), json!([]), json!(1), json!({ "x5t#S256": 1 }), nested] {
        check(json!(null), cnf, Some(DIGEST), "unknown-binding");
    }
    for digest in ["", "abc", "AA==", &encode([7; 31]), &encode([7; 33])] {
        check(json!(null), json!({ "x5t#S256": digest }), Some(DIGEST), "malformed-claim");
    }
}

#[test]
fn the_certificate_is_part_of_what_answers_are_kept_by() {
    let plan = |settings: Value| {
        let plugin: Jwt = configured(settings).unwrap();
        let _host = host();
        let _answer = plugin.authorize(&Request::get("/"));
        format!("{:?}", plugin.plan())
    };
    let mut without = settings();
    without["certificate_bound"] = json!(false);

    assert!(plan(settings()).contains("tls:client-certificate.sha256"));
    assert!(!plan(without).contains("tls:client-certificate.sha256"));
}
