use std::sync::Arc;

use portcullis_config::{ApiResource, Route};
use portcullis_pipeline::{CacheUse, Grant, Pipeline, Value};
use portcullis_policy::Policy;

use crate::counted::{Counted, Tested};
use crate::scripted::{Scripted, grant_to};
use crate::sent::Sent;
use crate::served::{admit, api, guarded, route};

const ACCOUNT: &str = "111122223333";

/// An API `shop` with one route and this policy.
fn with_policy(route: Route, document: Option<&str>, plugins: Scripted) -> Tested {
    let mut api = api("shop", &[], "", vec![route]);
    let mut resource = ApiResource::of("shop", ACCOUNT, "local");
    resource.policy = document
        .map(|document| Arc::new(Policy::parse_of_resource(document, &resource.arn).unwrap()));
    api.resource = Arc::new(resource);
    Pipeline::new(vec![api], plugins, Counted::default())
}

fn statement(effect: &str, principal: &str, resource: &str, condition: &str) -> String {
    format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{
            "Effect": "{effect}", {principal} "Action": "execute-api:Invoke",
            "Resource": "{resource}", "Condition": {condition}
        }}]}}"#
    )
}

/// Grants to `alice` with these attributes and policies.
fn granting(attributes: &[(&str, Value)], documents: &[String]) -> Scripted {
    let mut grant = grant_to("alice");
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    std::sync::Arc::make_mut(&mut grant.identity).attributes = attributes.collect();
    let policies = documents.iter().map(|it| Arc::new(Policy::parse(it).unwrap()));
    let grant = Grant { policies: policies.collect(), ..grant };
    Scripted::default().authorizer(0, move |_| Ok((Ok(grant.clone()), CacheUse::Hit)))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

async fn outcome(pipeline: &Tested) -> Option<(u16, &'static str)> {
    let sent = Sent::new("POST", "/orders/7").header("user-agent", "curl/8");
    let outcome = admit(pipeline, sent).await;
    outcome.admitted.is_err().then(|| outcome.refusal())
}

const DENIED: Option<(u16, &str)> = Some((403, "policy-denied"));
const EXPLICIT: Option<(u16, &str)> = Some((403, "policy-explicit-deny"));

#[tokio::test]
async fn the_facts_of_the_request_and_the_caller_reach_conditions() {
    let attributes = [
        ("arn", text("arn:aws:iam::111122223333:user/alice")),
        ("user-id", text("AIDA1")),
        ("username", text("alice")),
        ("tag.Team", Value::Texts(vec!["red".into(), "blue".into()])),
        ("iat", Value::Integer(1_600_000_000)),
    ];
    for (condition, allowed) in [
        (r#"{"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}"#, true),
        (r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#, false),
        (r#"{"DateEquals": {"aws:CurrentTime": "2023-11-14T22:13:20Z"}}"#, true),
        (r#"{"NumericEquals": {"aws:EpochTime": 1700000000}}"#, true),
        (r#"{"Bool": {"aws:SecureTransport": true}}"#, true),
        (r#"{"StringEquals": {"aws:UserAgent": "curl/8"}}"#, true),
        (r#"{"Null": {"aws:Referer": true}}"#, true),
        (r#"{"StringEquals": {"aws:username": "alice"}}"#, true),
        (r#"{"StringEquals": {"aws:userid": "AIDA1"}}"#, true),
        (r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/alice"}}"#, true),
        (r#"{"StringEquals": {"aws:PrincipalAccount": "111122223333"}}"#, true),
        (r#"{"StringEquals": {"aws:PrincipalType": "User"}}"#, true),
        (r#"{"ForAnyValue:StringEquals": {"aws:PrincipalTag/team": "red"}}"#, true),
        (r#"{"DateLessThan": {"aws:TokenIssueTime": "2020-12-31"}}"#, true),
        (r#"{"Null": {"aws:SourceVpc": false}}"#, false),
    ] {
        let document = statement("Allow", "", "*", condition);
        let plugins = granting(&attributes, &[document]);
        let pipeline = with_policy(guarded(), None, plugins);
        assert_eq!(outcome(&pipeline).await, if allowed { None } else { DENIED }, "{condition}");
    }
}

#[tokio::test]
async fn every_policy_of_a_grant_must_allow() {
    let allow = statement("Allow", "", "arn:aws:execute-api:local:111122223333:shop/*", "{}");
    let other = statement("Allow", "", "*/GET/*", "{}");
    let deny = statement("Deny", "", "*/POST/orders/7", "{}");

    for (documents, expected) in [
        (vec![], None),
        (vec![allow.clone()], None),
        (vec![allow.clone(), other.clone()], DENIED),
        (vec![other, deny.clone()], EXPLICIT),
        (vec![allow, deny], EXPLICIT),
    ] {
        let pipeline = with_policy(guarded(), None, granting(&[], &documents));
        assert_eq!(outcome(&pipeline).await, expected, "{documents:?}");
    }
}

#[tokio::test]
async fn an_open_route_is_its_apis_policy_s_to_open() {
    let everybody = r#""Principal": "*","#;
    let anonymous = r#"{"StringEquals": {"aws:PrincipalType": "Anonymous"}}"#;
    for (document, expected) in [
        (statement("Allow", everybody, "execute-api:/*/POST/orders/*", anonymous), None),
        (statement("Allow", everybody, "execute-api:/*/GET/*", "{}"), DENIED),
        (statement("Allow", r#""Principal": {"AWS": "111122223333"},"#, "*", "{}"), DENIED),
        (statement("Deny", everybody, "*", "{}"), EXPLICIT),
    ] {
        let open = route("POST /orders/{id}");
        let pipeline = with_policy(open, Some(&document), Scripted::default());
        assert_eq!(outcome(&pipeline).await, expected, "{document}");
    }
}

#[tokio::test]
async fn a_caller_of_another_account_needs_both_sides() {
    let own = [("account", text(ACCOUNT))];
    let foreign = [("arn", text("arn:aws:iam::444455556666:user/bob"))];
    let silent = statement("Allow", r#""Principal": "*","#, "execute-api:/*/GET/*", "{}");
    let allows = statement("Allow", r#""Principal": {"AWS": "444455556666"},"#, "*", "{}");
    let elsewhere = statement("Allow", "", "*/GET/*", "{}");

    for (caller, policies, document, expected) in [
        (&own[..], vec![], &silent, None),
        (&foreign, vec![], &silent, DENIED),
        (&foreign, vec![], &allows, None),
        (&foreign, vec![elsewhere.clone()], &allows, DENIED),
        (&own, vec![elsewhere], &allows, DENIED),
    ] {
        let pipeline = with_policy(guarded(), Some(document), granting(caller, &policies));
        assert_eq!(outcome(&pipeline).await, expected, "{caller:?} {document}");
    }
}

#[tokio::test]
async fn the_log_tells_whose_policy_denied() {
    let denies = statement("Deny", r#""Principal": "*","#, "*", "{}");
    let pipeline = with_policy(guarded(), Some(&denies), granting(&[], &[]));
    let refused = admit(&pipeline, Sent::new("POST", "/orders/7")).await;
    assert_eq!(refused.decision().detail, "the API's policy denies this method and path");

    let denies = statement("Deny", "", "*", "{}");
    let pipeline = with_policy(guarded(), None, granting(&[], &[denies]));
    let refused = admit(&pipeline, Sent::new("POST", "/orders/7")).await;
    assert_eq!(refused.decision().detail, "the caller's policy denies this method and path");
}
