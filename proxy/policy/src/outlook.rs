//! What a policy would say of a request of which not everything is known.

use std::cell::RefCell;

use crate::fact::{Fact, Facts};
use crate::key::Key;
use crate::policy::{Effect, Policy, Question, Statement, Verdict};

/// A statement, and whether it applies to a request of which not everything is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The statement's place in the document, counted from 1.
    pub number: usize,
    /// What it does to what it applies to.
    pub effect: Effect,
    /// Whether it applies.
    pub applies: Applies,
}

/// Whether a statement applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applies {
    /// It does, whatever is unknown.
    Yes,
    /// It does not, whatever is unknown.
    No,
    /// That depends on the values of these.
    Perhaps(Vec<Key>),
}

impl Policy {
    /// What each statement would say where the values of some keys are unknown.
    pub fn outlook(
        &self,
        question: Question<'_>,
        is_unknown: &dyn Fn(&Key) -> bool,
    ) -> Vec<Outlook> {
        let action = question.action.to_ascii_lowercase();
        let question = Question { action: &action, ..question };
        let each = self.statements().iter().zip(1..);
        each.map(|(statement, number)| Outlook {
            number,
            effect: statement.effect,
            applies: applies(statement, question, is_unknown),
        })
        .collect()
    }
}

impl Outlook {
    /// What the statements of a policy say together; `None` where that depends on what is
    /// unknown.
    pub fn verdict(all: &[Self]) -> Option<Verdict> {
        let (mut denies, mut allows) = (Applies::No, Applies::No);
        for Self { effect, applies, .. } in all {
            let side = match effect {
                Effect::Deny => &mut denies,
                Effect::Allow => &mut allows,
            };
            if *side != Applies::Yes && *applies != Applies::No {
                *side = applies.clone();
            }
        }
        match (denies, allows) {
            (Applies::Yes, _) => Some(Verdict::ExplicitDeny),
            (Applies::No, Applies::Yes) => Some(Verdict::Allow),
            (Applies::No, Applies::No) => Some(Verdict::ImplicitDeny),
            _ => None,
        }
    }
}

/// Facts some of which are unknown; who asks for those is noted.
struct Asked<'a> {
    facts: &'a dyn Facts,
    is_unknown: &'a dyn Fn(&Key) -> bool,
    unknown: RefCell<Vec<Key>>,
}

impl Facts for Asked<'_> {
    fn fact(&self, key: &Key) -> Option<Fact<'_>> {
        if (self.is_unknown)(key) {
            self.unknown.borrow_mut().push(key.clone());
            return None;
        }
        self.facts.fact(key)
    }
}

fn applies(
    statement: &Statement,
    question: Question<'_>,
    is_unknown: &dyn Fn(&Key) -> bool,
) -> Applies {
    let facts = Asked { facts: question.facts, is_unknown, unknown: RefCell::default() };
    let mut lacking: Vec<Key> = Vec::new();
    // A part that asked for nothing unknown is certain; another may hold.
    let mut may_hold = |holds: bool| {
        let unknown = facts.unknown.take();
        let is_certain = unknown.is_empty();
        for key in unknown {
            if !lacking.contains(&key) {
                lacking.push(key);
            }
        }
        holds || !is_certain
    };
    let possible = may_hold(statement.actions.include(question.action, &facts))
        && may_hold(statement.principals.as_ref().is_none_or(|it| it.include(&facts)))
        && may_hold(statement.resources.include(question.resource, &facts))
        && statement.conditions.iter().all(|condition| may_hold(condition.holds(&facts)));
    match possible {
        false => Applies::No,
        true if lacking.is_empty() => Applies::Yes,
        true => Applies::Perhaps(lacking),
    }
}
