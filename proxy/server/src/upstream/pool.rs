//! One upstream: its endpoints, the addresses they have now, and the choice among them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use pingora::upstreams::peer::HttpPeer;
use portcullis_config::{Balance, Endpoint, Upstream};

use super::UpstreamBuildError;
use super::balance::{self, HashInput, Rule};
use super::due::Due;
use super::endpoint::NamedEndpoint;
use super::health::Outcome;
use super::peer::PeerTemplate;
use super::target::{EndpointIndex, Lease, Member, Target, TargetSet, TargetState};

/// One upstream of one configuration.
#[derive(Debug)]
pub(crate) struct UpstreamPool {
    spec: Arc<Upstream>,
    template: PeerTemplate,
    endpoints: Vec<Resolved>,
    /// What requests choose from; replaced whole when an endpoint's addresses change.
    targets: ArcSwap<TargetSet>,
    /// Held while `targets` is replaced.
    replacing: Mutex<()>,
}

/// An endpoint and when its name is to be resolved again.
#[derive(Debug)]
pub(super) struct Resolved {
    endpoint: Arc<NamedEndpoint>,
    /// Never due for an endpoint that is an address.
    resolve_due: Option<Arc<Due>>,
}

/// How one endpoint is, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointHealth {
    /// The upstream's name.
    pub(crate) upstream: String,
    /// The endpoint, as `host:port`.
    pub(crate) endpoint: String,
    /// One of its addresses; `None` while its name does not resolve.
    pub(crate) address: Option<SocketAddr>,
    /// Whether requests go there.
    pub(crate) healthy: bool,
    /// Requests under way.
    pub(crate) active: usize,
}

impl UpstreamPool {
    pub(super) fn build(
        spec: &Arc<Upstream>,
        before: Option<&Self>,
    ) -> Result<Self, UpstreamBuildError> {
        let now = Instant::now();
        let endpoints = spec
            .endpoints
            .iter()
            .map(|endpoint| Resolved::build(spec, endpoint, before, now))
            .collect::<Result<Vec<_>, _>>()?;
        let pool = Self {
            spec: Arc::clone(spec),
            template: PeerTemplate::build(spec)?,
            endpoints,
            targets: ArcSwap::default(),
            replacing: Mutex::new(()),
        };
        let known = before.map(|before| before.targets.load_full()).unwrap_or_default();
        let keeps_health = before.is_some_and(|before| judged_alike(&before.spec, spec));
        let states = if keeps_health { known.targets.as_slice() } else { &[] };
        let members = pool.endpoints.iter().flat_map(|resolved| {
            members(&resolved.endpoint, &resolved.known_addresses(&known), states, now)
        });
        pool.targets.store(Arc::new(TargetSet::of(members.collect())));
        Ok(pool)
    }

    /// The upstream as configured.
    pub(crate) fn spec(&self) -> &Upstream {
        &self.spec
    }

    /// Chooses an endpoint that is not among those `tried` for this request.
    ///
    /// Prefers the healthy ones. Where none is left, an unhealthy one may still serve
    /// and is better than no answer. `None` once all are tried, or none has an address.
    pub(crate) fn choose(
        &self,
        key: &HashInput<'_>,
        tried: &[EndpointIndex],
        now: Instant,
    ) -> Option<Lease> {
        let rule = match &self.spec.balance {
            Balance::RoundRobin => Rule::InTurn,
            Balance::LeastConnections => Rule::LeastLoaded,
            Balance::PowerOfTwo => Rule::BetterOf(rand::random(), rand::random()),
            Balance::ConsistentHash(of) => Rule::Nearest(key.hash(of)),
        };
        self.choose_at(now, rule, tried)
    }

    /// The Pingora peer of a lease.
    pub(crate) fn peer(&self, lease: &Lease) -> HttpPeer {
        self.template.peer(lease.address(), &lease.target().endpoint.tls_name)
    }

    /// Takes in what a request met at its endpoint. An answer is to be reported when its
    /// head arrives, not when it ends: until then an endpoint back from a pause is given
    /// no second request.
    pub(crate) fn report(&self, lease: &Lease, outcome: Outcome, now: Instant) {
        self.report_at(now, lease, outcome);
    }

    pub(super) fn health(&self) -> Vec<EndpointHealth> {
        let now = Instant::now();
        let set = self.targets.load();
        let mut all = Vec::with_capacity(set.targets.len());
        for Resolved { endpoint, .. } in &self.endpoints {
            let row = |address, healthy, active| EndpointHealth {
                upstream: self.spec.name.clone(),
                endpoint: endpoint.label(),
                address,
                healthy,
                active,
            };
            let known = all.len();
            all.extend(set.targets.iter().filter(|target| target.belongs_to(endpoint)).map(
                |target| {
                    row(Some(target.address), target.state.health.is_healthy(now), target.active())
                },
            ));
            if all.len() == known {
                all.push(row(None, false, 0));
            }
        }
        all
    }

    pub(super) fn endpoints(&self) -> &[Resolved] {
        &self.endpoints
    }

    pub(super) fn targets(&self) -> Arc<TargetSet> {
        self.targets.load_full()
    }

    pub(super) fn probe_peer(&self, target: &Target) -> HttpPeer {
        self.template.probe_peer(target.address, &target.endpoint.tls_name)
    }

    /// Makes `addresses`, never empty, those of `endpoint`. Addresses it had before keep
    /// their state.
    pub(super) fn replace_addresses(
        &self,
        endpoint: &Arc<NamedEndpoint>,
        addresses: &[SocketAddr],
    ) {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.targets.load_full();
        let addresses_before = addresses_of(&before, endpoint);
        if addresses_before == addresses {
            return;
        }
        tracing::info!(
            upstream = %self.spec.name, endpoint = %endpoint.label(), ?addresses,
            "endpoint has new addresses"
        );
        let now = Instant::now();
        let all = self.endpoints.iter().flat_map(|resolved| {
            let own = addresses_of(&before, &resolved.endpoint);
            let changed = Arc::ptr_eq(&resolved.endpoint, endpoint);
            let addresses = if changed { addresses } else { own.as_slice() };
            members(&resolved.endpoint, addresses, &before.targets, now)
        });
        self.targets.store(Arc::new(TargetSet::of(all.collect())));
    }

    fn choose_at(&self, now: Instant, rule: Rule, tried: &[EndpointIndex]) -> Option<Lease> {
        let set = self.targets.load();
        let untried = set.targets.iter().filter(|target| !tried.contains(&target.state.index));
        let healthy = untried.clone().filter(|target| target.admits(now));
        let chosen = balance::choose(rule, healthy, &set.now)
            .or_else(|| balance::choose(rule, untried, &set.now))?;
        Some(Lease::of(Arc::clone(chosen)))
    }

    fn report_at(&self, now: Instant, lease: &Lease, outcome: Outcome) {
        if let Some(pause) = lease.target().state.health.report(outcome, now) {
            tracing::warn!(
                upstream = %self.spec.name, address = %lease.address(), ?outcome, ?pause,
                "endpoint ejected"
            );
        }
    }
}

impl Resolved {
    fn build(
        spec: &Upstream,
        endpoint: &Endpoint,
        before: Option<&UpstreamPool>,
        now: Instant,
    ) -> Result<Self, UpstreamBuildError> {
        let named = NamedEndpoint::build(spec, endpoint)?;
        let twin = before.and_then(|before| {
            before.endpoints.iter().find(|other| other.endpoint.is_at(endpoint))
        });
        let resolve_due = match (endpoint.host.parse::<IpAddr>(), twin) {
            (Ok(_), _) => None,
            (Err(_), Some(twin)) => twin.resolve_due.clone(),
            (Err(_), None) => Some(Arc::new(Due::at(now))),
        };
        Ok(Self { endpoint: Arc::new(named), resolve_due })
    }

    pub(super) fn endpoint(&self) -> &Arc<NamedEndpoint> {
        &self.endpoint
    }

    pub(super) fn resolve_due(&self) -> Option<&Arc<Due>> {
        self.resolve_due.as_ref()
    }

    /// The addresses known without asking anybody: its own, or those `known` had.
    fn known_addresses(&self, known: &TargetSet) -> Vec<SocketAddr> {
        let Endpoint { host, port, .. } = &self.endpoint.spec;
        if let Ok(address) = host.parse() {
            return vec![SocketAddr::new(address, *port)];
        }
        let same = known.targets.iter().filter(|other| other.endpoint.is_at(&self.endpoint.spec));
        let mut addresses: Vec<_> = same.map(|target| target.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

/// Whether what was found out about an endpoint of `one` holds for `other`.
fn judged_alike(one: &Upstream, other: &Upstream) -> bool {
    one.health_check == other.health_check
        && one.tls == other.tls
        && one.protocol == other.protocol
        && one.timeouts == other.timeouts
        && one.host == other.host
}

fn addresses_of(set: &TargetSet, endpoint: &Arc<NamedEndpoint>) -> Vec<SocketAddr> {
    let own = set.targets.iter().filter(|target| target.belongs_to(endpoint));
    own.map(|target| target.address).collect()
}

/// The targets of one endpoint, with the state that `known` has for them.
fn members(
    endpoint: &Arc<NamedEndpoint>,
    addresses: &[SocketAddr],
    known: &[Arc<Target>],
    now: Instant,
) -> Vec<Member> {
    let member = |address: &SocketAddr| {
        let same = |target: &&Arc<Target>| {
            target.address == *address && target.endpoint.is_at(&endpoint.spec)
        };
        let state = match known.iter().find(same) {
            Some(target) => Arc::clone(&target.state),
            None => Arc::new(TargetState::unknown(now)),
        };
        Member {
            endpoint: Arc::clone(endpoint),
            address: *address,
            siblings: addresses.len(),
            state,
        }
    };
    addresses.iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing;
    use super::*;

    #[test]
    fn an_ejected_endpoint_is_left_alone_until_its_pause_is_over() {
        let pool = pool(&["10.0.0.1", "10.0.0.2"], None);
        let now = Instant::now();
        let next = |now| pool.choose_at(now, Rule::InTurn, &[]).unwrap();
        let lease = next(now);
        for _ in 0..3 {
            pool.report_at(now, &lease, Outcome::ConnectFailed);
        }
        let (bad, index) = (lease.address(), lease.index());
        drop(lease);

        assert!((0..10).all(|_| next(now).address() != bad));
        let later = now + Duration::from_secs(2);
        assert!((0..2).any(|_| next(later).address() == bad));
        assert_ne!(pool.choose_at(later, Rule::InTurn, &[index]).unwrap().address(), bad);
    }

    #[test]
    fn where_no_endpoint_is_healthy_all_are_tried() {
        let pool = pool(&["10.0.0.1", "10.0.0.2"], None);
        let now = Instant::now();
        let one = pool.choose_at(now, Rule::InTurn, &[]).unwrap();
        let other = pool.choose_at(now, Rule::InTurn, &[one.index()]).unwrap();
        for lease in [&one, &other].into_iter().cycle().take(6) {
            pool.report_at(now, lease, Outcome::TimedOut);
        }
        assert!(pool.health().iter().all(|endpoint| !endpoint.healthy));

        assert!(pool.choose_at(now, Rule::InTurn, &[one.index()]).is_some());
        assert!(pool.choose_at(now, Rule::InTurn, &[one.index(), other.index()]).is_none());
    }

    #[test]
    fn a_reload_forgets_neither_health_nor_addresses() {
        let before = pool(&["10.0.0.1", "orders.test"], None);
        let addresses: [SocketAddr; 2] =
            ["10.1.0.1:80", "10.1.0.2:80"].map(|at| at.parse().unwrap());
        before.replace_addresses(before.endpoints[1].endpoint(), &addresses);
        let lease = before.choose_at(Instant::now(), Rule::InTurn, &[]).unwrap();
        for _ in 0..3 {
            before.report(&lease, Outcome::ConnectFailed, Instant::now());
        }

        let after = pool(&["orders.test", "10.0.0.1", "10.0.0.3"], Some(&before));

        let known = after.health();
        assert_eq!(known.len(), 4);
        let of = |address| known.iter().find(|known| known.address == Some(address)).unwrap();
        assert!(!of(lease.address()).healthy);
        assert_eq!(of(lease.address()).active, 1);
        assert!(of("10.0.0.3:80".parse().unwrap()).healthy);
    }

    #[test]
    fn an_endpoint_names_itself_as_a_host_header_would() {
        let check = |host: &str, expected: &str| {
            let pool = pool(&[host], None);
            assert_eq!(pool.endpoints[0].endpoint().authority, expected);
        };
        check("orders.test", "orders.test");
        check("::1", "[::1]");
    }

    fn pool(hosts: &[&str], before: Option<&UpstreamPool>) -> UpstreamPool {
        let endpoints: Vec<_> = hosts.iter().map(|host| (*host, 80)).collect();
        UpstreamPool::build(&Arc::new(testing::upstream(&endpoints)), before).unwrap()
    }
}
