//! `RateLimit` and `RateLimit-Policy`, which tell clients how they stand
//! (draft-ietf-httpapi-ratelimit-headers-10).

use std::fmt::Write;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_config::Limit;
use portcullis_limits::{Policy, Quota, Standing};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const SECOND: u64 = 1_000_000_000;

/// Both fields, an item for the quota of a plan and for each limit.
pub(super) fn fields(
    limits: &[Arc<Limit>],
    standings: &[Standing],
    quota: Option<(String, Quota, Standing)>,
) -> Vec<(HeaderName, HeaderValue)> {
    let (mut policies, mut current) = (String::new(), String::new());
    if let Some((name, quota, standing)) = quota {
        // A period of the calendar has no one length, so its window is left out.
        policies = format!("\"{name}\";q={}", quota.limit());
        current = shown(&name, standing);
    }
    for (limit, standing) in limits.iter().zip(standings) {
        if !policies.is_empty() {
            policies.push_str(", ");
            current.push_str(", ");
        }
        // Names are plain, so a quoted string holds them as they are.
        let name = &limit.spec.name;
        // Writing to a string cannot fail.
        let _infallible = match limit.spec.policy {
            Policy::Bucket(bucket) => {
                let (quota, window) = window(&bucket);
                write!(policies, "\"{name}\";q={quota};w={window}")
            }
            Policy::Fixed(window) => {
                let seconds = window.cycle().longest_ms().div_ceil(1000);
                write!(policies, "\"{name}\";q={};w={seconds}", window.limit())
            }
            Policy::Sliding(window) => {
                let seconds = window.length_ms().div_ceil(1000);
                write!(policies, "\"{name}\";q={};w={seconds}", window.limit())
            }
            Policy::InFlight(limit) => {
                write!(policies, "\"{name}\";q={limit};qu=\"concurrent-requests\"")
            }
        };
        current.push_str(&shown(name, *standing));
    }
    let value = |text: String| HeaderValue::try_from(text).ok();
    let fields = [(&RATE_LIMIT_POLICY, policies), (&RATE_LIMIT, current)];
    fields.into_iter().filter_map(|(name, text)| Some((name.clone(), value(text)?))).collect()
}

/// How a limit stands.
fn shown(name: &str, standing: Standing) -> String {
    let mut text = format!("\"{name}\";r={}", standing.remaining);
    if let Some(wait_ns) = standing.wait_ns.filter(|wait_ns| *wait_ns > 0) {
        // Writing to a string cannot fail.
        let _infallible = write!(text, ";t={}", wait_ns.div_ceil(SECOND));
    }
    text
}

/// A bucket as a quota in a time: its burst in the time it takes to fill, or what comes in
/// a second where that is less.
fn window(bucket: &portcullis_limits::TokenBucket) -> (u64, u64) {
    let (rate, burst) = (bucket.rate(), bucket.burst());
    if burst <= rate.per_second() {
        return (rate.per_second(), 1);
    }
    let fill_ns = u128::from(burst) * u128::from(rate.period_ns()) / u128::from(rate.count());
    let seconds = u64::try_from(fill_ns.div_ceil(u128::from(SECOND))).unwrap_or(u64::MAX);
    (burst, seconds.max(1))
}

#[cfg(test)]
mod tests {
    use portcullis_limits::{Keyed, Rate, Spec, TokenBucket};

    use super::*;

    fn limit(name: &str, policy: Policy) -> Arc<Limit> {
        let spec = Spec { scope: name.into(), name: name.into(), policy, keyed: Keyed::Shared };
        Arc::new(Limit { index: 0, spec, per: None, sharing: None })
    }

    fn bucket(count: u64, period_ms: u64, burst: u64) -> Policy {
        let rate = Rate::new(count, period_ms).unwrap();
        Policy::Bucket(TokenBucket::new(rate, burst).unwrap())
    }

    #[test]
    fn clients_are_told_in_structured_fields() {
        let limits = [
            limit("fast", bucket(100, 1000, 5)),
            limit("slow", bucket(100, 60_000, 50)),
            limit("flight", Policy::InFlight(7)),
        ];
        let standing = |remaining, wait_ns| Standing { remaining, wait_ns };
        let standings = [standing(5, Some(0)), standing(0, Some(600_000_000)), standing(3, None)];

        let fields = fields(&limits, &standings, None);

        assert_eq!(
            fields[0].1,
            "\"fast\";q=100;w=1, \"slow\";q=50;w=30, \"flight\";q=7;qu=\"concurrent-requests\""
        );
        assert_eq!(fields[1].1, "\"fast\";r=5, \"slow\";r=0;t=1, \"flight\";r=3");
    }
}
