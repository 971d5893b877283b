//! How much may pass, as typed.

use super::{FilePath, Text};
use crate::read::{Either, Number, Rate, Time, Written, table, words};

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
        /// Whether it is one limit of all gateways, counted where `[shared_limits]` says.
        shared: Option<Written<bool>>,
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
        /// Refused: each gateway counts what is under way for itself.
        shared: Option<Written<bool>>,
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

table! {
    /// Where limits that several gateways share are counted: a Redis or Valkey.
    "the shared limits"
    struct SharedLimits {
        /// Its URL: `redis://host:6379/0`, or `rediss://` for TLS. A user may stand before
        /// the host, a password may not.
        redis: Text,
        /// The password.
        password: Option<Password>,
        /// The authorities whose certificates count, as PEM; the system's where absent.
        ca: Option<FilePath>,
        /// How many gateways share the limits.
        gateways: Number<1, 10_000>,
        /// For how long a gateway takes tokens ahead.
        lease: Time = "1s",
        /// The longest that a request waits for an answer.
        timeout: Time = "50ms",
        /// What holds while it does not answer.
        when_away: WhenAway = "local",
        /// What its keys begin with. Gateways with different ones share nothing.
        prefix: Text = "portcullis",
    }
}

table! {
    /// A password, from the environment or a file.
    "a password"
    struct Password {
        /// The environment variable that holds it.
        env: Option<Text>,
        /// The file that holds it; one line end at its end is no part of it.
        file: Option<FilePath>,
    }
}

words! {
    /// What holds while shared limits cannot be counted in common: a share for each gateway,
    /// no request passes, all pass.
    enum WhenAway { Local = "local", Deny = "deny", Allow = "allow", }
}

words! {
    /// Which responses tell clients about their limits.
    enum LimitFields { Refusals = "refusals", Always = "always", Never = "never", }
}
