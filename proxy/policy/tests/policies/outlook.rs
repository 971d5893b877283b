//! What a policy would say of a request of which not everything is known.

use portcullis_policy::{Applies, Key, Outlook, Policy, Question, Value, Verdict};

use crate::{ARN, Request, text};

/// What the statements of a document say of `GET` of a path, without these keys.
fn outlook(
    statements: &str,
    request: &Request,
    unknown: &[Key],
) -> (Vec<Applies>, Option<Verdict>) {
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
    let policy = Policy::parse(&document).unwrap();
    let resource = format!("{ARN}/$default/GET/a");
    let question = Question { action: "execute-api:Invoke", resource: &resource, facts: request };
    let all = policy.outlook(question, &|key| unknown.contains(key));
    let verdict = Outlook::verdict(&all);
    (all.into_iter().map(|it| it.applies).collect(), verdict)
}

const OFFICE: &str = r#"{ "Effect": "Allow", "Action": "*", "Resource": "*",
    "Condition": { "IpAddress": { "aws:SourceIp": "192.0.2.0/24" } } }"#;
const ALL: &str = r#"{ "Effect": "Allow", "Action": "*", "Resource": "*" }"#;
const NOT_ALICE: &str = r#"{ "Effect": "Deny", "Action": "*", "Resource": "*",
    "Condition": { "StringNotEquals": { "aws:username": "alice" },
                   "NumericGreaterThan": { "aws:EpochTime": "10" } } }"#;

#[test]
fn what_is_unknown_makes_a_statement_uncertain() {
    let here = Request::default().with(Key::SourceIp, Value::Address([192, 0, 2, 1].into()));
    assert_eq!(outlook(OFFICE, &here, &[]), (vec![Applies::Yes], Some(Verdict::Allow)));
    let perhaps = Applies::Perhaps(vec![Key::SourceIp]);
    assert_eq!(outlook(OFFICE, &here, &[Key::SourceIp]), (vec![perhaps.clone()], None));
    let none = (vec![Applies::No], Some(Verdict::ImplicitDeny));
    assert_eq!(outlook(OFFICE, &Request::default(), &[]), none);
    let both = format!("{OFFICE}, {ALL}");
    let allowed = (vec![perhaps, Applies::Yes], Some(Verdict::Allow));
    assert_eq!(outlook(&both, &here, &[Key::SourceIp]), allowed);
}

#[test]
fn a_part_that_certainly_fails_makes_the_rest_certain() {
    let unknown = [Key::Username];
    let at = |seconds| Request::default().with(Key::EpochTime, Value::Number(seconds));
    let both = format!("{ALL}, {NOT_ALICE}");
    let early = (vec![Applies::Yes, Applies::No], Some(Verdict::Allow));
    assert_eq!(outlook(&both, &at(5), &unknown), early);
    let late = vec![Applies::Yes, Applies::Perhaps(unknown.to_vec())];
    assert_eq!(outlook(&both, &at(50), &unknown), (late, None));
    let bob = at(50).with(Key::Username, text("bob"));
    let denied = (vec![Applies::Yes, Applies::Yes], Some(Verdict::ExplicitDeny));
    assert_eq!(outlook(&both, &bob, &[]), denied);
}
