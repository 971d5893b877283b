//! `[apis.NAME.stages.STAGE]` as typed.

use super::{Concurrencies, Text, Throttles};
use crate::read::{Named, table};

table! {
    /// A way to an API, with an address, values and limits of its own. The API's routes are
    /// served at each of its stages.
    "a stage"
    struct Stage {
        /// The hosts it answers to, in the place of the API's.
        hosts: Option<Vec<Text>>,
        /// The path before the API's base path; the upstream does not see it. `/STAGE` where
        /// absent, and none for the stage `$default` and one with hosts of its own.
        base_path: Option<Text>,
        /// What `{stage:NAME}` stands for here, by name. Every stage of an API has a value for
        /// each that its routes name.
        values: Named<Text>,
        /// Upstreams that answer here in the place of others, by the names that the API and its
        /// routes give those.
        upstreams: Named<Text>,
        /// How many requests may come to all routes at this stage together. Those of the routes,
        /// the API and the whole gateway hold beside it.
        throttle: Option<Throttles>,
        /// How many requests may be under way at the same time at this stage.
        concurrency: Option<Concurrencies>,
        /// Limits of routes at this stage in the place of the routes' own, by their keys.
        routes: Named<StageRoute>,
    }
}

table! {
    /// What is different of a route at a stage.
    "a route at a stage"
    struct StageRoute {
        /// How many requests may come to the route here.
        throttle: Option<Throttles>,
        /// How many requests may be under way at the same time.
        concurrency: Option<Concurrencies>,
    }
}
