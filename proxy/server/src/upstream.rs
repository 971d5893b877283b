//! The upstreams of one configuration: which endpoint serves a request, how it is
//! connected to, and whether it is well.
//!
//! ```text
//! Gateway ─ Upstreams::build ─▶ UpstreamPool ─ choose ─▶ Lease ─ peer ─▶ HttpPeer
//!                                  ▲    ▲                   │
//!             maintain: resolves ──┘    └───── report ──────┘
//!                       and probes
//! ```
//!
//! Knows nothing of requests beyond what a consistent hash is taken of, and decides
//! about no retry: callers say which endpoints they have tried.

mod balance;
mod due;
mod endpoint;
mod health;
mod maintain;
mod peer;
mod pool;
mod target;
#[cfg(test)]
mod testing;
mod tls;

use std::sync::Arc;

use portcullis_config::{Gateway, Upstream};

pub(crate) use self::balance::HashInput;
pub(crate) use self::health::Outcome;
pub(crate) use self::maintain::maintain;
pub(crate) use self::pool::{EndpointHealth, UpstreamPool};
pub(crate) use self::target::{EndpointIndex, Lease};
pub(crate) use self::tls::TlsFileProblem;

/// The upstreams of one configuration. Built at load, off the request path.
#[derive(Debug)]
pub(crate) struct Upstreams {
    /// Sorted by the address of their [`Upstream`], so that finding one compares no names.
    pools: Vec<Arc<UpstreamPool>>,
}

impl Upstreams {
    /// Builds the upstreams of `gateway`.
    ///
    /// Endpoints that `previous` had under the same upstream keep their addresses, and
    /// their health where what it was judged by is unchanged: a reload neither forgets
    /// nor probes again. Names nobody resolved yet wait for [`resolve_all`].
    ///
    /// [`resolve_all`]: Self::resolve_all
    pub(crate) fn build(
        gateway: &Gateway,
        previous: Option<&Self>,
    ) -> Result<Self, UpstreamBuildError> {
        let mut pools = Vec::with_capacity(gateway.upstreams.len());
        for spec in &gateway.upstreams {
            let before = previous.and_then(|previous| previous.named(&spec.name));
            pools.push(Arc::new(UpstreamPool::build(spec, before)?));
        }
        pools.sort_unstable_by_key(|pool| std::ptr::from_ref(pool.spec()));
        Ok(Self { pools })
    }

    /// Resolves the names that have no address yet, all at once.
    ///
    /// A name that does not resolve is logged and tried again by [`maintain()`]; it keeps
    /// no other upstream from serving.
    pub(crate) async fn resolve_all(&self) {
        maintain::resolve_unresolved(&self.pools).await;
    }

    /// The pool of `upstream`; `None` only for an upstream of another configuration.
    pub(crate) fn find(&self, upstream: &Upstream) -> Option<&Arc<UpstreamPool>> {
        let at = self
            .pools
            .binary_search_by_key(&std::ptr::from_ref(upstream), |pool| {
                std::ptr::from_ref(pool.spec())
            })
            .ok()?;
        self.pools.get(at)
    }

    /// How each endpoint is, for metrics.
    pub(crate) fn health(&self) -> Vec<EndpointHealth> {
        self.pools.iter().flat_map(|pool| pool.health()).collect()
    }

    fn named(&self, name: &str) -> Option<&UpstreamPool> {
        self.pools.iter().find(|pool| pool.spec().name == name).map(Arc::as_ref)
    }
}

/// Why the upstreams of a configuration cannot be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamBuildError {
    /// A certificate or key file is of no use.
    #[error("upstream `{upstream}`: {problem}")]
    Tls {
        /// The upstream.
        upstream: String,
        /// What is wrong with the file.
        #[source]
        problem: TlsFileProblem,
    },
    /// No certificate can hold this name, so none could be verified.
    #[error("upstream `{upstream}`: `{name}` is not a name a certificate can hold")]
    TlsName {
        /// The upstream.
        upstream: String,
        /// The name.
        name: String,
    },
    /// A host that cannot stand in a `Host` header.
    #[error("upstream `{upstream}`: `{host}` is not a host")]
    Host {
        /// The upstream.
        upstream: String,
        /// The host.
        host: String,
    },
}
