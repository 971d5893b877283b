//! Usage plans: what API keys may use, and how much of it.

use std::sync::Arc;

use portcullis_limits::{Quota, QuotaSharing};

use super::Limit;

/// A usage plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: Arc<str>,
    /// How many requests may come with a key in a period; `None` for any number.
    pub quota: Option<Quota>,
    /// How gateways share the quota; `None` where each counts for itself.
    pub quota_sharing: Option<QuotaSharing>,
}

/// What usage plans say of a route that wants one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutePlans {
    /// Those that open it, by name.
    pub open: Vec<RoutePlan>,
    /// Those that do not.
    pub closed: Vec<Arc<Plan>>,
}

/// What a usage plan says of a route that it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePlan {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What a request is charged to, narrowest first: the plan's limits, then the route's.
    pub ladder: Vec<Arc<Limit>>,
}
