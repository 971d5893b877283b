//! How much may pass, as typed.

use super::Text;
use crate::read::{Either, Number, Rate, Written, table, words};

/// One throttle, or several that all hold.
pub(crate) type Throttles = Either<Throttle, Vec<Throttle>>;

/// One bound on requests under way, or several that all hold.
pub(crate) type Concurrencies = Either<Concurrency, Vec<Concurrency>>;

table! {
    /// How many requests may come. Each takes its route's `cost` out of a bucket, which
    /// fills again at the rate; one that finds too little gets 429.
    "a throttle"
    struct Throttle {
        /// How many in a second, as `100` or `0.5`, or in another time, as `"100/1m"`.
        rate: Written<Rate>,
        /// How many at once after a pause. The rate's own number where absent.
        burst: Option<Written<Number<1, 1_000_000_000>>>,
        /// Who has a bucket of their own: `client`, `address`, `principal`, `usage-key`,
        /// `header:NAME`, or an attribute such as `identity:tenant` or `path:id`. All
        /// requests share one where absent.
        per: Option<Text>,
        /// What clients, logs and metrics know it by; made from where it stands where absent.
        name: Option<Text>,
    }
}

table! {
    /// How many requests may be under way at the same time; one more gets 429.
    "a concurrency limit"
    struct Concurrency {
        /// How many.
        limit: Number<1, 1_000_000>,
        /// Who has a count of their own, as for a throttle.
        per: Option<Text>,
        /// What clients, logs and metrics know it by; made from where it stands where absent.
        name: Option<Text>,
    }
}

table! {
    /// How many refusals of authorizers an address may cause. Beyond that its requests get
    /// 429 before an authorizer is asked.
    "a limit of failed authorizations"
    struct FailedAuthorizations {
        /// How many in a second, or in another time, as a throttle writes it.
        rate: Written<Rate>,
        /// How many at once after a pause. The rate's own number where absent.
        burst: Option<Written<Number<1, 1_000_000_000>>>,
    }
}

words! {
    /// Which responses tell clients about their limits.
    enum LimitFields { Refusals = "refusals", Always = "always", Never = "never", }
}
