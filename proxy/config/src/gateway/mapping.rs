//! What the configuration changes of messages without a plugin.

use http::{HeaderName, StatusCode};

use crate::template::Template;

/// One change to what may be there several times under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<N> {
    /// All of this name are taken off.
    Remove(N),
    /// This takes the place of all of this name; where a value is missing, nothing does.
    Set(N, Template),
    /// This comes after those of this name, unless a value is missing.
    Append(N, Template),
}

impl<N> Change<N> {
    /// What is changed.
    pub fn name(&self) -> &N {
        match self {
            Self::Remove(name) | Self::Set(name, _) | Self::Append(name, _) => name,
        }
    }

    /// The value, where there is one.
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Remove(_) => None,
            Self::Set(_, template) | Self::Append(_, template) => Some(template),
        }
    }
}

/// What is changed of requests, in the order it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestMapping {
    /// Of the headers.
    pub headers: Vec<Change<HeaderName>>,
    /// Of the query parameters.
    pub query: Vec<Change<String>>,
    /// The path the upstream sees.
    pub path: Option<Template>,
    /// Bytes of the body that are held; `None` where no value is read from it.
    pub body: Option<u64>,
}

/// What is changed of responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseMapping {
    /// Of all of them.
    pub always: ResponseChanges,
    /// Of those with some status: classes first.
    pub on: Vec<(StatusMatch, ResponseChanges)>,
    /// Bytes of the request's body that are held; `None` where no value is read from it.
    pub request_body: Option<u64>,
    /// Bytes of the response's body that are held; `None` where no value is read from it.
    pub body: Option<u64>,
}

/// What is changed of a response, in the order it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseChanges {
    /// Of the headers.
    pub headers: Vec<Change<HeaderName>>,
    /// The status the client sees.
    pub status: Option<StatusCode>,
}

/// Statuses that changes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusMatch {
    /// Those of a class, by its first digit.
    Class(u16),
    /// This one.
    Is(u16),
}

impl StatusMatch {
    /// Whether a status is among them.
    pub fn matches(self, status: StatusCode) -> bool {
        match self {
            Self::Class(class) => status.as_u16() / 100 == class,
            Self::Is(code) => status.as_u16() == code,
        }
    }
}

impl RequestMapping {
    /// Every value, in no order.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let headers = self.headers.iter().filter_map(Change::template);
        headers.chain(self.query.iter().filter_map(Change::template)).chain(&self.path)
    }
}

impl ResponseMapping {
    /// All changes: those of every response, then those by status.
    pub fn changes(&self) -> impl Iterator<Item = &ResponseChanges> {
        std::iter::once(&self.always).chain(self.on.iter().map(|(_, changes)| changes))
    }

    /// Every value, in no order.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.changes().flat_map(|changes| &changes.headers).filter_map(Change::template)
    }
}
