//! Whom a statement of a resource policy speaks of.

use crate::condition::Sense;
use crate::fact::{Fact, Facts, Value};
use crate::key::Key;
use crate::problem::Problem;

/// The callers a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principals {
    /// Whether it is about these, or about all others.
    pub(crate) sense: Sense,
    pub(crate) each: Vec<Principal>,
}

/// A caller, or many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// `*`: everybody, the unknown included.
    Everyone,
    /// Everybody of an account.
    Account(String),
    /// The caller of this ARN.
    Arn(String),
    /// Every session of a role: what its ARN is, and what theirs begin with.
    Role(String, String),
}

impl Principals {
    pub(crate) fn include(&self, facts: &dyn Facts) -> bool {
        self.each.iter().any(|one| one.is(facts)) == (self.sense == Sense::Is)
    }
}

impl Principal {
    /// Parses what stands beside `AWS`.
    pub(crate) fn parse(text: &str) -> Result<Self, (Problem, Option<String>)> {
        if text == "*" {
            return Ok(Self::Everyone);
        }
        if is_account(text) {
            return Ok(Self::Account(text.to_owned()));
        }
        let bad = |help: &str| Err((Problem::BadPrincipal(text.to_owned()), Some(help.to_owned())));
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [_arn @ "arn", partition, service, "", account, name] = parts.as_slice() else {
            return bad("write `*`, an account's 12 digits, or the ARN of a user or role");
        };
        if text.contains(['*', '?']) {
            return bad(
                "a part of a principal is no pattern: take `*` and a condition `ArnLike` on `aws:PrincipalArn`",
            );
        }
        if !is_account(account) || name.is_empty() || !matches!(*service, "iam" | "sts") {
            return bad("write an ARN as `arn:aws:iam::123456789012:user/alice`");
        }
        Ok(match (*service, *name) {
            ("iam", "root") => Self::Account((*account).to_owned()),
            ("iam", name) => match name.strip_prefix("role/") {
                Some(role) => {
                    // A session is named by the role's name, without its path.
                    let role = role.rsplit('/').next().unwrap_or(role);
                    let sessions = format!("arn:{partition}:sts::{account}:assumed-role/{role}/");
                    Self::Role(text.to_owned(), sessions)
                }
                None => Self::Arn(text.to_owned()),
            },
            _ => Self::Arn(text.to_owned()),
        })
    }

    fn is(&self, facts: &dyn Facts) -> bool {
        let has = |key: &Key, wanted: &dyn Fn(&str) -> bool| match facts.fact(key) {
            Some(Fact::One(Value::Text(text))) => wanted(text),
            _ => false,
        };
        match self {
            Self::Everyone => true,
            Self::Account(account) => has(&Key::PrincipalAccount, &|it| it == account),
            Self::Arn(arn) => has(&Key::PrincipalArn, &|it| it == arn),
            Self::Role(role, sessions) => {
                has(&Key::PrincipalArn, &|it| it == role || it.starts_with(sessions.as_str()))
            }
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
