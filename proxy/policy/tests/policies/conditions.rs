//! Operators, keys and what a missing key means.

use portcullis_policy::{Key, Value};

use crate::{Request, holds, text};

fn request() -> Request {
    Request::default()
        .with(Key::SourceIp, Value::Address("::ffff:10.1.2.3".parse().unwrap()))
        .with(Key::CurrentTime, Value::Time(1_350_475_200_500))
        .with(Key::EpochTime, Value::Number(1_350_475_200))
        .with(Key::SecureTransport, Value::Bool(true))
        .with(Key::UserAgent, text("Curl/8"))
        .with(Key::Username, text("alice"))
        .with(Key::PrincipalArn, text("arn:aws:iam::111122223333:user/team/alice"))
        .with(Key::TokenIssueTime, text("2012-10-17T11:00:00Z"))
        .tag("level", &["7"])
        .tag("odd", &["seven"])
        .tag("team", &["blue"])
        .tag("teams", &["blue", "red"])
        .tag("none", &[])
}

#[track_caller]
fn check(cases: &[(&str, bool)]) {
    let request = request();
    for (condition, expected) in cases {
        assert_eq!(holds(condition, &request), *expected, "{condition}");
    }
}

#[test]
fn texts() {
    check(&[
        (r#"{"StringEquals": {"aws:username": "alice"}}"#, true),
        (r#"{"StringEquals": {"AWS:UserName": ["bob", "alice"]}}"#, true),
        (r#"{"StringEquals": {"aws:username": "Alice"}}"#, false),
        (r#"{"StringEquals": {"aws:username": "al*"}}"#, false),
        (r#"{"StringNotEquals": {"aws:username": ["bob", "alice"]}}"#, false),
        (r#"{"StringNotEquals": {"aws:username": ["bob", "carol"]}}"#, true),
        (r#"{"StringEqualsIgnoreCase": {"aws:UserAgent": "cURL/8"}}"#, true),
        (r#"{"StringNotEqualsIgnoreCase": {"aws:UserAgent": "cURL/8"}}"#, false),
        (r#"{"StringLike": {"aws:UserAgent": "Curl/?"}}"#, true),
        (r#"{"StringLike": {"aws:UserAgent": "curl*"}}"#, false),
        (r#"{"StringNotLike": {"aws:UserAgent": ["Wget*", "*/9"]}}"#, true),
        (r#"{"StringEquals": {"aws:SecureTransport": "true"}}"#, true),
        (r#"{"StringEquals": {"aws:CurrentTime": "2012-10-17T12:00:00Z"}}"#, true),
        (r#"{"StringLike": {"aws:SourceIp": "10.1.*"}}"#, true),
        (r#"{"StringEquals": {"aws:EpochTime": 1350475200}}"#, true),
    ]);
}

#[test]
fn numbers() {
    check(&[
        (r#"{"NumericEquals": {"aws:PrincipalTag/level": "7.0"}}"#, true),
        (r#"{"NumericEquals": {"aws:PrincipalTag/level": 7}}"#, true),
        (r#"{"NumericNotEquals": {"aws:PrincipalTag/level": [6, 7]}}"#, false),
        (r#"{"NumericLessThan": {"aws:PrincipalTag/level": 7}}"#, false),
        (r#"{"NumericLessThanEquals": {"aws:PrincipalTag/level": 7}}"#, true),
        (r#"{"NumericGreaterThan": {"aws:PrincipalTag/level": 6.9}}"#, true),
        (r#"{"NumericGreaterThanEquals": {"aws:PrincipalTag/level": [8, 7]}}"#, true),
        (r#"{"NumericGreaterThanEquals": {"aws:PrincipalTag/odd": 0}}"#, false),
        (r#"{"NumericNotEquals": {"aws:PrincipalTag/odd": 0}}"#, true),
        (r#"{"NumericLessThan": {"aws:EpochTime": 1350475201}}"#, true),
    ]);
}

#[test]
fn dates() {
    check(&[
        (r#"{"DateGreaterThan": {"aws:CurrentTime": "2012-10-17T12:00:00Z"}}"#, true),
        (r#"{"DateLessThan": {"aws:CurrentTime": "2012-10-17T14:00:01+02:00"}}"#, true),
        (r#"{"DateLessThanEquals": {"aws:CurrentTime": "2012-10-17"}}"#, false),
        (r#"{"DateGreaterThanEquals": {"aws:CurrentTime": 1350475200}}"#, true),
        (r#"{"DateEquals": {"aws:EpochTime": "2012-10-17T12:00:00Z"}}"#, true),
        (r#"{"DateNotEquals": {"aws:EpochTime": "1350475200"}}"#, false),
        (r#"{"DateLessThan": {"aws:TokenIssueTime": "2012-10-17T12:00:00Z"}}"#, true),
        (r#"{"DateLessThan": {"aws:username": "2012-10-17T12:00:00Z"}}"#, false),
    ]);
}

#[test]
fn truths_addresses_and_arns() {
    check(&[
        (r#"{"Bool": {"aws:SecureTransport": "true"}}"#, true),
        (r#"{"bool": {"aws:SecureTransport": false}}"#, false),
        (r#"{"Bool": {"aws:username": "true"}}"#, false),
        (r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#, true),
        (r#"{"IpAddress": {"aws:SourceIp": ["192.0.2.1", "::ffff:10.1.2.0/120"]}}"#, true),
        (r#"{"IpAddress": {"aws:SourceIp": "::/0"}}"#, false),
        (r#"{"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "10.1.2.3"]}}"#, false),
        (r#"{"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}"#, true),
        (r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/team/*"}}"#, true),
        (
            r#"{"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/team/?lice"}}"#,
            true,
        ),
        (r#"{"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}"#, true),
        (r#"{"ArnNotEquals": {"aws:PrincipalArn": "arn:*:*:*:*:*"}}"#, false),
        (
            r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/team/${aws:username}"}}"#,
            true,
        ),
        (r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/team/${aws:userid}"}}"#, false),
    ]);
}

#[test]
fn what_a_missing_key_means() {
    check(&[
        (r#"{"StringEquals": {"aws:Referer": "x"}}"#, false),
        (r#"{"StringNotEquals": {"aws:Referer": "x"}}"#, true),
        (r#"{"NotIpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}"#, true),
        (r#"{"StringEqualsIfExists": {"aws:Referer": "x"}}"#, true),
        (r#"{"StringEqualsIfExists": {"aws:username": "x"}}"#, false),
        (r#"{"StringNotEqualsIfExists": {"aws:Referer": "x"}}"#, true),
        (r#"{"Null": {"aws:Referer": "true"}}"#, true),
        (r#"{"Null": {"aws:Referer": false}}"#, false),
        (r#"{"Null": {"aws:username": "true"}}"#, false),
        (r#"{"Null": {"aws:username": ["true", "false"]}}"#, true),
        (r#"{"StringEquals": {"aws:PrincipalTag/none": "x"}}"#, false),
        (r#"{"Null": {"aws:PrincipalTag/none": "true"}}"#, true),
        (r#"{"Bool": {"aws:MultiFactorAuthPresent": "true"}}"#, false),
        (r#"{"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}"#, true),
    ]);
}

#[test]
fn several_values() {
    check(&[
        (r#"{"ForAnyValue:StringEquals": {"aws:PrincipalTag/teams": ["red", "green"]}}"#, true),
        (r#"{"ForAllValues:StringEquals": {"aws:PrincipalTag/teams": ["red", "green"]}}"#, false),
        (r#"{"ForAllValues:StringEquals": {"aws:PrincipalTag/teams": ["red", "blue"]}}"#, true),
        (r#"{"ForAnyValue:StringNotEquals": {"aws:PrincipalTag/teams": "red"}}"#, true),
        (r#"{"ForAllValues:StringNotEquals": {"aws:PrincipalTag/teams": "red"}}"#, false),
        (r#"{"StringEquals": {"aws:PrincipalTag/teams": "red"}}"#, true),
        (r#"{"StringNotEquals": {"aws:PrincipalTag/teams": "red"}}"#, false),
        (r#"{"ForAllValues:StringEquals": {"aws:PrincipalTag/none": "red"}}"#, true),
        (r#"{"ForAnyValue:StringEquals": {"aws:PrincipalTag/none": "red"}}"#, false),
        (r#"{"ForAnyValue:StringNotEquals": {"aws:PrincipalTag/none": "red"}}"#, false),
        (r#"{"ForAnyValue:StringEqualsIfExists": {"aws:PrincipalTag/none": "red"}}"#, true),
    ]);
}

#[test]
fn every_operator_and_every_key_must_hold() {
    check(&[
        (r#"{"StringEquals": {"aws:username": "alice", "aws:Referer": "x"}}"#, false),
        (
            r#"{"StringEquals": {"aws:username": "alice"}, "Bool": {"aws:SecureTransport": "false"}}"#,
            false,
        ),
        (
            r#"{"StringEquals": {"aws:username": "alice"}, "Bool": {"aws:SecureTransport": "true"}}"#,
            true,
        ),
        ("{}", true),
    ]);
}

#[test]
fn variables() {
    check(&[
        (r#"{"StringEquals": {"aws:PrincipalTag/team": "${aws:PrincipalTag/team}"}}"#, true),
        (r#"{"StringEquals": {"aws:UserAgent": "Curl/${aws:PrincipalTag/level, '8'}"}}"#, false),
        (r#"{"StringEquals": {"aws:UserAgent": "Curl/${aws:PrincipalTag/no, '8'}"}}"#, true),
        (r#"{"StringLike": {"aws:UserAgent": "${aws:Referer}*"}}"#, false),
        (r#"{"StringNotLike": {"aws:UserAgent": "${aws:Referer}*"}}"#, true),
        (r#"{"StringLike": {"aws:UserAgent": "Curl${*}"}}"#, false),
        (r#"{"StringLike": {"aws:PrincipalTag/team": "${aws:PrincipalTag/teams}"}}"#, false),
    ]);
}
