//! The settings as an operator writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Limits, and who they are for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The limits, by the names that clients, logs and metrics know them by.
    pub(crate) limits: BTreeMap<String, Limit>,
    /// What tells the tier of a caller: an attribute such as `identity:tier`, or
    /// `header:NAME`.
    pub(crate) tier: Option<String>,
    /// The tier of callers who say none, or one that no limit names.
    pub(crate) default_tier: Option<String>,
}

/// A limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// How it is counted.
    #[serde(default)]
    pub(crate) algorithm: Algorithm,
    /// How much.
    pub(crate) limit: u64,
    /// In how long: `"1s"`, `"15m"`, `"1h"`; for a fixed window also `"day"`, `"week"` (from
    /// Monday) and `"month"`, in UTC. Not for `in-flight`.
    pub(crate) per: Option<String>,
    /// How much at once after a pause, of a token bucket. The limit where absent.
    pub(crate) burst: Option<u64>,
    /// What tells those apart who each have their own: `client` (the usage key, else the
    /// principal, else the address), `address`, `header:NAME`, or an attribute such as
    /// `identity:tenant`. All share one where empty.
    #[serde(default)]
    pub(crate) by: Vec<String>,
    /// The tiers that it is for; all where absent.
    pub(crate) tiers: Option<Vec<String>>,
    /// The routes that it is for, by the `use` of `{ with = "…", use = "…" }`; all where
    /// absent.
    pub(crate) uses: Option<Vec<String>>,
    /// What a request takes.
    #[serde(default = "one")]
    pub(crate) cost: u64,
    /// What a request takes on routes with these `use`s.
    #[serde(default)]
    pub(crate) costs: BTreeMap<String, u64>,
    /// Whether a request that the gateway refuses later, as invalid, gives back what it took.
    #[serde(default)]
    pub(crate) gives_back: bool,
}

/// How a limit is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    /// Tokens come back one by one, up to a burst (GCRA).
    #[default]
    TokenBucket,
    /// So much in each period: quotas.
    FixedWindow,
    /// So much in any stretch of the length, as estimated from two periods of it.
    SlidingWindow,
    /// So many at the same time.
    InFlight,
}

fn one() -> u64 {
    1
}
