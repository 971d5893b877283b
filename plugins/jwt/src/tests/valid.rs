//! Tokens that hold, and what becomes of their claims.

use portcullis_plugin_sdk::crypto::{HashAlgorithm, Key};
use portcullis_plugin_sdk::testing::configured;
use portcullis_plugin_sdk::{Authorizer, Denial, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ISSUER, NOW, ask, bearing, code, encode, host, settings, signed, token};
use crate::Jwt;

fn check(settings: Value, header: Value, claims: Value, expected: &str) {
    assert_eq!(code(&settings, &token(&header, &claims)), expected, "{settings} {header} {claims}");
}

fn with(changes: Value) -> Value {
    let mut settings = settings();
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

#[test]
fn the_claims_say_who_it_is() {
    let claims = json!({
        "email": "a@example.com", "email_verified": true, "level": 3, "ratio": 0.5,
        "groups": ["a", "b"], "address": { "city": "x" }, "nothing": [1, "a"],
    });

    let grant = ask(&settings(), &bearing(&token(&json!({}), &claims))).unwrap();

    assert_eq!(grant.identity.principal, "alice");
    assert_eq!(grant.expires_at, Some((NOW + 60) * 1000));
    let mut said: Vec<String> = grant
        .identity
        .attributes
        .iter()
        .map(|attribute| format!("{}={}", attribute.name, attribute.value))
        .collect();
    said.sort();
    let iat = NOW - 60;
    let exp = NOW + 60;
    assert_eq!(
        said,
        [
            "claim.aud=orders".to_owned(),
            "claim.email=a@example.com".to_owned(),
            "claim.email_verified=true".to_owned(),
            format!("claim.exp={exp}"),
            "claim.groups=a,b".to_owned(),
            format!("claim.iat={iat}"),
            format!("claim.iss={ISSUER}"),
            "claim.level=3".to_owned(),
            format!("claim.nbf={iat}"),
            "claim.ratio=0.5".to_owned(),
            "claim.scope=orders:read orders:write".to_owned(),
            "claim.sub=alice".to_owned(),
            format!("issuer={ISSUER}"),
            "scopes=orders:read,orders:write".to_owned(),
            "subject=alice".to_owned(),
        ]
    );
}

#[test]
fn only_the_claims_that_are_wanted_become_attributes() {
    let settings = with(json!({ "attributes": ["email"], "principal": "email" }));
    let claims = json!({ "email": "a@example.com", "scope": null, "scp": ["x", "y z"] });

    let grant = ask(&settings, &bearing(&token(&json!({}), &claims))).unwrap();

    assert_eq!(grant.identity.principal, "a@example.com");
    let names: Vec<&str> =
        grant.identity.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(names, ["claim.email", "issuer", "subject", "scopes"]);
    assert_eq!(grant.identity.attributes[3].value.to_string(), "x,y,z");
}

#[test]
fn an_audience_is_looked_for_where_amazon_looks() {
    let aud = |claims| check(settings(), json!({}), claims, "ok");
    aud(json!({ "aud": ["x", "orders"] }));
    aud(json!({ "aud": null, "client_id": "orders" }));
    check(with(json!({ "audience": "*" })), json!({}), json!({ "aud": null }), "ok");
}

#[test]
fn times_count_to_the_millisecond_and_with_the_leeway() {
    let at = |settings: Value, claims: Value, now_ms: u64| {
        let plugin: Jwt = configured(settings).unwrap();
        let _host = host();
        let request = Request { time: now_ms, ..bearing(&token(&json!({}), &claims)) };
        plugin.authorize(&request).map(|grant| grant.expires_at)
    };
    let exp = json!({ "exp": 1_800_000_060.25 });
    let ends = 1_800_000_060_250;

    assert_eq!(at(settings(), exp.clone(), ends - 1), Ok(Some(ends)));
    assert!(at(settings(), exp.clone(), ends).is_err());
    let lenient = with(json!({ "leeway": "30s" }));
    assert_eq!(at(lenient.clone(), exp.clone(), ends + 29_999), Ok(Some(ends + 30_000)));
    assert!(at(lenient.clone(), exp.clone(), ends + 30_000).is_err());
    let early = json!({ "nbf": NOW + 30, "iat": NOW + 30, "exp": NOW + 600 });
    assert!(at(settings(), early.clone(), NOW * 1000).is_err());
    assert!(at(lenient, early, NOW * 1000).is_ok());
    let aging = with(json!({ "max_age": "90s" }));
    assert_eq!(at(aging, exp, NOW * 1000), Ok(Some((NOW + 30) * 1000)));
    let eternal = with(json!({ "required": [] }));
    assert_eq!(at(eternal, json!({ "exp": null }), NOW * 1000), Ok(None));
}

#[test]
fn rules_of_claims_are_exact() {
    let rule = |rule: Value, claim: Value, expected| {
        check(with(json!({ "claims": { "c": rule } })), json!({}), json!({ "c": claim }), expected);
    };
    rule(json!("a"), json!("a"), "ok");
    rule(json!(["a", "b"]), json!("b"), "ok");
    rule(json!("a"), json!(["x", "a"]), "ok");
    rule(json!(true), json!(true), "ok");
    rule(json!(1), json!(1), "ok");
    rule(json!("a"), json!("A"), "claim-mismatch");
    rule(json!("true"), json!(true), "claim-mismatch");
    rule(json!(true), json!("true"), "claim-mismatch");
    rule(json!(1), json!("1"), "claim-mismatch");
    rule(json!("a"), Value::Null, "claim-mismatch");
    rule(json!([]), json!("a"), "claim-mismatch");
    let cognito = with(json!({ "token_use": "access" }));
    check(cognito.clone(), json!({}), json!({ "token_use": "access" }), "ok");
    check(cognito, json!({}), json!({ "token_use": "id" }), "claim-mismatch");
    let required = with(json!({ "required": ["exp", "jti"] }));
    check(required.clone(), json!({}), json!({ "jti": "1" }), "ok");
    check(required, json!({}), json!({}), "missing-claim");
}

#[test]
fn types_are_those_of_access_tokens_or_those_named() {
    for kind in
        [json!("JWT"), json!("jwt"), json!("at+jwt"), json!("application/at+JWT"), Value::Null]
    {
        check(settings(), json!({ "typ": kind }), json!({}), "ok");
    }
    let access = with(json!({ "typ": "at+jwt" }));
    check(access.clone(), json!({ "typ": "AT+jwt" }), json!({}), "ok");
    check(access.clone(), json!({ "typ": "JWT" }), json!({}), "wrong-type");
    check(access, json!({ "typ": null }), json!({}), "wrong-type");
}

#[test]
fn a_shared_secret_verifies_only_macs() {
    let secret = json!({ "issuer": "us", "audience": "orders", "secret": "shared" });
    let mac = |key: &str, hash, header: &str| {
        let claims = json!({ "iss": "us", "sub": "alice", "aud": "orders", "exp": NOW + 60 });
        let message = format!("{}.{}", encode(header), encode(claims.to_string()));
        let code = Key::import(key).hmac(hash, &message);
        format!("{message}.{}", encode(code))
    };
    let key = "a secret of at least thirty-two bytes";
    let (sha256, sha384) = (HashAlgorithm::Sha256, HashAlgorithm::Sha384);

    assert_eq!(code(&secret, &mac(key, sha256, r#"{"alg":"HS256"}"#)), "ok");
    assert_eq!(code(&secret, &mac("another", sha256, r#"{"alg":"HS256"}"#)), "bad-signature");
    let other = mac(key, sha384, r#"{"alg":"HS384"}"#);
    assert_eq!(code(&secret, &other), "algorithm-not-allowed");
    let mut both = secret;
    both["algorithms"] = json!(["HS256", "HS384"]);
    assert_eq!(code(&both, &other), "ok");
    // A MAC cut short, and one of another length than its algorithm's.
    assert_eq!(code(&both, &mac(key, sha384, r#"{"alg":"HS256"}"#)), "bad-signature");
}

#[test]
fn a_request_without_a_token_is_left_to_others() {
    assert_eq!(ask(&settings(), &Request::get("/")), Err(Denial::NotMine));
    let basic = Request::get("/").with_header("authorization", "Basic YTpi");
    assert_eq!(ask(&settings(), &basic), Err(Denial::NotMine));
}

#[test]
fn places_are_tried_in_order() {
    let settings = with(json!({ "token": ["header:authorization", "query:t", "cookie:s"] }));
    let good = token(&json!({}), &json!({}));
    let request = |request: Request| Request { time: NOW * 1000, ..request };
    let by = |request: &Request| ask(&settings, request).map(|grant| grant.identity.principal);
    let alice = Ok("alice".to_owned());

    assert_eq!(by(&bearing(&good)), alice);
    assert_eq!(by(&request(Request::get("/").with_parameter("t", &good))), alice);
    assert_eq!(by(&request(Request::get("/").with_header("cookie", format!("s={good}")))), alice);
    // The first place that has a token counts, also where it is a bad one.
    assert!(by(&bearing("a.b.c").with_parameter("t", &good)).is_err());
}

proptest! {
    #[test]
    fn any_bit_changed_is_refused(place in any::<proptest::sample::Index>(), bit in 0..7_u8) {
        let mut bytes = token(&json!({}), &json!({})).into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert_ne!(code(&settings(), &String::from_utf8(bytes).unwrap()), "ok");
    }

    #[test]
    fn no_token_is_too_strange(text in "[ -~]{0,200}") {
        let plugin: Jwt = configured(settings()).unwrap();
        prop_assert!(plugin.admit(&text, &Request::get("/")).is_err());
    }

    #[test]
    fn no_parts_are_too_strange(header in any::<Vec<u8>>(), claims in any::<Vec<u8>>()) {
        let plugin: Jwt = configured(settings()).unwrap();
        let token = format!("{}.{}.{}", encode(header), encode(claims), encode("x"));
        prop_assert!(plugin.admit(&token, &Request::get("/")).is_err());
    }

    #[test]
    fn no_claims_are_too_strange(claims in r#"[{}\[\]",:a\\0-9.e\-]{0,60}"#) {
        prop_assert_ne!(code(&settings(), &signed(r#"{"alg":"RS256","kid":"one"}"#, &claims)), "ok");
    }
}
