//! `[plans.NAME]` as typed.

use crate::read::{Named, Number, Rate, Written, table, words};

table! {
    /// What the API keys of a usage plan may use, and how much of it. Routes with
    /// `usage_plan = "required"` want one.
    "a plan"
    struct Plan {
        /// How many requests may come with each key, over all routes of the plan.
        throttle: Option<PlanThrottle>,
        /// How many requests may come with each key in a day, a week or a month; no bound
        /// where absent.
        quota: Option<Quota>,
        /// What it opens: APIs by name, as `orders`, stages, as `orders/live`, and routes, as
        /// `orders GET /orders/{id}` or `orders/live GET /orders/{id}`. All that want a plan
        /// where absent.
        routes: Option<Named<PlanRoute>>,
    }
}

table! {
    /// An API, a stage or a route that a plan opens.
    "what a plan opens"
    struct PlanRoute {
        /// How many requests may come with each key there, beside what the plan says.
        throttle: Option<PlanThrottle>,
    }
}

table! {
    /// How many requests may come with each key of a plan; one more gets 429.
    "a plan's throttle"
    struct PlanThrottle {
        /// How many in a second, as `100` or `0.5`, or in another time, as `"100/1m"`.
        rate: Written<Rate>,
        /// How many at once after a pause. The rate's own number where absent.
        burst: Option<Written<Number<1, 1_000_000_000>>>,
        /// Whether it is one limit of all gateways, counted where `[shared_limits]` says.
        shared: Option<Written<bool>>,
    }
}

table! {
    /// So many requests in a period of the calendar, in UTC.
    "a quota"
    struct Quota {
        /// How many.
        limit: Number<1, 4_000_000_000>,
        /// In which period. Weeks begin on Monday.
        per: QuotaPeriod,
        /// Whether it is one quota of all gateways, counted where `[shared_limits]` says.
        shared: Option<Written<bool>>,
    }
}

words! {
    /// What a quota is counted by.
    enum QuotaPeriod { Day = "day", Week = "week", Month = "month", }
}

words! {
    /// Whether requests need a usage plan.
    enum UsagePlan { Required = "required", Off = "off", }
}
