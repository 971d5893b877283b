//! Limits as commands show them.

use portcullis_config::{Limit, RouteLimits};
use portcullis_limits::Policy;

/// A line for each limit of a route, in the order they are asked.
pub(super) fn shown(limits: &RouteLimits) -> Vec<String> {
    limits.failed_authorizations.iter().chain(&limits.ladder).map(|limit| one(limit)).collect()
}

fn one(limit: &Limit) -> String {
    let Limit { spec, per, .. } = limit;
    let how_much = match spec.policy {
        Policy::Bucket(bucket) => format!("{}, burst {}", bucket.rate(), bucket.burst()),
        Policy::Fixed(window) => format!("{} in each {}", window.limit(), window.cycle()),
        Policy::Sliding(window) => {
            format!("{} in any {} s", window.limit(), window.length_ms() / 1000)
        }
        Policy::InFlight(limit) => format!("{limit} in flight"),
    };
    let whose = match per {
        None => String::new(),
        Some(per) => format!(" per {per}"),
    };
    format!("{}: {how_much}{whose}", spec.name)
}
