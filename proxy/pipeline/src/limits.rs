//! The port behind which it is counted how much has passed.

use std::fmt;

use http::{HeaderName, HeaderValue};
use portcullis_limits::{Charge, Exceeded, Receipt, Taken};

/// Counts what passes, by a clock of its own, here or wherever gateways share it.
pub trait Limits: Send + Sync {
    /// Takes every charge or none.
    fn take(&self, charges: &[Charge<'_>]) -> impl Future<Output = Result<Taken, Exceeded>> + Send;

    /// Puts back what was taken.
    fn give_back(&self, receipts: Vec<Receipt>) -> impl Future<Output = ()> + Send;

    /// Whether every charge could be taken now.
    fn check(&self, charges: &[Charge<'_>]) -> impl Future<Output = Result<(), Exceeded>> + Send;
}

/// A limit that a request exceeds.
#[derive(Clone, PartialEq, Eq)]
pub struct Throttled {
    /// What kind of limit the narrowest of them is.
    pub kind: ThrottleKind,
    /// The names of those that are exceeded, narrowest first.
    pub limits: Vec<String>,
    /// Seconds until another try may be worth it.
    pub retry_after_s: u64,
    /// What the response tells of all limits of the route.
    pub fields: Vec<(HeaderName, HeaderValue)>,
}

/// A kind of limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleKind {
    /// Requests in a time.
    Rate,
    /// Requests at the same time.
    InFlight,
    /// Refusals of authorizers in a time.
    FailedAuthorizations,
}

impl ThrottleKind {
    /// The stable code, for clients, logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rate => "throttled",
            Self::InFlight => "too-many-in-flight",
            Self::FailedAuthorizations => "too-many-failed-authorizations",
        }
    }
}

impl fmt::Debug for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.kind.code(), self.limits.join(", "))
    }
}
