//! Opaque tokens are worth what the server says of them, and nothing while it is silent.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_plugin_sdk::http::{HttpError, Response};
use portcullis_plugin_sdk::testing::{Host, configured};
use portcullis_plugin_sdk::{Authorizer, Denial, Grant};
use serde_json::{Value, json};

use super::{NOW, bearing, good_claims, token};
use crate::Jwt;

const URL: &str = "https://login.example.com/introspect";

fn settings() -> Value {
    let introspection = json!({
        "url": URL, "client_id": "gate way", "client_secret": "client", "audience": "orders",
    });
    json!({ "introspection": introspection })
}

/// Asks with a token, of which the server says this.
fn ask(token: &str, answer: Result<Response, HttpError>) -> Result<Grant, Denial> {
    let plugin: Jwt = configured(settings()).unwrap();
    let _host = Host::new()
        .with_revealable_secret("client", "s+cret")
        .with_service(move |_| answer.clone())
        .install();
    plugin.authorize(&bearing(token))
}

fn said(status: u16, body: &str) -> Result<Response, HttpError> {
    Ok(Response { status, body: body.as_bytes().to_vec(), ..Response::default() })
}

/// What the server says of a good token, with these members in the place of its own; null
/// removes one.
fn active(changes: &Value) -> Result<Response, HttpError> {
    let mut claims = good_claims();
    claims["active"] = json!(true);
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    said(200, &claims.to_string())
}

fn check(answer: Result<Response, HttpError>, expected: &str) {
    let verdict = match ask("opaque", answer.clone()) {
        Ok(_) => "ok".to_owned(),
        Err(Denial::Unauthenticated(reason)) => reason.code,
        Err(Denial::Unavailable(reason)) => format!("503 {}", reason.code),
        Err(denial) => panic!("{denial:?}"),
    };
    assert_eq!(verdict, expected, "{answer:?}");
}

#[test]
fn an_active_token_says_who_it_is() {
    let grant = ask("opaque", active(&json!({ "token_type": "bearer" }))).unwrap();

    assert_eq!(grant.identity.principal, "alice");
    assert_eq!(grant.expires_at, Some((NOW + 60) * 1000));
    let scopes = grant.identity.attributes.iter().find(|it| it.name == "scopes").unwrap();
    assert_eq!(scopes.value.to_string(), "orders:read,orders:write");
}

#[test]
fn the_server_is_asked_by_its_rules_and_by_nobody_unknown() {
    let plugin: Jwt = configured(settings()).unwrap();
    let _host = Host::new()
        .with_revealable_secret("client", "s+cret")
        .with_service(|request| {
            assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
            let header = |name: &str| {
                let header = request.headers.iter().find(|header| header.name == name);
                String::from_utf8(header.unwrap().value.clone()).unwrap()
            };
            // `gate%20way:s%2Bcret`
            assert_eq!(header("authorization"), "Basic Z2F0ZSUyMHdheTpzJTJCY3JldA==");
            assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
            assert_eq!(request.body, b"token=a%2Bb%2F%3D&token_type_hint=access_token");
            active(&json!({}))
        })
        .install();

    plugin.authorize(&bearing("a+b/=")).unwrap();
}

#[test]
fn an_answer_is_judged_as_claims_are() {
    check(active(&json!({ "active": false })), "inactive");
    check(said(200, r#"{"active":false}"#), "inactive");
    check(active(&json!({ "exp": NOW })), "expired");
    check(active(&json!({ "exp": null })), "missing-claim");
    check(active(&json!({ "nbf": NOW + 1 })), "not-yet-valid");
    check(active(&json!({ "aud": "billing" })), "wrong-audience");
    check(active(&json!({ "aud": null })), "wrong-audience");
    check(active(&json!({ "aud": null, "client_id": "orders" })), "ok");
    check(active(&json!({ "sub": null })), "no-principal");
    check(active(&json!({ "scope": 1 })), "malformed-claim");
    check(active(&json!({ "token_type": "DPoP" })), "wrong-type");
    check(active(&json!({ "token_type": 1 })), "wrong-type");
}

#[test]
fn without_an_answer_nothing_is_said_of_the_token() {
    let silent = "503 introspection-unavailable";

    check(Err(HttpError::Unreachable), silent);
    check(Err(HttpError::Timeout), silent);
    check(Err(HttpError::TooLong), silent);
    for status in [204, 302, 400, 401, 403, 429, 500] {
        check(said(status, r#"{"active":true}"#), silent);
    }
    for body in ["", "[]", "{}", r#"{"active":"true"}"#, r#"{"active":true,"active":true}"#] {
        check(said(200, body), silent);
    }

    let plugin: Jwt = configured(settings()).unwrap();
    let _host = Host::new()
        .with_secret("client", "not to be seen")
        .with_service(|_| active(&json!({})))
        .install();
    let denial = plugin.authorize(&bearing("opaque")).unwrap_err();
    assert!(matches!(denial, Denial::Unavailable(_)), "{denial:?}");
}

#[test]
fn only_opaque_tokens_are_asked_about() {
    let asked = Rc::new(Cell::new(0));
    let counter = Rc::clone(&asked);
    let plugin: Jwt = configured(settings()).unwrap();
    let _host = Host::new()
        .with_revealable_secret("client", "s+cret")
        .with_service(move |_| {
            counter.set(counter.get() + 1);
            active(&json!({}))
        })
        .install();
    let jwt = token(&json!({}), &json!({}));

    for refused in [jwt.as_str(), "a.b.c", "sp ace", "a\"b", "t\u{f6}ken"] {
        let denial = plugin.authorize(&bearing(refused)).unwrap_err();
        assert!(matches!(denial, Denial::Unauthenticated(_)), "{refused} {denial:?}");
    }
    assert_eq!(asked.get(), 0);
    for opaque in ["a", "a.b", "a.b.c.d", "a.b.c.d.e"] {
        plugin.authorize(&bearing(opaque)).unwrap();
    }
    assert_eq!(asked.get(), 4);
}

#[test]
fn settings_that_ask_nobody_are_refused() {
    let check = |changes: Value, pointer: &str| {
        let mut settings = settings();
        for (name, value) in changes.as_object().unwrap() {
            settings["introspection"][name] = value.clone();
        }
        let error = configured::<Jwt>(settings.clone()).err();
        assert_eq!(error.map(|error| error.pointer).as_deref(), Some(pointer), "{settings}");
    };

    for url in ["", "login", "ftp://a/b", "https://", "https:///x", "https://u:p@a/", "https://a/#"]
    {
        check(json!({ "url": url }), "/introspection/url");
    }
    check(json!({ "audience": [] }), "/introspection/audience");
    check(json!({ "claims": { "exp": 1 } }), "/introspection/claims/exp");
    check(json!({ "extra": 1 }), "/introspection/extra");
}
