//! Evaluation against a model that says the rules as briefly as can be.

use portcullis_policy::{Policy, Verdict};
use proptest::prelude::*;
use serde_json::json;

use crate::{Request, verdict};

#[derive(Debug, Clone)]
struct Statement {
    effect: &'static str,
    /// `Resource` or `NotResource`.
    element: &'static str,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
struct Condition {
    quantifier: &'static str,
    /// `Not` or nothing.
    not: &'static str,
    /// `IfExists` or nothing.
    suffix: &'static str,
    tag: String,
    values: Vec<String>,
}

fn either(words: [&'static str; 2]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words.to_vec())
}

fn condition() -> impl Strategy<Value = Condition> {
    let quantifier = prop::sample::select(vec!["", "ForAnyValue:", "ForAllValues:"]);
    let values = prop::collection::vec("[ab]", 1..3);
    (quantifier, either(["", "Not"]), either(["", "IfExists"]), "[xyz]", values).prop_map(
        |(quantifier, not, suffix, tag, values)| Condition { quantifier, not, suffix, tag, values },
    )
}

fn statement() -> impl Strategy<Value = Statement> {
    let resources = prop::collection::vec("\\*[pq?*]{0,3}", 1..3);
    let conditions = prop::collection::vec(condition(), 0..3);
    let elements = either(["Resource", "NotResource"]);
    (either(["Allow", "Deny"]), elements, resources, conditions).prop_map(
        |(effect, element, resources, conditions)| Statement {
            effect,
            element,
            resources,
            conditions,
        },
    )
}

impl Condition {
    fn operator(&self) -> String {
        format!("{}String{}Equals{}", self.quantifier, self.not, self.suffix)
    }

    fn holds(&self, has: &[String]) -> bool {
        let among = |value: &String| self.values.contains(value);
        if has.is_empty() {
            return self.suffix == "IfExists"
                || self.quantifier == "ForAllValues:"
                || (self.not == "Not" && self.quantifier.is_empty());
        }
        match (self.quantifier, self.not == "Not") {
            ("ForAnyValue:" | "", false) => has.iter().any(among),
            ("ForAllValues:", false) => has.iter().all(among),
            ("ForAnyValue:", true) => has.iter().any(|value| !among(value)),
            _ => has.iter().all(|value| !among(value)),
        }
    }
}

impl Statement {
    fn written(&self) -> serde_json::Value {
        let mut conditions = serde_json::Map::new();
        for condition in &self.conditions {
            let key = format!("aws:PrincipalTag/{}", condition.tag);
            let operator = conditions.entry(condition.operator()).or_insert_with(|| json!({}));
            operator[key] = json!(condition.values);
        }
        json!({
            "Effect": self.effect,
            "Action": "*",
            self.element: self.resources,
            "Condition": conditions,
        })
    }

    fn applies(&self, path: &str, tags: &[(String, Vec<String>)]) -> bool {
        let named = self.resources.iter().any(|pattern| {
            let pattern: Vec<char> = pattern.chars().collect();
            glob(&pattern, &path.chars().collect::<Vec<_>>())
        });
        named == (self.element == "Resource")
            && self.conditions.iter().enumerate().all(|(at, condition)| {
                // What is written twice under one name counts as written last.
                let again = |later: &Condition| {
                    later.operator() == condition.operator() && later.tag == condition.tag
                };
                let has = tags.iter().find(|(tag, _)| *tag == condition.tag);
                let has = has.map(|(_, values)| values.as_slice()).unwrap_or_default();
                self.conditions[at + 1..].iter().any(again) || condition.holds(has)
            })
    }
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', after)), _) => (0..=text.len()).any(|at| glob(after, &text[at..])),
        (Some(('?', after)), Some((_, rest))) => glob(after, rest),
        (Some((p, after)), Some((t, rest))) => p == t && glob(after, rest),
        _ => false,
    }
}

fn model(statements: &[Statement], path: &str, tags: &[(String, Vec<String>)]) -> Verdict {
    let applying = || statements.iter().filter(|statement| statement.applies(path, tags));
    if applying().any(|statement| statement.effect == "Deny") {
        Verdict::ExplicitDeny
    } else if applying().next().is_some() {
        Verdict::Allow
    } else {
        Verdict::ImplicitDeny
    }
}

/// Holds the evaluation against the model.
fn agrees(statements: &[Statement], path: &str, tags: &[(String, Vec<String>)]) {
    let written: Vec<_> = statements.iter().map(Statement::written).collect();
    let document = json!({ "Version": "2012-10-17", "Statement": written }).to_string();
    let policy = Policy::parse(&document).unwrap();
    let request = tags.iter().fold(Request::default(), |request, (tag, values)| {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        request.tag(tag, &values)
    });
    let resource = format!("{}/$default/GET/{path}", crate::ARN);
    assert_eq!(
        verdict(&policy, path, &request),
        model(statements, &resource, tags),
        "{document} {path} {tags:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn evaluation_means_what_the_model_says(
        statements in prop::collection::vec(statement(), 1..4),
        path in "[pq]{0,3}",
        tags in prop::collection::hash_map("[xyz]", prop::collection::vec("[ab]", 0..3), 0..3),
    ) {
        let tags: Vec<(String, Vec<String>)> = tags.into_iter().collect();
        agrees(&statements, &path, &tags);
    }
}

/// Statements and a request, as the bytes of an input choose.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn one_of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[usize::from(*self.0.next().unwrap_or(&0)) % words.len()]
    }

    fn several<T>(&mut self, one: fn(&mut Self) -> T) -> Vec<T> {
        let count = self.one_of(&["1", "2", "3"]).parse().unwrap();
        (0..count).map(|_| one(self)).collect()
    }

    fn value(&mut self) -> String {
        self.one_of(&["a", "b"]).to_owned()
    }

    fn condition(&mut self) -> Condition {
        Condition {
            quantifier: self.one_of(&["", "ForAnyValue:", "ForAllValues:"]),
            not: self.one_of(&["", "Not"]),
            suffix: self.one_of(&["", "IfExists"]),
            tag: self.one_of(&["x", "y", "z"]).to_owned(),
            values: self.several(Self::value),
        }
    }

    fn resource(&mut self) -> String {
        let parts = self.several(|choices| choices.one_of(&["p", "q", "?", "*", "**", "?*", ""]));
        format!("*{}", parts.concat())
    }

    fn statement(&mut self) -> Statement {
        Statement {
            effect: self.one_of(&["Allow", "Deny"]),
            element: self.one_of(&["Resource", "NotResource"]),
            resources: self.several(Self::resource),
            conditions: self.several(Self::condition),
        }
    }
}

#[test]
fn fuzz_policy_verdict() {
    portcullis_fuzz::target!("policy-verdict", &["\0", "\u{1}", "\u{2}"], |input| {
        let mut choices = Choices(input.iter());
        let statements = choices.several(Choices::statement);
        let path: String = choices.several(|choices| choices.one_of(&["p", "q", ""])).concat();
        let mut tags: Vec<(String, Vec<String>)> = Vec::new();
        for tag in ["x", "y", "z"] {
            if choices.one_of(&["has", "has not"]) == "has" {
                tags.push((tag.to_owned(), choices.several(Choices::value)));
            }
        }
        agrees(&statements, &path, &tags);
    });
}
