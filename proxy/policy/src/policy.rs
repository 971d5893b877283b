//! A policy document and what it says of a request.

use std::borrow::Cow;

use crate::condition::{Condition, Sense};
use crate::fact::Facts;
use crate::pattern::Pattern;
use crate::principal::Principals;
use crate::problem::PolicyError;
use crate::read;

/// Bytes a document may have.
pub const MOST_BYTES: usize = 20_480;

/// A policy document, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
    bytes: usize,
}

/// What a policy is asked about.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The action, such as `execute-api:Invoke`, in any case.
    pub action: &'a str,
    /// The resource's ARN.
    pub resource: &'a str,
    /// What is known of the request.
    pub facts: &'a dyn Facts,
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

/// A statement, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    /// None in the policy of a caller, which speaks of that caller alone.
    pub(crate) principals: Option<Principals>,
    /// In lower case.
    pub(crate) actions: Names,
    pub(crate) resources: Names,
    pub(crate) conditions: Vec<Condition>,
}

/// What a statement does to what it applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is allowed, unless another statement denies it.
    Allow,
    /// It is denied.
    Deny,
}

/// Names that a statement takes, or takes all but.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) sense: Sense,
    pub(crate) patterns: Vec<Pattern>,
}

impl Policy {
    /// Parses the policy of a caller: one without principals.
    ///
    /// # Errors
    ///
    /// When the text is no such policy: longer than [`MOST_BYTES`], no JSON, a member
    /// twice, anything the language does not know.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let statements = read::statements(text, read::About::Caller)?;
        Ok(Self { statements, bytes: text.len() })
    }

    /// Parses the policy of a resource: one whose every statement names principals.
    /// `arn` is the resource's, such as `arn:aws:execute-api:local:000000000000:orders`,
    /// which `execute-api:/…` abbreviates.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse) has them.
    pub fn parse_of_resource(text: &str, arn: &str) -> Result<Self, PolicyError> {
        let statements = read::statements(text, read::About::Resource { arn })?;
        Ok(Self { statements, bytes: text.len() })
    }

    /// Several policies as one: all their statements, so that an explicit deny of one
    /// overrules an allow of another.
    #[must_use]
    pub fn together(policies: &[Self]) -> Self {
        let statements = policies.iter().flat_map(|policy| policy.statements.iter().cloned());
        let bytes = policies.iter().map(|policy| policy.bytes).sum();
        Self { statements: statements.collect(), bytes }
    }

    /// What denies everything, without exception.
    #[must_use]
    pub fn deny_all() -> Self {
        let all = || Names { sense: Sense::IsNot, patterns: Vec::new() };
        let statement = Statement {
            effect: Effect::Deny,
            principals: None,
            actions: all(),
            resources: all(),
            conditions: Vec::new(),
        };
        Self { statements: vec![statement], bytes: 0 }
    }

    /// What it says of a request.
    pub fn evaluate(&self, question: Question<'_>) -> Verdict {
        let action = match question.action {
            action if action.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(action.to_ascii_lowercase())
            }
            action => Cow::Borrowed(action),
        };
        let question = Question { action: &action, ..question };
        let mut verdict = Verdict::ImplicitDeny;
        for statement in &self.statements {
            match statement.effect {
                Effect::Deny if statement.applies(question) => return Verdict::ExplicitDeny,
                Effect::Allow if verdict != Verdict::Allow && statement.applies(question) => {
                    verdict = Verdict::Allow;
                }
                _ => {}
            }
        }
        verdict
    }

    pub(crate) fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// About how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        const STRUCTURE: usize = 8;
        STRUCTURE * self.bytes + self.statements.len() * size_of::<Statement>()
    }
}

impl Statement {
    fn applies(&self, question: Question<'_>) -> bool {
        let facts = question.facts;
        self.actions.include(question.action, facts)
            && self.principals.as_ref().is_none_or(|principals| principals.include(facts))
            && self.resources.include(question.resource, facts)
            && self.conditions.iter().all(|condition| condition.holds(facts))
    }
}

impl Names {
    pub(crate) fn include(&self, name: &str, facts: &dyn Facts) -> bool {
        let matched = self.patterns.iter().any(|pattern| pattern.matches(name, facts));
        matched == (self.sense == Sense::Is)
    }
}
