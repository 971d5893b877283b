//! Who has no session is sent to the provider, or refused.

use portcullis_plugin_sdk::{Authorizer, Request};
use proptest::prelude::*;
use serde_json::json;

use super::{Browser, NOW, Provider, code, header, metadata, plugin, responded, value};
use crate::site::return_path;

#[test]
fn a_navigation_is_sent_to_the_provider_with_what_the_callback_must_repeat() {
    let _host = Provider::new().install();
    let mut browser = Browser::default();

    let settings = json!({ "parameters": { "prompt": "select_account" } });
    let question = browser.is_sent_away(&plugin(&settings), "/orders");

    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", "shop"),
        ("scope", "openid%20profile%20email"),
        ("redirect_uri", "https%3A%2F%2Fshop.example.com%2Foidc%2Fcallback"),
        ("code_challenge_method", "S256"),
        ("prompt", "select_account"),
    ] {
        assert_eq!(value(&question, name), expected);
    }
    let lengths = ["state", "nonce", "code_challenge"].map(|name| value(&question, name).len());
    assert_eq!(lengths, [22, 22, 43]);
    let [(name, _)] = browser.cookies.as_slice() else { panic!("{:?}", browser.cookies) };
    assert!(name.starts_with("__Host-session-login-"), "{name}");
}

#[test]
fn what_is_no_navigation_is_refused() {
    let _host = Provider::new().install();
    let plugin = plugin(&json!({}));
    let browser = Browser::default();
    let post = Request { method: "POST".to_owned(), ..browser.goes("/orders", 0) };
    let script = browser.asks("/orders", 0).with_header("accept", "text/html");
    let script = script.with_header("sec-fetch-mode", "cors");
    let program = Request::get("/orders").with_header("accept", "application/json");

    for request in [post, script, program, Request::get("/orders")] {
        assert_eq!(code(&plugin.authorize(&request)), "login-required", "{request:?}");
    }
    // Browsers that do not say what they do are known by what they take.
    let silent = browser.asks("/orders", 0).with_header("accept", "text/html,*/*");
    assert_eq!(code(&plugin.authorize(&silent)), "302");
}

#[test]
fn several_tabs_log_in_at_once_and_of_many_the_oldest_is_forgotten() {
    let _host = Provider::new().install();
    let plugin = plugin(&json!({}));
    let mut browser = Browser::default();

    let states: Vec<String> = (0..9)
        .map(|seconds| {
            let response = responded(plugin.authorize(&browser.goes("/orders", seconds)));
            browser.keeps(&response.headers);
            let location = header(&response, "location");
            let state = location.split("&state=").nth(1).unwrap();
            state.split('&').next().unwrap().to_owned()
        })
        .collect();

    let kept: Vec<bool> = states
        .iter()
        .map(|state| browser.cookies.iter().any(|(name, _)| name.ends_with(&state[..8])))
        .collect();
    assert_eq!(kept, [false, false, false, false, true, true, true, true, true]);
}

#[test]
fn plain_http_is_for_this_machine_or_for_who_says_so() {
    let _host = Provider::new().install();
    let at = |settings, authority: &str| {
        let request = Browser::default().goes("/", 0);
        let request = Request { scheme: "http".into(), authority: authority.into(), ..request };
        plugin(&settings).authorize(&request)
    };

    assert_eq!(code(&at(json!({}), "shop.example.com")), "insecure-origin");
    assert_eq!(code(&at(json!({}), "localhost.example.com")), "insecure-origin");
    for authority in ["localhost", "127.0.0.1:8080", "[::1]:80"] {
        let response = responded(at(json!({}), authority));
        let cookie = header(&response, "set-cookie");
        assert!(cookie.starts_with("session-login-") && !cookie.contains("Secure"), "{cookie}");
    }
    let behind = json!({ "origin": "https://shop.example.com" });
    let response = responded(at(behind, "10.0.0.7"));
    assert!(header(&response, "set-cookie").starts_with("__Host-session-login-"));
    assert!(header(&response, "set-cookie").contains("; Secure"));
    assert!(header(&response, "location").contains("=https%3A%2F%2Fshop.example.com%2Foidc"));
}

#[test]
fn a_provider_that_cannot_be_asked_refuses_nobody_for_good() {
    let document = |changes| {
        let host = Provider::new().host().with_metadata(super::ISSUER, metadata(&changes));
        let _host = host.install();
        code(&plugin(&json!({})).authorize(&Browser::default().goes("/", 0)))
    };
    let malformed = "503 discovery-malformed";

    assert_eq!(document(json!({ "authorization_endpoint": null })), malformed);
    assert_eq!(document(json!({ "authorization_endpoint": "http://a.test/" })), malformed);
    assert_eq!(document(json!({ "authorization_endpoint": "javascript:x" })), malformed);
    assert_eq!(document(json!({ "issuer": "https://other.example.com" })), malformed);
    assert_eq!(document(json!({ "token_endpoint": 1 })), malformed);
    let nothing = code(&plugin(&json!({})).authorize(&Browser::default().goes("/", 0)));
    assert_eq!(nothing, "503 discovery-unavailable");
}

#[test]
fn a_login_returns_to_where_it_began_and_to_no_other_site() {
    let at = |raw_path: &str, query: Option<&str>| {
        let mut request = Request::get(raw_path);
        request.query = query.map(str::to_owned);
        return_path(&request)
    };

    assert_eq!(at("/a%20b", Some("x=//y")), "/a%20b?x=//y");
    for elsewhere in ["//evil.test", "/\\evil.test", "https://evil.test", "", "/a\tb", "/\u{e9}"] {
        assert_eq!(at(elsewhere, None), "/", "{elsewhere}");
    }
    assert_eq!(at("/", Some(&"x".repeat(2000))), "/");
}

proptest! {
    #[test]
    fn no_path_leads_to_another_origin(path in ".{0,40}", query in proptest::option::of(".{0,40}")) {
        let mut request = Request::get(&path);
        request.query = query;
        request.time = NOW;
        let path = return_path(&request);

        prop_assert!(path.starts_with('/') && !path.starts_with("//"));
        prop_assert!(!path.starts_with("/\\") && path.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
