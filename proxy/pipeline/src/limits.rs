//! The port behind which it is counted how much has passed.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_config::Plan;
use portcullis_limits::{Charge, Exceeded, Receipt, Standing, Taken};

/// Counts what passes, by a clock of its own, here or wherever gateways share it.
pub trait Limits: Send + Sync {
    /// Whoever the requests of a usage plan are counted for.
    type Subscriber: Subscriber;

    /// Finds who the requests with a usage key are counted for.
    ///
    /// # Errors
    ///
    /// [`NoPlan::UnknownKey`] or [`NoPlan::NoPlan`].
    fn subscriber(&self, usage_key: &str) -> Result<Self::Subscriber, NoPlan>;

    /// Takes every charge or none.
    fn take(&self, charges: &[Charge<'_>]) -> impl Future<Output = Result<Taken, Untaken>> + Send;

    /// Puts back everything that was taken for these charges a moment ago.
    fn undo(&self, charges: &[Charge<'_>], taken: Taken) -> impl Future<Output = ()> + Send;

    /// Puts back what was taken.
    fn give_back(&self, receipts: Vec<Receipt>) -> impl Future<Output = ()> + Send;

    /// Whether every charge could be taken now.
    fn check(&self, charges: &[Charge<'_>]) -> impl Future<Output = Result<(), Exceeded>> + Send;

    /// How the quota of a subscriber's plan stands; `None` where it has none.
    fn standing(&self, subscriber: &Self::Subscriber, plan: &Plan) -> Option<Standing>;

    /// Counts a request, where the quota of its plan has room.
    fn count(
        &self,
        subscriber: &Self::Subscriber,
        plan: &Plan,
    ) -> impl Future<Output = Result<(), Uncounted>> + Send;
}

/// Why nothing is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untaken {
    /// Limits have too little.
    Exceeded(Exceeded),
    /// Nobody can be asked, and then nothing is to pass.
    Unavailable,
}

/// Why a request is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncounted {
    /// The quota is spent: how it stands.
    Spent(Standing),
    /// Nobody can be asked, and then nothing is to pass.
    Unavailable,
}

impl From<Exceeded> for Untaken {
    fn from(exceeded: Exceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

/// Whoever the requests of a usage plan are counted for.
pub trait Subscriber: Send + Sync {
    /// The plan's name.
    fn plan(&self) -> &Arc<str>;

    /// What tells it from others that the same limits are for.
    fn account(&self) -> &str;
}

/// Why a request has no usage plan that opens its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// The authorizer names no usage key.
    #[error("the caller has no usage key")]
    NoUsageKey,
    /// There is no such API key, or it does not hold.
    #[error("the usage key is of no API key that holds")]
    UnknownKey,
    /// The API key has no plan.
    #[error("the API key has no usage plan")]
    NoPlan,
    /// The configuration lacks the plan.
    #[error("the API key has a usage plan that the configuration lacks")]
    UnknownPlan,
    /// The plan does not open the route.
    #[error("the usage plan does not open this route")]
    Closed,
}

impl NoPlan {
    /// The stable code, for clients, logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoUsageKey | Self::UnknownKey | Self::NoPlan => "no-usage-plan",
            Self::UnknownPlan => "unknown-usage-plan",
            Self::Closed => "not-in-usage-plan",
        }
    }

    /// What the operator is told beside the code.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::NoUsageKey => Some("no-usage-key"),
            Self::UnknownKey => Some("unknown-usage-key"),
            Self::NoPlan => Some("no-plan"),
            Self::UnknownPlan | Self::Closed => None,
        }
    }
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
    /// Requests in a period of the calendar.
    Quota,
}

impl ThrottleKind {
    /// The stable code, for clients, logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rate => "throttled",
            Self::InFlight => "too-many-in-flight",
            Self::FailedAuthorizations => "too-many-failed-authorizations",
            Self::Quota => "quota-exceeded",
        }
    }
}

impl fmt::Debug for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.kind.code(), self.limits.join(", "))
    }
}
