//! One address of an endpoint, and the claim of a request on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use http::HeaderValue;

use super::balance;
use super::due::Due;
use super::endpoint::NamedEndpoint;
use super::health::Health;

/// One address of an endpoint, as long as it is known by it.
///
/// An endpoint whose name has several addresses is several of these, and the same
/// address keeps its index across reloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndpointIndex(u64);

impl EndpointIndex {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A request's claim on an endpoint. The request counts as under way until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    target: Arc<Target>,
}

impl Lease {
    pub(super) fn of(target: Arc<Target>) -> Self {
        target.state.active.fetch_add(1, Ordering::Relaxed);
        Self { target }
    }

    /// The endpoint, for the list of those tried.
    pub(crate) fn index(&self) -> EndpointIndex {
        self.target.state.index
    }

    /// The address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.target.address
    }

    /// The endpoint's own `Host`: its host, and its port unless the scheme implies it.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.target.endpoint.authority
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.target.state.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One address of an endpoint, as one set of addresses holds it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) endpoint: Arc<NamedEndpoint>,
    pub(super) address: SocketAddr,
    /// Its part of its endpoint's weight.
    pub(super) share: f64,
    /// What one request costs it: the smaller its share, the more.
    pub(super) stride: u64,
    /// The sum of its strides, level with the set's [`TargetSet::now`].
    pub(super) pass: AtomicU64,
    /// What a consistent hash knows it by.
    pub(super) seed: u64,
    pub(super) state: Arc<TargetState>,
}

impl Target {
    /// Requests under way, relative to its share.
    pub(super) fn load(&self) -> u64 {
        let active = u64::try_from(self.active()).unwrap_or(u64::MAX);
        active.saturating_mul(self.stride)
    }

    pub(super) fn active(&self) -> usize {
        self.state.active.load(Ordering::Relaxed)
    }

    pub(super) fn belongs_to(&self, endpoint: &Arc<NamedEndpoint>) -> bool {
        Arc::ptr_eq(&self.endpoint, endpoint)
    }

    pub(super) fn admits(&self, now: Instant) -> bool {
        self.state.health.admits(now, self.active())
    }
}

/// What outlives a set of addresses and a reload.
#[derive(Debug)]
pub(super) struct TargetState {
    pub(super) index: EndpointIndex,
    pub(super) active: AtomicUsize,
    pub(super) health: Health,
    pub(super) probe_due: Due,
}

impl TargetState {
    pub(super) fn unknown(now: Instant) -> Self {
        Self {
            index: EndpointIndex::next(),
            active: AtomicUsize::new(0),
            health: Health::unknown(now),
            probe_due: Due::at(now),
        }
    }
}

/// The addresses requests are spread over.
#[derive(Debug, Default)]
pub(super) struct TargetSet {
    pub(super) targets: Vec<Arc<Target>>,
    /// The pass of the target whose turn was last.
    pub(super) now: AtomicU64,
}

/// An address on its way into a [`TargetSet`].
#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Arc<NamedEndpoint>,
    pub(super) address: SocketAddr,
    /// How many addresses its endpoint has.
    pub(super) siblings: usize,
    pub(super) state: Arc<TargetState>,
}

impl TargetSet {
    pub(super) fn of(members: Vec<Member>) -> Self {
        let share = |member: &Member| {
            let siblings = u32::try_from(member.siblings).unwrap_or(u32::MAX).max(1);
            f64::from(member.endpoint.spec.weight.max(1)) / f64::from(siblings)
        };
        let largest = members.iter().map(share).fold(0.0, f64::max);
        let targets = members.into_iter().map(|member| {
            let share = share(&member);
            Arc::new(Target {
                share,
                stride: balance::stride(share, largest),
                pass: AtomicU64::new(0),
                seed: balance::seed(member.address),
                endpoint: member.endpoint,
                address: member.address,
                state: member.state,
            })
        });
        Self { targets: targets.collect(), now: AtomicU64::new(0) }
    }
}

#[cfg(test)]
impl TargetSet {
    /// A set of one target for each weight, at 10.0.0.0, 10.0.0.1 and so on.
    pub(super) fn weighted(weights: &[u32]) -> Self {
        let member = |(at, weight): (u8, &u32)| {
            let address = SocketAddr::from(([10, 0, 0, at], 80));
            let spec = portcullis_config::Endpoint {
                host: address.ip().to_string(),
                port: address.port(),
                weight: *weight,
            };
            let authority = HeaderValue::from_static("10.0.0.0");
            Member {
                endpoint: Arc::new(NamedEndpoint { spec, authority, tls_name: String::new() }),
                address,
                siblings: 1,
                state: Arc::new(TargetState::unknown(Instant::now())),
            }
        };
        Self::of((0..).zip(weights).map(member).collect())
    }
}
