//! Names and what they name.

use super::Resolver;
use crate::diagnostic::{Diagnostic, Place};
use crate::suggest;

/// What a section defines, by name, in the order written.
pub(super) struct Names<T> {
    kind: &'static str,
    entries: Vec<(String, Option<T>)>,
}

impl<T: Clone> Names<T> {
    /// No names yet; `kind` with its article is for messages.
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, entries: Vec::new() }
    }

    /// Defines a name; its value is `None` once a problem was noted.
    pub(super) fn define(&mut self, name: &str, value: Option<T>) {
        self.entries.push((name.to_owned(), value));
    }

    /// Gives a name that is defined another value.
    pub(super) fn redefine(&mut self, name: &str, value: Option<T>) {
        if let Some((_, old)) = self.entries.iter_mut().find(|(known, _)| known == name) {
            *old = value;
        }
    }

    /// Finds what a name stands for.
    pub(super) fn find(&self, name: &str, place: &Place, resolver: &mut Resolver<'_>) -> Option<T> {
        if let Some((_, value)) = self.entries.iter().find(|(known, _)| known == name) {
            return value.clone();
        }
        let known: Vec<&str> = self.entries.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!("no {} is named `{name}`", self.kind);
        let problem = Diagnostic::at(place, message).with_help(suggest::name(name, &known));
        resolver.problems.add(problem);
        None
    }

    /// All values, in the order written.
    pub(super) fn into_values(self) -> Vec<T> {
        self.entries.into_iter().filter_map(|(_, value)| value).collect()
    }
}
