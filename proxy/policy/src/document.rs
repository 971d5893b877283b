//! A policy document and what it says of a request.

use serde::Deserialize;

use crate::pattern::matches;

/// A policy document, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
    bytes: usize,
}

/// What a policy is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The action, such as `execute-api:Invoke`.
    pub action: &'a str,
    /// The resource's ARN.
    pub resource: &'a str,
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it and none denies it.
    Allow,
    /// No statement speaks of it.
    ImplicitDeny,
    /// A statement denies it.
    ExplicitDeny,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PolicyError {
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
}

impl Policy {
    /// Parses a policy document.
    ///
    /// # Errors
    ///
    /// When the text is no JSON or no policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let error = |error: serde_json::Error| PolicyError { message: error.to_string() };
        let written: WrittenPolicy = serde_json::from_str(text).map_err(error)?;
        let statements = written.statement.into_iter().map(|statement| Statement {
            allows: statement.effect == WrittenEffect::Allow,
            actions: statement.action.into_vec(),
            resources: statement.resource.into_vec(),
        });
        Ok(Self { statements: statements.collect(), bytes: text.len() })
    }

    /// What it says of a request.
    pub fn evaluate(&self, question: Question<'_>) -> Verdict {
        let mut verdict = Verdict::ImplicitDeny;
        for statement in self.statements.iter().filter(|statement| statement.applies(question)) {
            if !statement.allows {
                return Verdict::ExplicitDeny;
            }
            verdict = Verdict::Allow;
        }
        verdict
    }

    /// About how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        2 * self.bytes
    }
}

impl Statement {
    fn applies(&self, question: Question<'_>) -> bool {
        let action = question.action.to_ascii_lowercase();
        self.actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
            && self.resources.iter().any(|pattern| matches(pattern, question.resource))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WrittenPolicy {
    #[serde(rename = "Version")]
    _version: Option<String>,
    statement: Vec<WrittenStatement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WrittenStatement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: WrittenEffect,
    action: OneOrMany,
    resource: OneOrMany,
}

#[derive(Deserialize, PartialEq, Eq)]
enum WrittenEffect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(policy: &str, resource: &str) -> Verdict {
        let question = Question { action: "execute-api:Invoke", resource };
        Policy::parse(policy).unwrap().evaluate(question)
    }

    #[test]
    fn an_explicit_deny_wins_and_what_nothing_allows_is_denied() {
        let policy = r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "execute-api:*", "Resource": ["*/GET/*", "*/DELETE/*"]},
            {"Effect": "Deny", "Action": "*", "Resource": "*/DELETE/orders/*"}
        ]}"#;

        assert_eq!(ask(policy, "a/b/GET/orders/1"), Verdict::Allow);
        assert_eq!(ask(policy, "a/b/DELETE/orders/1"), Verdict::ExplicitDeny);
        assert_eq!(ask(policy, "a/b/POST/orders/1"), Verdict::ImplicitDeny);
    }
}
