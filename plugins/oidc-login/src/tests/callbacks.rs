//! What the provider sends back is believed only where it answers this very login.

use portcullis_plugin_sdk::http::HttpError;
use portcullis_plugin_sdk::{Authorizer, Denial};
use serde_json::{Value, json};

use super::{
    Browser, ISSUER, NOW, Provider, answer, callback, code, encode, header, id_token, plugin,
    responded, value,
};
use crate::refusal::Refusal;

#[test]
fn a_login_ends_where_it_began_and_with_a_session() {
    let provider = Provider::new();
    let host = provider.install();
    let plugin = plugin(&json!({}));
    let mut browser = Browser::default();

    let back = responded(browser.logs_in(&plugin, &provider, (&json!({}), &json!({}))));

    assert_eq!((back.status, header(&back, "location").as_str()), (302, "/orders?x=1"));
    let [(name, _)] = browser.cookies.as_slice() else { panic!("{:?}", browser.cookies) };
    assert_eq!(name, "__Host-session");
    let asked = provider.asked.borrow();
    let [question] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(question.url, "https://login.example.com/token");
    let body = String::from_utf8(question.body.clone()).unwrap();
    assert!(body.starts_with("grant_type=authorization_code&code=abc&code_verifier="), "{body}");
    assert!(body.ends_with("&redirect_uri=https%3A%2F%2Fshop.example.com%2Foidc%2Fcallback"));
    // `shop:se%20cret`
    let basic = question.headers.iter().find(|header| header.name == "authorization").unwrap();
    assert_eq!(basic.value, b"Basic c2hvcDpzZSUyMGNyZXQ=");
    let grant = plugin.authorize(&browser.asks("/orders", 2)).unwrap();
    assert_eq!(grant.identity.principal, "alice");
    assert_eq!(host.lines(), [""; 0]);
}

#[test]
fn a_client_proves_itself_as_the_settings_say() {
    let provider = Provider::new();
    let _host = provider.install();
    let check = |method: &str, expected: &str| {
        let plugin = plugin(&json!({ "client_authentication": method }));
        let back = Browser::default().logs_in(&plugin, &provider, (&json!({}), &json!({})));
        assert_eq!(code(&back), "302");
        let question = provider.asked.borrow().last().unwrap().clone();
        assert!(question.headers.iter().all(|header| header.name != "authorization"));
        let body = String::from_utf8(question.body).unwrap();
        assert!(body.ends_with(expected), "{body}");
    };

    check("client_secret_post", "&client_id=shop&client_secret=se%20cret");
    check("none", "&client_id=shop");
}

#[test]
fn an_answer_to_no_login_of_this_browser_is_refused() {
    let provider = Provider::new();
    let _host = provider.install();
    let plugin = plugin(&json!({}));
    let mut browser = Browser::default();
    let state = value(&browser.is_sent_away(&plugin, "/"), "state");
    let check = |browser: &Browser, target: &str, seconds, expected: &str| {
        assert_eq!(code(&plugin.authorize(&browser.goes(target, seconds))), expected, "{target}");
    };

    check(&Browser::default(), &callback(&state), 1, "unknown-login");
    check(&browser, &callback(&format!("{}x", &state[..21])), 1, "unknown-login");
    check(&browser, &callback("short"), 1, "unknown-login");
    check(&browser, &callback(""), 1, "unknown-login");
    check(&browser, "/oidc/callback?code=abc", 1, "callback-malformed");
    check(&browser, &format!("{}&state={state}", callback(&state)), 1, "callback-malformed");
    check(&browser, &callback(&state), 600, "login-expired");
    let mut tampered = browser.clone();
    tampered.cookies[0].1.replace_range(50..51, "_");
    check(&tampered, &callback(&state), 1, "unknown-login");
    assert!(provider.asked.borrow().is_empty());
}

#[test]
fn an_answer_is_used_once_and_by_its_own_provider() {
    let provider = Provider::new();
    let _host = provider.install();
    let plugin = plugin(&json!({}));
    let check = |parameters: &str, expected: &str| {
        let mut browser = Browser::default();
        let state = value(&browser.is_sent_away(&plugin, "/"), "state");
        let target = format!("/oidc/callback?state={state}{parameters}");
        let answer = plugin.authorize(&browser.goes(&target, 1));
        assert_eq!(code(&answer), expected, "{parameters}");
        let Err(Denial::Unauthenticated(reason)) = answer else { panic!("{answer:?}") };
        browser.keeps(&reason.headers);
        assert!(browser.cookies.is_empty(), "the login is used up");
        assert_eq!(code(&plugin.authorize(&browser.goes(&target, 2))), "unknown-login");
    };

    check("&code=a", "wrong-issuer");
    check("&code=a&iss=https%3A%2F%2Fevil.example.com", "wrong-issuer");
    check(&format!("&code=a&code=b&iss={ISSUER}"), "callback-malformed");
    check(&format!("&iss={ISSUER}"), "callback-malformed");
    check(&format!("&error=access_denied&iss={ISSUER}"), "login-refused");
    assert!(provider.asked.borrow().is_empty());
}

#[test]
fn an_id_token_that_does_not_hold_opens_nothing() {
    let provider = Provider::new();
    let _host = provider.install();
    let plugin = plugin(&json!({ "claims": { "email": "alice@example.com" } }));
    let check = |claims: Value, expected: &str| {
        let back = Browser::default().logs_in(&plugin, &provider, (&json!({}), &claims));
        assert_eq!(code(&back), expected, "{claims}");
    };

    check(json!({ "nonce": "another" }), "id-token-wrong-nonce");
    check(json!({ "nonce": null }), "id-token-wrong-nonce");
    check(json!({ "iss": "https://evil.example.com" }), "id-token-unknown-issuer");
    check(json!({ "aud": "other" }), "id-token-wrong-audience");
    check(json!({ "aud": null, "client_id": "shop" }), "id-token-missing-claim");
    check(json!({ "aud": ["shop", "other"] }), "id-token-wrong-party");
    check(json!({ "azp": "other" }), "id-token-wrong-party");
    check(json!({ "exp": NOW - 60 }), "id-token-expired");
    check(json!({ "exp": null }), "id-token-missing-claim");
    check(json!({ "iat": NOW + 60 }), "id-token-issued-in-future");
    check(json!({ "iat": null }), "id-token-missing-claim");
    check(json!({ "sub": null }), "id-token-missing-claim");
    check(json!({ "at_hash": encode([0; 16]) }), "id-token-wrong-access-token");
    check(json!({ "at_hash": 1 }), "id-token-wrong-access-token");
    check(json!({ "email": "mallory@example.com" }), "403 id-token-claim-mismatch");
    check(json!({ "aud": ["shop", "other"], "azp": "shop" }), "302");
    check(json!({ "at_hash": null }), "302");
}

#[test]
fn what_the_token_endpoint_says_amiss_has_a_code_of_its_own() {
    let provider = Provider::new();
    let _host = provider.install();
    let plugin = plugin(&json!({}));
    let check = |set: &dyn Fn(&str), expected: &str| {
        let mut browser = Browser::default();
        let question = browser.is_sent_away(&plugin, "/");
        set(&value(&question, "nonce"));
        let target = callback(&value(&question, "state"));
        let answer = plugin.authorize(&browser.goes(&target, 1));
        assert_eq!(code(&answer), expected);
    };
    let says = |status, body: &'static str| move |provider: &Provider| provider.says(status, body);

    for (say, expected) in [
        (says(400, r#"{"error":"invalid_grant"}"#), "code-refused"),
        (says(401, r#"{"error":"invalid_client"}"#), "503 client-refused"),
        (says(400, "?"), "code-refused"),
        (says(429, ""), "503 token-endpoint-unavailable"),
        (says(500, ""), "503 token-endpoint-unavailable"),
        (says(302, ""), "503 token-endpoint-unavailable"),
        (says(200, "<html>"), "503 token-endpoint-malformed"),
        (
            says(200, r#"{"access_token":"a","token_type":"Bearer"}"#),
            "503 token-endpoint-malformed",
        ),
    ] {
        check(&|_| say(&provider), expected);
    }
    for (error, expected) in [
        (HttpError::Timeout, "503 token-endpoint-unavailable"),
        (HttpError::Unreachable, "503 token-endpoint-unavailable"),
        (HttpError::TooLong, "503 token-endpoint-malformed"),
        (HttpError::Denied, "503 token-endpoint-not-granted"),
    ] {
        check(&|_| provider.fails(error.clone()), expected);
    }
    for members in [
        json!({ "token_type": "DPoP" }),
        json!({ "access_token": null }),
        json!({ "expires_in": -1 }),
    ] {
        let say = |nonce: &str| provider.says(200, answer(&id_token(nonce, &json!({})), &members));
        check(&say, "503 token-endpoint-malformed");
    }
    let forged = |nonce: &str| {
        let good = id_token(nonce, &json!({}));
        let (front, _) = good.rsplit_once('.').unwrap();
        provider.says(200, answer(&format!("{front}.{}", encode([0; 256])), &json!({})));
    };
    check(&forged, "id-token-bad-signature");
}

#[test]
fn every_code_is_in_the_reference() {
    let reference = include_str!("../../../../docs/oidc-login.md");
    for refusal in Refusal::ALL {
        assert!(reference.contains(&format!("`{}`", refusal.code())), "{}", refusal.code());
    }
}
