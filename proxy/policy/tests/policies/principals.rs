//! Whom the policy of a resource speaks of.

use portcullis_policy::{Key, Policy, Verdict};

use crate::{ARN, Request, text, verdict};

fn caller(account: &'static str, arn: &'static str) -> Request {
    Request::default().with(Key::PrincipalAccount, text(account)).with(Key::PrincipalArn, text(arn))
}

fn ask(effect: &str, principal: &str, request: &Request) -> Verdict {
    let document = format!(
        r#"{{"Statement": [{{"Effect": "{effect}", "Action": "*", "Resource": "*", {principal}}}]}}"#
    );
    match Policy::parse_of_resource(&document, ARN) {
        Ok(policy) => verdict(&policy, "", request),
        Err(error) => panic!("{principal}: {error}"),
    }
}

#[test]
fn principals_are_everybody_an_account_or_one_caller() {
    let alice = caller("111122223333", "arn:aws:iam::111122223333:user/alice");
    let session = caller("111122223333", "arn:aws:sts::111122223333:assumed-role/Reader/s1");
    let nobody = Request::default();
    for (principal, expected) in [
        (r#""Principal": "*""#, [true, true, true]),
        (r#""Principal": {"AWS": "*"}"#, [true, true, true]),
        (r#""Principal": {"AWS": "111122223333"}"#, [true, true, false]),
        (r#""Principal": {"AWS": "arn:aws:iam::111122223333:root"}"#, [true, true, false]),
        (r#""Principal": {"AWS": "444455556666"}"#, [false, false, false]),
        (
            r#""Principal": {"AWS": ["444455556666", "arn:aws:iam::111122223333:user/alice"]}"#,
            [true, false, false],
        ),
        (
            r#""Principal": {"AWS": "arn:aws:iam::111122223333:role/x/Reader"}"#,
            [false, true, false],
        ),
        (r#""Principal": {"AWS": "arn:aws:iam::111122223333:role/Read"}"#, [false, false, false]),
    ] {
        let allowed = [&alice, &session, &nobody]
            .map(|request| ask("Allow", principal, request) == Verdict::Allow);
        assert_eq!(allowed, expected, "{principal}");
    }
}

#[test]
fn all_others_may_be_denied() {
    let but_alice = r#""NotPrincipal": {"AWS": "arn:aws:iam::111122223333:user/alice"}"#;
    let alice = caller("111122223333", "arn:aws:iam::111122223333:user/alice");
    let bob = caller("111122223333", "arn:aws:iam::111122223333:user/bob");

    assert_eq!(ask("Deny", but_alice, &alice), Verdict::ImplicitDeny);
    assert_eq!(ask("Deny", but_alice, &bob), Verdict::ExplicitDeny);
    assert_eq!(ask("Deny", but_alice, &Request::default()), Verdict::ExplicitDeny);
}
