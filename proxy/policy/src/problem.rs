//! What is wrong with a policy document, and where.

use std::fmt;
use std::ops::Range;

/// Why a text is no policy: every problem that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    problems: Vec<PolicyProblem>,
}

impl PolicyError {
    /// The problems, in the order they were found; never none.
    pub fn problems(&self) -> &[PolicyProblem] {
        &self.problems
    }
}

/// The first problem, and how many more there are.
impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [] => f.write_str("this is no policy"),
            [only] => only.fmt(f),
            [first, others @ ..] => write!(f, "{first} (and {} more)", others.len()),
        }
    }
}

impl std::error::Error for PolicyError {}

/// One problem of a policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    /// What.
    pub problem: Problem,
    /// What the author may do about it.
    pub help: Option<String>,
    /// Where, as a JSON Pointer (RFC 6901); empty for the whole document.
    pub pointer: String,
    /// Where, as the bytes of the document.
    pub bytes: Range<usize>,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.problem, self.line, self.column)?;
        if !self.pointer.is_empty() {
            write!(f, " ({})", self.pointer)?;
        }
        match &self.help {
            Some(help) => write!(f, ": {help}"),
            None => Ok(()),
        }
    }
}

/// What can be wrong with a policy document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// More bytes than a document may have.
    #[error("a policy has at most {most} bytes, this one has {bytes}")]
    TooLong {
        /// The bytes it has.
        bytes: usize,
        /// The bytes it might have.
        most: usize,
    },
    /// Not JSON (RFC 8259).
    #[error("this is no JSON: {0}")]
    NotJson(String),
    /// Two members of an object have the same name.
    #[error("`{0}` is written twice")]
    Duplicate(String),
    /// Nested deeper than any policy is.
    #[error("no policy is nested so deeply")]
    TooDeep,
    /// Another type than the language wants here.
    #[error("{expected} belongs here")]
    Expected {
        /// What belongs here.
        expected: &'static str,
    },
    /// An empty list or object where one says nothing.
    #[error("{0} has nothing in it")]
    Empty(&'static str),
    /// A member the language does not know.
    #[error("`{name}` is no element of {of}")]
    UnknownElement {
        /// The member's name.
        name: String,
        /// `a policy` or `a statement`.
        of: &'static str,
    },
    /// A member that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An element and its opposite.
    #[error("`{0}` and `Not{0}` exclude each other")]
    Both(&'static str),
    /// An element that this kind of policy does not have.
    #[error("`{0}` does not belong here")]
    Misplaced(&'static str),
    /// A version of the language that does not exist.
    #[error("there is no version `{0}` of the policy language")]
    UnknownVersion(String),
    /// Neither Allow nor Deny.
    #[error("`{0}` is no effect")]
    UnknownEffect(String),
    /// More statements than a document may have.
    #[error("a policy has at most {most} statements, this one has {statements}")]
    TooManyStatements {
        /// The statements it has.
        statements: usize,
        /// The statements it might have.
        most: usize,
    },
    /// Neither `*` nor `service:Name`.
    #[error("`{0}` is no action")]
    BadAction(String),
    /// A resource that no ARN can match.
    #[error("`{0}` is no resource")]
    BadResource(String),
    /// A principal that no caller can be.
    #[error("`{0}` is no principal")]
    BadPrincipal(String),
    /// No such condition operator.
    #[error("there is no condition operator `{0}`")]
    UnknownOperator(String),
    /// No such condition key.
    #[error("there is no condition key `{0}`")]
    UnknownKey(String),
    /// A value that its operator cannot compare.
    #[error("`{value}` is no {kind}")]
    BadValue {
        /// The value.
        value: String,
        /// `number`, `date`, …
        kind: &'static str,
    },
    /// A policy variable that has no end.
    #[error("`${{` opens a variable that no `}}` closes")]
    OpenVariable,
}

/// Notes problems of one document with their places.
pub(crate) struct Notes<'a> {
    text: &'a str,
    found: Vec<PolicyProblem>,
}

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) pointer: String,
    pub(crate) bytes: Range<usize>,
}

impl<'a> Notes<'a> {
    pub(crate) fn about(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, place: &Place, problem: Problem, help: Option<String>) {
        let before = self.text.get(..place.bytes.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        self.found.push(PolicyProblem {
            problem,
            help,
            pointer: place.pointer.clone(),
            bytes: place.bytes.clone(),
            line: before.matches('\n').count() + 1,
            column,
        });
    }

    /// Whether nothing was noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_error(self) -> PolicyError {
        PolicyError { problems: self.found }
    }
}
