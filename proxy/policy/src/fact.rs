//! What is known of a request, as policies ask for it.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::key::Key;
use crate::time;

/// What is known of one request.
pub trait Facts {
    /// What the request has under a key; `None` where it has nothing.
    fn fact(&self, key: &Key) -> Option<Fact<'_>>;
}

/// What a request has under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact<'a> {
    /// One value.
    One(Value<'a>),
    /// Several; none is the same as no fact.
    Many(&'a [String]),
}

/// A value with its type, so that none need be written only to be parsed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A date, in milliseconds since 1970-01-01T00:00:00Z.
    Time(i64),
    /// An address.
    Address(IpAddr),
}

impl<'a> Fact<'a> {
    /// The values, one after the other.
    pub(crate) fn values(self) -> impl Iterator<Item = Value<'a>> {
        let (one, many) = match self {
            Self::One(value) => (Some(value), [].as_slice()),
            Self::Many(values) => (None, values),
        };
        one.into_iter().chain(many.iter().map(|text| Value::Text(text)))
    }

    /// The value where there is only one.
    pub(crate) fn single(self) -> Option<Value<'a>> {
        match self {
            Self::One(value) => Some(value),
            Self::Many([only]) => Some(Value::Text(only)),
            Self::Many(_) => None,
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::Many(&[])
    }
}

impl<'a> Value<'a> {
    /// The value as a policy would write it.
    pub(crate) fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Time(ms) => Cow::Owned(time::written(ms)),
            Self::Address(address) => Cow::Owned(address.to_canonical().to_string()),
        }
    }
}
