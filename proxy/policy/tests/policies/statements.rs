//! Effects, actions and resources.

use portcullis_policy::{Key, Policy, Question, Verdict};

use crate::{ARN, Request, text, verdict};

fn ask(document: &str, path: &str) -> Verdict {
    verdict(&Policy::parse(document).unwrap(), path, &Request::default())
}

#[test]
fn an_explicit_deny_wins_and_what_nothing_allows_is_denied() {
    let document = r#"{"Version": "2012-10-17", "Id": "x", "Statement": [
        {"Sid": "deny", "Effect": "Deny", "Action": "*", "Resource": "*/orders/9*"},
        {"Effect": "Allow", "Action": ["execute-api:*"], "Resource": ["*/GET/orders/*", "*/GET/pets"]}
    ]}"#;

    assert_eq!(ask(document, "orders/1"), Verdict::Allow);
    assert_eq!(ask(document, "orders/a/b:c"), Verdict::Allow);
    assert_eq!(ask(document, "orders/91"), Verdict::ExplicitDeny);
    assert_eq!(ask(document, "pets/1"), Verdict::ImplicitDeny);
    assert_eq!(ask(document, "Pets"), Verdict::ImplicitDeny, "resources have case");
}

#[test]
fn actions_have_no_case_and_the_opposites_take_all_others() {
    let allows = |action: &str, resource: &str| {
        let document = format!(r#"{{"Statement": {{"Effect": "Allow", {action}, {resource}}}}}"#);
        ask(&document, "orders/1") == Verdict::Allow
    };
    let all = r#""Resource": "*""#;
    assert!(allows(r#""Action": "EXECUTE-API:invoke""#, all));
    assert!(allows(r#""Action": ["s3:Get*", "execute-api:Inv?ke"]"#, all));
    assert!(!allows(r#""Action": "execute-api:ManageConnections""#, all));
    assert!(allows(r#""NotAction": "s3:*""#, all));
    assert!(!allows(r#""NotAction": ["s3:*", "execute-api:I*"]"#, all));
    assert!(allows(r#""Action": "*""#, r#""NotResource": "*/pets/*""#));
    assert!(!allows(r#""Action": "*""#, r#""NotResource": ["*/pets/*", "*/orders/?"]"#));
}

#[test]
fn variables_belong_to_the_newer_version() {
    let policy = |version: &str| {
        let document = format!(
            r#"{{{version} "Statement": {{"Effect": "Allow", "Action": "*",
                "Resource": "arn:aws:execute-api:*/GET/${{aws:username}}/*"}}}}"#
        );
        Policy::parse(&document).unwrap()
    };
    let alice = Request::default().with(Key::Username, text("alice"));
    let newer = policy(r#""Version": "2012-10-17","#);
    assert_eq!(verdict(&newer, "alice/1", &alice), Verdict::Allow);
    assert_eq!(verdict(&newer, "bob/1", &alice), Verdict::ImplicitDeny);
    assert_eq!(verdict(&newer, "/1", &Request::default()), Verdict::ImplicitDeny);
    for older in ["", r#""Version": "2008-10-17","#] {
        assert_eq!(verdict(&policy(older), "alice/1", &alice), Verdict::ImplicitDeny);
        assert_eq!(verdict(&policy(older), "${aws:username}/1", &alice), Verdict::Allow);
    }
}

#[test]
fn a_name_cannot_widen_the_pattern_it_stands_in() {
    let document = r#"{"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "*", "Resource": "*/GET/${aws:username}/*"}}"#;
    let policy = Policy::parse(document).unwrap();
    let star = Request::default().with(Key::Username, text("*"));

    assert_eq!(verdict(&policy, "alice/1", &star), Verdict::ImplicitDeny);
    assert_eq!(verdict(&policy, "*/1", &star), Verdict::Allow);
}

#[test]
fn the_policy_of_an_api_may_abbreviate_what_it_speaks_of() {
    let document = r#"{"Statement": {"Effect": "Allow", "Principal": "*",
        "Action": "execute-api:Invoke", "Resource": "execute-api:/*/GET/pets"}}"#;
    let policy = Policy::parse_of_resource(document, ARN).unwrap();

    assert_eq!(verdict(&policy, "pets", &Request::default()), Verdict::Allow);
    assert_eq!(verdict(&policy, "orders", &Request::default()), Verdict::ImplicitDeny);
    let other = "arn:aws:execute-api:local:000000000000:other/$default/GET/pets";
    let facts = &Request::default();
    let question = Question { action: "execute-api:Invoke", resource: other, facts };
    assert_eq!(policy.evaluate(question), Verdict::ImplicitDeny);
}
