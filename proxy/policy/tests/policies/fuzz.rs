use portcullis_policy::Policy;

use crate::{Request, verdict};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"Version\": \"2012-10-17\",",
    "\"2008-10-17\"",
    "\"Statement\":",
    "\"Effect\": \"Deny\",",
    "\"Effect\": \"Allow\",",
    "\"Action\": \"*\",",
    "\"NotAction\":",
    "\"Resource\": \"*\"",
    "\"NotResource\":",
    "\"Principal\": \"*\",",
    "\"NotPrincipal\":",
    "\"Condition\": {",
    "\"StringLike\":",
    "\"ForAllValues:StringNotEquals\":",
    "\"IpAddress\":",
    "\"DateLessThan\":",
    "\"NumericGreaterThanIfExists\":",
    "\"Null\":",
    "\"aws:SourceIp\":",
    "\"10.0.0.0/8\"",
    "\"${aws:username}\"",
    "${aws:PrincipalTag/a, 'b'}",
    "${*}",
    "\"2026-01-01T00:00:00Z\"",
    "arn:aws:execute-api:*:*:*/*",
    "execute-api:",
    "\\u0041",
    "\\ud800",
    "é",
    "true",
    "null",
    "1e9",
];

#[test]
fn fuzz_policy_document() {
    portcullis_fuzz::target!("policy-document", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        for parsed in [Policy::parse(&text), Policy::parse_of_resource(&text, crate::ARN)] {
            match parsed {
                Ok(policy) => means_the_same_when_written_again(&text, &policy),
                Err(error) => {
                    assert!(!error.problems().is_empty());
                    for problem in error.problems() {
                        let before = text.get(..problem.bytes.start).expect("a place in the text");
                        assert!(text.get(problem.bytes.clone()).is_some(), "{problem}");
                        assert_eq!(problem.line, before.matches('\n').count() + 1, "{problem}");
                        let line = before.rsplit('\n').next().unwrap();
                        assert_eq!(problem.column, line.chars().count() + 1, "{problem}");
                    }
                }
            }
        }
    });
}

/// A document is JSON, so that its spelling says nothing.
fn means_the_same_when_written_again(text: &str, policy: &Policy) {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    let written = value.to_string();
    if written.len() > portcullis_policy::MOST_BYTES {
        return;
    }
    let again =
        Policy::parse(&written).or_else(|_| Policy::parse_of_resource(&written, crate::ARN));
    let again = again.unwrap();
    let nobody = Request::default();
    let somebody = Request::default().tag("a", &["b"]).tag("x", &["1", "2"]);
    for request in [nobody, somebody] {
        for path in ["", "a", "a/b"] {
            assert_eq!(verdict(&again, path, &request), verdict(policy, path, &request), "{text}");
        }
    }
}
