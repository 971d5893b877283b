//! What an author is told.

use portcullis_policy::{MOST_BYTES, Policy, Problem};
use proptest::prelude::*;

use crate::ARN;

fn problems(text: &str) -> Vec<String> {
    let error = Policy::parse(text).unwrap_err();
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn every_problem_is_told_with_its_place_and_how_to_mend_it() {
    let document = r#"{"Version": "2012-10-18", "Statment": [], "Statement": [
 {"Effect": "allow", "Principal": "*", "Action": "Invoke", "Resource": "execute-api:/x"},
 {"Effect": "Deny", "Action": [], "NotAction": "*", "Resource": 7},
 {"Effect": "Allow", "Action": "*", "Resource": ["*", "pets"], "Condition": {
  "IpAdress": {"aws:SourceIp": "10.0.0.0/8"},
  "StringEquals": {"aws:UserNam": "a"},
  "IpAddress": {"aws:SourceIp": ["10.0.0.0/40"]},
  "DateLessThan": {"aws:CurrentTime": "soon"},
  "NumericEquals": {"aws:EpochTime": "many"},
  "Bool": {"aws:SecureTransport": "yes"},
  "ArnLike": {"aws:PrincipalArn": "arn:aws:*"},
  "StringLike": {"aws:username": ["${aws:userid", null]},
  "Null": {}}}
]}"#;

    let shown = problems(document).join("\n");

    let expected = "\
`Statment` is no element of a policy at line 1, column 27 (/Statment): did you mean `Statement`?
there is no version `2012-10-18` of the policy language at line 1, column 13 (/Version): write `2012-10-17`, or `2008-10-17` for one without policy variables
`allow` is no effect at line 2, column 13 (/Statement/0/Effect): did you mean `Allow`?
`Principal` does not belong here at line 2, column 22 (/Statement/0/Principal): the policy of a caller speaks of that caller
`Invoke` is no action at line 2, column 50 (/Statement/0/Action): write an action as `execute-api:Invoke`, `execute-api:*` or `*`
`execute-api:/x` is no resource at line 2, column 72 (/Statement/0/Resource): only the policy of an API abbreviates so: write a resource as `arn:aws:execute-api:*:*:API/STAGE/METHOD/path`, or `*`
`Action` and `NotAction` exclude each other at line 3, column 35 (/Statement/1/NotAction)
a string belongs here at line 3, column 65 (/Statement/1/Resource)
`pets` is no resource at line 4, column 55 (/Statement/2/Resource/1): write a resource as `arn:aws:execute-api:*:*:API/STAGE/METHOD/path`, or `*`
there is no condition operator `IpAdress` at line 5, column 3 (/Statement/2/Condition/IpAdress): did you mean `IpAddress`?
there is no condition key `aws:UserNam` at line 6, column 20 (/Statement/2/Condition/StringEquals/aws:UserNam): did you mean `aws:username`?
`10.0.0.0/40` is no network at line 7, column 34 (/Statement/2/Condition/IpAddress/aws:SourceIp/0): write it as `10.0.0.0/8`, `10.0.0.1` or `2001:db8::/32`
`soon` is no date at line 8, column 39 (/Statement/2/Condition/DateLessThan/aws:CurrentTime): write it as `2026-01-31T12:00:00Z`, `2026-01-31` or seconds since 1970
`many` is no number at line 9, column 38 (/Statement/2/Condition/NumericEquals/aws:EpochTime): write it as `1` or `0.5`
`yes` is no boolean at line 10, column 35 (/Statement/2/Condition/Bool/aws:SecureTransport): write it as `true` or `false`
`arn:aws:*` is no ARN at line 11, column 35 (/Statement/2/Condition/ArnLike/aws:PrincipalArn): an ARN is `arn:partition:service:region:account:resource`, and a `*` does not stand for a colon in it
`${` opens a variable that no `}` closes at line 12, column 35 (/Statement/2/Condition/StringLike/aws:username/0)
a string, a number or a boolean belongs here at line 12, column 51 (/Statement/2/Condition/StringLike/aws:username/1)
this operator has nothing in it at line 13, column 11 (/Statement/2/Condition/Null)";
    assert_eq!(shown, expected);
}

#[test]
fn principals_are_told_of_too() {
    let of_resource = |principal: &str| {
        let document = format!(
            r#"{{"Statement": [{{"Effect": "Allow", "Action": "*", "Resource": "*"{principal}}}]}}"#
        );
        Policy::parse_of_resource(&document, ARN).unwrap_err().to_string()
    };
    for (principal, expected) in [
        ("", "`Principal` is missing"),
        (r#", "Principal": "alice""#, "`alice` is no principal"),
        (r#", "Principal": 7"#, "`\"*\"` or an object belongs here"),
        (r#", "Principal": {"Service": "x"}"#, "`Service` is no principal"),
        (r#", "Principal": {"AWS": "12"}"#, "`12` is no principal"),
        (
            r#", "Principal": {"AWS": "arn:aws:iam::*:user/x"}"#,
            "`arn:aws:iam::*:user/x` is no principal",
        ),
        (r#", "Principal": {"AWS": []}"#, "this principal has nothing in it"),
        (r#", "NotPrincipal": {"AWS": "*"}"#, "`NotPrincipal` does not belong here"),
        (r#", "Principal": "*", "NotPrincipal": "*""#, "`Principal` and `NotPrincipal` exclude"),
    ] {
        let shown = of_resource(principal);
        assert!(shown.starts_with(expected), "{shown}");
    }
}

#[test]
fn a_document_has_bounds() {
    let long = format!("{:width$}", "{}", width = MOST_BYTES + 1);
    let error = Policy::parse(&long).unwrap_err();
    let expected = Problem::TooLong { bytes: MOST_BYTES + 1, most: MOST_BYTES };
    assert_eq!(error.problems()[0].problem, expected);
    let many = format!(r#"{{"Statement": [{}1]}}"#, "1,".repeat(256));
    let error = Policy::parse(&many).unwrap_err();
    let expected = Problem::TooManyStatements { statements: 257, most: 256 };
    assert_eq!(error.problems()[0].problem, expected);
    assert!(Policy::parse(r#"{"Statement": []}"#).is_err());
    assert!(Policy::parse("{}").is_err());
    assert!(Policy::parse("7").is_err());
}

const WHOLE: &str = r#"{"Version": "2012-10-17", "Id": "é", "Statement": [{"Sid": "a", "Effect": "Deny",
 "NotAction": ["s3:*"], "NotResource": "arn:aws:execute-api:*:${aws:PrincipalAccount}:x/*",
 "Condition": {"ForAnyValue:StringLikeIfExists": {"aws:PrincipalTag/t": ["a*", "${aws:userid, 'b'}"]},
 "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "DateLessThan": {"aws:CurrentTime": 12}}}]}"#;

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        if let Err(error) = Policy::parse(&text) {
            prop_assert!(!error.problems().is_empty());
        }
    }

    #[test]
    fn a_damaged_document_never_panics(
        at in any::<prop::sample::Index>(),
        length in 0..20_usize,
        insert in "[\\PC\n\"{}\\[\\]:,$*]{0,6}",
    ) {
        Policy::parse(WHOLE).unwrap();
        let from = WHOLE.floor_char_boundary(at.index(WHOLE.len()));
        let to = WHOLE.floor_char_boundary((from + length).min(WHOLE.len()));
        let text = format!("{}{insert}{}", &WHOLE[..from], &WHOLE[to..]);
        if let Err(error) = Policy::parse(&text) {
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                prop_assert!(text.get(problem.bytes.clone()).is_some(), "{problem:?}");
            }
        }
    }
}
