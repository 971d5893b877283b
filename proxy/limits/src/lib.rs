//! How much may pass: limits, and what has been taken of them.
//!
//! ```text
//! Limiter ── one Spec each ──▶ Held ── no key ──▶ one atomic word
//!    │                               └─ a key ───▶ Table: groups of few slots, a lock each
//!    └─ take([Charge]): all are checked, then all are charged, or none
//! ```
//!
//! Everything is counted in whole numbers: a limit never admits more than it says, and a
//! caller that keeps to it is never refused. Time is an argument ([`Now`]); this crate
//! reads no clock, does no I/O and knows nothing of requests.
//!
//! | module | holds |
//! |---|---|
//! | `rate`, `bucket`, `window` | so many in so long; the token bucket; windows |
//! | `policy` | what a limit is, and one step of it |
//! | `table` | what is held of each key, within bounds |
//! | `period`, `meter` | days, weeks and months; requests counted by them |
//! | `limiter` | all limits of a configuration; charging them together |
//! | `receipt` | what was taken, so that it can be given back |
//! | `share`, `common_window` | limits of several gateways: what is counted in common, and what is taken ahead |

mod bucket;
mod common_window;
mod limiter;
mod meter;
mod period;
mod policy;
mod rate;
mod receipt;
mod share;
mod table;
mod window;

pub use bucket::{BucketProblem, TokenBucket};
pub use common_window::{CommonWindow, PolicySharing, WindowSharing};
pub use limiter::{Charge, Exceeded, LimitReading, Limiter, Short, Taken};
pub use meter::{Counted, Meter, PerPeriod, Quota, QuotaStanding};
pub use period::{Day, DayProblem, Period};
pub use policy::{Keyed, Policy, Spec, Standing};
pub use rate::{Rate, RateProblem};
pub use receipt::{InCommon, Permit, Receipt, TakenOf};
pub use share::{
    Ask, CommonBucket, Grant, Lease, LeaseTerms, Leased, QuotaSharing, Sharing, SharingProblem,
};
pub use window::{Cycle, FixedWindow, SlidingWindow, WindowProblem};

/// A moment, as the caller's clocks tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since some moment before the first call; never goes back.
    pub ns: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z; may be set back.
    pub unix_ms: u64,
}

impl Now {
    /// Each clock as far as either has come.
    fn or_later(self, other: Self) -> Self {
        Self { ns: self.ns.max(other.ns), unix_ms: self.unix_ms.max(other.unix_ms) }
    }
}
