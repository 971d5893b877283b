//! What policies mean, shown on documents.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it cannot go on"
)]

mod conditions;
mod fuzz;
mod model;
mod outlook;
mod principals;
mod problems;
mod statements;

use std::collections::HashMap;

use portcullis_policy::{Fact, Facts, Key, Policy, Question, Value, Verdict};

/// A request's facts, by hand.
#[derive(Debug, Default, Clone)]
pub(crate) struct Request {
    facts: HashMap<String, Vec<String>>,
    typed: Vec<(Key, Value<'static>)>,
}

impl Request {
    /// Texts under a tag of the principal, which may have several.
    pub(crate) fn tag(mut self, name: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.facts.insert(name.to_owned(), values);
        self
    }

    pub(crate) fn with(mut self, key: Key, value: Value<'static>) -> Self {
        self.typed.push((key, value));
        self
    }
}

impl Facts for Request {
    fn fact(&self, key: &Key) -> Option<Fact<'_>> {
        if let Key::PrincipalTag(name) = key {
            return self.facts.get(name).map(|values| match values.as_slice() {
                [one] => Fact::One(Value::Text(one)),
                many => Fact::Many(many),
            });
        }
        self.typed.iter().find(|(known, _)| known == key).map(|(_, value)| Fact::One(*value))
    }
}

pub(crate) fn text(value: &'static str) -> Value<'static> {
    Value::Text(value)
}

pub(crate) const ARN: &str = "arn:aws:execute-api:local:000000000000:shop";

/// What a document says of `GET` of a path.
pub(crate) fn verdict(policy: &Policy, path: &str, request: &Request) -> Verdict {
    let resource = format!("{ARN}/$default/GET/{path}");
    let question = Question { action: "execute-api:Invoke", resource: &resource, facts: request };
    policy.evaluate(question)
}

/// Whether a condition, written as JSON, holds.
#[track_caller]
pub(crate) fn holds(condition: &str, request: &Request) -> bool {
    let document = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{
            "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}
        }}}}"#
    );
    match Policy::parse(&document) {
        Ok(policy) => verdict(&policy, "", request) == Verdict::Allow,
        Err(error) => panic!("{condition}: {error}"),
    }
}
