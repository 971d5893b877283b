//! A limit that several gateways share: what it is called in common, and how it stands.

use portcullis_config::Limit;
use portcullis_limits::{Charge, Policy, PolicySharing, Sharing, Standing, WindowSharing};
use portcullis_state::now_ms;
use ring::digest::{Context, SHA256};

use super::leases::{Counting, Want};
use super::scripts;

/// How a limit is shared.
pub(super) struct Shared {
    sharing: PolicySharing,
    /// A digest that has seen the limit; a key makes it a name.
    digest: Context,
    /// Until there is a token more, in nanoseconds; of buckets.
    token_ns: u64,
    /// The most that there can be.
    most: u64,
}

impl Shared {
    /// How this limit is shared, if it is.
    pub(super) fn of(limit: &Limit) -> Option<Self> {
        let sharing = limit.sharing?;
        let (how_much, token_ns, most) = match limit.spec.policy {
            Policy::Bucket(bucket) => {
                let (rate, burst) = (bucket.rate(), bucket.burst());
                let how_much = format!("{}/{} {burst}", rate.count(), rate.period_ns());
                (how_much, rate.period_ns().div_ceil(rate.count()), burst)
            }
            Policy::Fixed(window) => {
                let limit = window.limit();
                (format!("{limit} in each {}", window.cycle()), 0, limit)
            }
            Policy::Sliding(window) => {
                let limit = window.limit();
                (format!("{limit} in any {} ms", window.length_ms()), 0, limit)
            }
            Policy::InFlight(_) => return None,
        };
        let mut digest = Context::new(&SHA256);
        let whose = limit.per.as_ref().map(|per| per.to_string()).unwrap_or_default();
        for part in [limit.spec.scope.as_str(), &limit.spec.name, &whose, &how_much] {
            // With their lengths, so that no two lists of parts are one.
            digest.update(&part.len().to_be_bytes());
            digest.update(part.as_bytes());
        }
        Some(Self { sharing, digest, token_ns, most })
    }

    /// How it is shared, if it is a window.
    pub(super) fn window(&self) -> Option<&WindowSharing> {
        match &self.sharing {
            PolicySharing::Bucket(_) => None,
            PolicySharing::Window(sharing) => Some(sharing),
        }
    }

    /// What a charge wants of it.
    pub(super) fn want(&self, charge: &Charge<'_>) -> Want {
        let mut digest = self.digest.clone();
        digest.update(charge.key);
        let (counting, terms) = match self.sharing {
            PolicySharing::Bucket(Sharing { common, terms, .. }) => {
                (Counting::Bucket(common), terms)
            }
            PolicySharing::Window(WindowSharing { common, terms, .. }) => {
                (Counting::Window(common), terms)
            }
        };
        Want { id: scripts::shortened(digest), counting, terms, cost: charge.cost }
    }

    /// Whether it never lets so much pass.
    pub(super) fn refuses_always(&self, cost: u64) -> bool {
        self.window().is_some() && cost > self.most
    }

    /// How it stands with so much left, of all at the most.
    pub(super) fn standing(&self, remaining: u64) -> Standing {
        let remaining = remaining.min(self.most);
        let wait_ns = match &self.sharing {
            _ if remaining == self.most => Some(0),
            PolicySharing::Bucket(_) => Some(self.token_ns),
            // What fades of it only Redis knows.
            PolicySharing::Window(WindowSharing { common, .. }) if common.slides => None,
            PolicySharing::Window(WindowSharing { common, .. }) => {
                Some(common.cycle.ends_in_ns(now_ms()))
            }
        };
        Standing { remaining, wait_ns }
    }

    /// How it stands where nothing of it is taken.
    pub(super) fn whole(&self) -> Standing {
        self.standing(self.most)
    }
}
