//! Who decides whether a request may go on, and of whom they are asked.

use super::Use;

/// Who decides whether a request may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Nobody: the configuration opened the route with `authorizer = "none"`.
    Open,
    /// These.
    By(Authorization),
}

/// One authorizer, or several and how their answers are put together.
///
/// No use stands in it twice, and a list has at least two members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// This authorizer.
    One(Use),
    /// The first, in order, that knows the credential.
    Any(Vec<Authorization>),
    /// Every one, in order.
    All(Vec<Authorization>),
}

impl Authorization {
    /// Every authorizer in it, in the order they are asked.
    pub fn uses(&self) -> Vec<&Use> {
        match self {
            Self::One(used) => vec![used],
            Self::Any(members) | Self::All(members) => {
                members.iter().flat_map(Self::uses).collect()
            }
        }
    }
}
