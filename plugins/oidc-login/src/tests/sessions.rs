//! What a session is worth, and for how long.

use portcullis_plugin_sdk::http::HttpError;
use portcullis_plugin_sdk::{Authorizer, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Browser, NOW, Provider, answer, code, header, id_token, plugin, responded};
use crate::OidcLogin;

/// A browser that has logged in.
fn logged_in(plugin: &OidcLogin, provider: &Provider, members: Value, claims: Value) -> Browser {
    let mut browser = Browser::default();
    let back = browser.logs_in(plugin, provider, (&members, &claims));
    assert_eq!(code(&back), "302");
    browser
}

#[test]
fn the_claims_say_who_it_is_until_the_session_ends() {
    let provider = Provider::new();
    let _host = provider.install();
    let plugin = plugin(&json!({}));
    let browser = logged_in(&plugin, &provider, json!({}), json!({}));

    let grant = plugin.authorize(&browser.asks("/orders", 2)).unwrap();

    assert_eq!(grant.expires_at, Some((NOW + 1 + 3600) * 1000));
    let said = |name: &str| {
        let found = grant.identity.attributes.iter().find(|attribute| attribute.name == name);
        found.map(|attribute| attribute.value.to_string())
    };
    assert_eq!(said("claim.email").as_deref(), Some("alice@example.com"));
    assert_eq!(said("scopes").as_deref(), Some("openid,email"));
    assert_eq!(said("subject").as_deref(), Some("alice"));
    assert!(grant.response_headers.is_empty());
}

#[test]
fn a_session_lasts_while_it_is_used_and_no_longer_than_its_lifetime() {
    let provider = Provider::new();
    let _host = provider.install();
    let plugin = plugin(&json!({ "lifetime": "2h", "idle": "1h" }));
    let mut browser = logged_in(&plugin, &provider, json!({}), json!({}));

    assert_eq!(code(&plugin.authorize(&browser.asks("/", 3601))), "session-expired");
    assert_eq!(code(&plugin.authorize(&browser.goes("/", 3601))), "302");
    let grant = plugin.authorize(&browser.asks("/", 3500)).unwrap();
    browser.keeps(&grant.response_headers);
    let grant = plugin.authorize(&browser.asks("/", 7000)).unwrap();
    assert_eq!(grant.expires_at, Some((NOW + 1 + 7200) * 1000));
    browser.keeps(&grant.response_headers);
    assert_eq!(code(&plugin.authorize(&browser.asks("/", 7201))), "session-expired");
}

#[test]
fn a_session_of_another_key_client_or_purpose_is_none() {
    let provider = Provider::new();
    let _host = provider.install();
    let mut browser = logged_in(&plugin(&json!({})), &provider, json!({}), json!({}));
    let ask = |settings: Value| plugin(&settings).authorize(&browser.asks("/", 2));

    assert_eq!(code(&ask(json!({ "session_key": "new-key" }))), "bad-session");
    assert_eq!(code(&ask(json!({ "client_id": "other" }))), "bad-session");
    let rotated = json!({ "session_key": "new-key", "previous_session_key": "session-key" });
    let grant = ask(rotated).unwrap();
    assert_eq!(grant.response_headers.len(), 1, "it is sealed with the new key");
    browser.keeps(&grant.response_headers);
    let ask = |settings: Value| plugin(&settings).authorize(&browser.asks("/", 2));
    assert_eq!(code(&ask(json!({ "session_key": "new-key" }))), "ok");

    let mut login = Browser::default();
    login.is_sent_away(&plugin(&json!({})), "/");
    let sealed = format!("1.{}", login.cookies[0].1);
    let forged = Browser { cookies: vec![("__Host-session".to_owned(), sealed)] };
    assert_eq!(code(&plugin(&json!({})).authorize(&forged.asks("/", 2))), "bad-session");
}

#[test]
fn a_claim_that_the_settings_want_is_wanted_of_sessions_too() {
    let provider = Provider::new();
    let _host = provider.install();
    let browser = logged_in(&plugin(&json!({})), &provider, json!({}), json!({}));
    let stricter = plugin(&json!({ "claims": { "groups": "staff" } }));

    assert_eq!(code(&stricter.authorize(&browser.goes("/", 2))), "403 id-token-claim-mismatch");
}

#[test]
fn a_long_session_is_spread_over_cookies_and_too_long_a_one_is_refused() {
    let provider = Provider::new();
    let _host = provider.install();
    let plugin = plugin(&json!({}));
    let long = |bytes: usize| json!({ "picture": "x".repeat(bytes) });
    let browser = logged_in(&plugin, &provider, json!({}), long(3000));
    assert_eq!(browser.cookies.len(), 2);
    assert_eq!(code(&plugin.authorize(&browser.asks("/", 2))), "ok");

    for left in 0..2 {
        let one = Browser { cookies: vec![browser.cookies[left].clone()] };
        let expected = ["bad-session", "login-required"][left];
        assert_eq!(code(&plugin.authorize(&one.asks("/", 2))), expected);
    }
    let back = Browser::default().logs_in(&plugin, &provider, (&json!({}), &long(9000)));
    assert_eq!(code(&back), "session-too-large");
}

#[test]
fn a_stale_session_is_refreshed_and_ends_where_the_provider_says_so() {
    let provider = Provider::new();
    let _host = provider.install();
    let plugin = plugin(&json!({}));
    let refreshable = json!({ "refresh_token": "first", "expires_in": 300 });
    let mut browser = logged_in(&plugin, &provider, refreshable, json!({}));
    let asked = || provider.asked.borrow().len();

    assert_eq!(code(&plugin.authorize(&browser.asks("/", 299))), "ok");
    assert_eq!(asked(), 1, "only a navigation refreshes early");
    provider.fails(HttpError::Timeout);
    assert_eq!(code(&plugin.authorize(&browser.goes("/", 299))), "ok");
    let late = code(&plugin.authorize(&browser.asks("/", 301)));
    assert_eq!(late, "503 token-endpoint-unavailable");

    let claims = json!({ "sub": "mallory", "exp": NOW + 900 });
    provider.says(200, answer(&id_token("", &claims), &json!({})));
    assert_eq!(code(&plugin.authorize(&browser.asks("/", 301))), "id-token-wrong-subject");
    let claims = json!({ "nonce": "another", "exp": NOW + 900 });
    provider.says(200, answer(&id_token("", &claims), &json!({})));
    assert_eq!(code(&plugin.authorize(&browser.asks("/", 301))), "id-token-wrong-nonce");

    let claims = json!({ "nonce": null, "email": "new@example.com", "exp": NOW + 900 });
    let members = json!({ "refresh_token": "second", "expires_in": "300" });
    provider.says(200, answer(&id_token("", &claims), &members));
    let grant = plugin.authorize(&browser.asks("/", 301)).unwrap();
    assert_eq!(grant.expires_at, Some((NOW + 601) * 1000));
    assert!(format!("{:?}", grant.identity.attributes).contains("new@example.com"));
    browser.keeps(&grant.response_headers);

    provider.says(400, r#"{"error":"invalid_grant"}"#);
    assert_eq!(code(&plugin.authorize(&browser.asks("/", 601))), "refresh-refused");
    let body = provider.asked.borrow().last().unwrap().body.clone();
    assert_eq!(String::from_utf8(body).unwrap(), "grant_type=refresh_token&refresh_token=second");
    assert_eq!(code(&plugin.authorize(&browser.goes("/", 601))), "302");
}

#[test]
fn a_logout_is_asked_for_by_the_site_itself_and_ends_at_the_provider() {
    let provider = Provider::new();
    let _host = provider.install();
    let settings = json!({ "after_logout": "/bye" });
    let browser = logged_in(&plugin(&settings), &provider, json!({}), json!({}));
    let ask = |request: Request, name: &str, value: &str| {
        plugin(&settings).authorize(&request.with_header(name, value))
    };
    let logout = || browser.asks("/oidc/logout", 2);

    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example.com"),
        ("origin", "null"),
        ("x-none", ""),
    ] {
        assert_eq!(code(&ask(logout(), name, value)), "403 cross-site-logout", "{name} {value}");
    }
    for (name, value) in [("sec-fetch-site", "same-origin"), ("origin", "https://shop.example.com")]
    {
        let response = responded(ask(logout(), name, value));
        let location = header(&response, "location");
        let start = "https://login.example.com/logout?client_id=shop&id_token_hint=";
        assert!(response.status == 303 && location.starts_with(start), "{location}");
        let end = "&post_logout_redirect_uri=https%3A%2F%2Fshop.example.com%2Fbye";
        assert!(location.ends_with(end), "{location}");
        let mut after = browser.clone();
        after.keeps(&response.headers);
        assert!(after.cookies.is_empty());
    }
    let nobody = Browser::default().asks("/oidc/logout", 2);
    let response = responded(ask(nobody, "sec-fetch-site", "none"));
    assert_eq!(header(&response, "location"), "/bye");
}

proptest! {
    #[test]
    fn no_cookie_that_was_changed_is_a_session(at in 0_usize..600, byte in 0x21_u8..0x7f) {
        let provider = Provider::new();
        let _host = provider.install();
        let plugin = plugin(&json!({}));
        let mut browser = logged_in(&plugin, &provider, json!({}), json!({}));
        let mut value = browser.cookies[0].1.clone().into_bytes();
        let at = at % value.len();
        prop_assume!(value[at] != byte && byte != b';');
        value[at] = byte;
        browser.cookies[0].1 = String::from_utf8(value).unwrap();

        prop_assert_eq!(code(&plugin.authorize(&browser.asks("/", 2))), "bad-session");
    }

    #[test]
    fn no_cookies_are_too_strange(cookie in "(__Host-session(-[12]|-login-a)?=[0-9A-Za-z.=-]{0,20};? ?){0,4}") {
        let _host = Provider::new().install();
        let request = Browser::default().asks("/", 2).with_header("cookie", cookie);

        let answer = code(&plugin(&json!({})).authorize(&request));
        prop_assert!(answer == "302" || answer == "bad-session" || answer == "login-required", "{}", answer);
    }
}
