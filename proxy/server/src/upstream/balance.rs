//! How one of several addresses is chosen. Pure but for the counters it advances:
//! chance and time come from outside.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use portcullis_config::HashKey;

use super::target::Target;

/// What a consistent hash may be taken of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashInput<'a> {
    /// The client's address.
    pub(crate) client_address: IpAddr,
    /// The request's headers.
    pub(crate) headers: &'a HeaderMap,
    /// The canonical path.
    pub(crate) path: &'a str,
}

impl HashInput<'_> {
    /// The hash of what `key` names. The same on every node and after every restart, so
    /// that gateways beside each other agree.
    pub(super) fn hash(&self, key: &HashKey) -> u64 {
        match key {
            HashKey::ClientAddress => self.hash_of_address(),
            HashKey::Header(name) => match self.headers.get(name) {
                Some(value) => hash(value.as_bytes()),
                None => self.hash_of_address(),
            },
            HashKey::Path => hash(self.path.as_bytes()),
        }
    }

    fn hash_of_address(&self) -> u64 {
        match self.client_address {
            IpAddr::V4(address) => hash(&address.octets()),
            IpAddr::V6(address) => hash(&address.octets()),
        }
    }
}

/// A way to choose, with the chance or the hash it needs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Each in turn, by weight.
    InTurn,
    /// The least loaded; those equally loaded in turn.
    LeastLoaded,
    /// The less loaded of the two at these points of the weights' sum, each in `0..1`.
    BetterOf(f64, f64),
    /// The one the hash leads to.
    Nearest(u64),
}

/// Chooses one of the candidates; `now` is their set's.
pub(super) fn choose<'t, C>(rule: Rule, candidates: C, now: &AtomicU64) -> Option<&'t Arc<Target>>
where
    C: Iterator<Item = &'t Arc<Target>> + Clone,
{
    match rule {
        Rule::InTurn => in_turn(candidates, now),
        Rule::LeastLoaded => {
            let least = candidates.clone().map(|target| target.load()).min()?;
            let idlest = candidates.clone().filter(|target| target.load() <= least);
            // Loads change under our eyes; a stale choice is better than none.
            in_turn(idlest, now).or_else(|| candidates.min_by_key(|target| target.load()))
        }
        Rule::BetterOf(first, second) => {
            let one = at_point(first, candidates.clone())?;
            let others = candidates.filter(|target| !Arc::ptr_eq(target, one));
            match at_point(second, others) {
                Some(other) if other.load() < one.load() => Some(other),
                Some(_) | None => Some(one),
            }
        }
        Rule::Nearest(hash) => {
            candidates.min_by(|one, other| distance(hash, one).total_cmp(&distance(hash, other)))
        }
    }
}

/// What one request costs a target with `share`, where the largest share is `largest`.
pub(super) fn stride(share: f64, largest: f64) -> u64 {
    /// The stride of the largest share. Passes grow by at most this much a choice, so
    /// that they wrap after 2^44 of them: a million a second for half a year.
    const SMALLEST: f64 = (1_u64 << 20) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a ratio of two weights is at least 1; a vast one saturates"
    )]
    let stride = (SMALLEST * (largest / share)).round() as u64;
    stride
}

/// What a consistent hash knows an address by.
pub(super) fn seed(address: SocketAddr) -> u64 {
    hash(address.to_string().as_bytes())
}

/// Stride scheduling: the lowest pass is next and pays its stride. Smooth for any
/// weights, and lock-free: racing threads may choose the same target, which then waits
/// longer for its next turn.
///
/// A target that was away does not catch up on what it missed: it starts again at `now`.
fn in_turn<'t>(
    candidates: impl Iterator<Item = &'t Arc<Target>>,
    now: &AtomicU64,
) -> Option<&'t Arc<Target>> {
    let level = now.load(Ordering::Relaxed);
    let pass = |target: &Target| target.pass.load(Ordering::Relaxed).max(level);
    let next = candidates.min_by_key(|target| pass(target))?;
    next.pass.fetch_max(level, Ordering::Relaxed);
    let turn = next.pass.fetch_add(next.stride, Ordering::Relaxed);
    now.fetch_max(turn, Ordering::Relaxed);
    Some(next)
}

fn at_point<'t, C>(point: f64, candidates: C) -> Option<&'t Arc<Target>>
where
    C: Iterator<Item = &'t Arc<Target>> + Clone,
{
    let mut left = point * candidates.clone().map(|target| target.share).sum::<f64>();
    let mut last = None;
    for target in candidates {
        last = Some(target);
        left -= target.share;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Weighted rendezvous hashing: each target draws an exponential variate from the key
/// and itself, and the smallest wins. A target that goes takes only its own keys along.
fn distance(key: u64, target: &Target) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let uniform = ((mix(key ^ target.seed) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -uniform.ln() / target.share
}

/// FNV-1a, then spread over all bits.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

/// The finalizer of SplitMix64.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::target::{Lease, TargetSet};
    use super::*;

    #[test]
    fn turns_follow_the_weights_smoothly() {
        let set = TargetSet::weighted(&[5, 1, 1]);
        let turns = turns(&set, Rule::InTurn, 7 * 3);

        assert_eq!(turns.values().copied().collect::<Vec<_>>(), [15, 3, 3]);
    }

    #[test]
    fn a_target_that_was_away_does_not_catch_up() {
        let set = TargetSet::weighted(&[1, 1]);
        let away = Arc::clone(&set.targets[0]);
        for _ in 0..100 {
            let others = set.targets.iter().filter(|target| !Arc::ptr_eq(target, &away));
            choose(Rule::InTurn, others, &set.now);
        }

        assert!(turns(&set, Rule::InTurn, 10)[&away.address] <= 6);
    }

    #[test]
    fn requests_under_way_divide_by_weight() {
        let set = TargetSet::weighted(&[3, 1]);
        let leases: Vec<_> = (0..40)
            .map(|_| choose(Rule::LeastLoaded, set.targets.iter(), &set.now).unwrap())
            .map(|target| Lease::of(Arc::clone(target)))
            .collect();
        assert_eq!(set.targets[0].active(), 30);

        drop(leases);
        assert_eq!(set.targets[0].active(), 0);
    }

    #[test]
    fn the_less_loaded_of_two_is_chosen() {
        let set = TargetSet::weighted(&[1, 1, 1]);
        let _lease = Lease::of(Arc::clone(&set.targets[0]));
        let check = |points: (f64, f64), expected: usize| {
            let rule = Rule::BetterOf(points.0, points.1);
            let chosen = choose(rule, set.targets.iter(), &set.now).unwrap();
            assert!(Arc::ptr_eq(chosen, &set.targets[expected]), "{points:?}");
        };

        check((0.0, 0.0), 1);
        check((0.0, 0.9), 2);
        check((0.5, 0.0), 1);
    }

    #[test]
    fn a_target_that_goes_takes_only_its_own_keys_along() {
        let set = TargetSet::weighted(&[1, 2, 1]);
        let owner = |key: u64, without: Option<usize>| {
            let rest = set.targets.iter().enumerate().filter(|(at, _)| Some(*at) != without);
            let candidates = rest.map(|(_, target)| target);
            choose(Rule::Nearest(mix(key)), candidates, &set.now).unwrap().address
        };
        let heavy = set.targets[1].address;

        let keys = 0..10_000;
        let share = keys.clone().filter(|key| owner(*key, None) == heavy).count();
        assert!((4_700..5_300).contains(&share), "{share}");
        for key in keys.filter(|key| owner(*key, None) != heavy) {
            assert_eq!(owner(key, None), owner(key, Some(1)));
        }
    }

    fn turns(set: &TargetSet, rule: Rule, count: usize) -> BTreeMap<SocketAddr, usize> {
        let mut turns = BTreeMap::new();
        for _ in 0..count {
            let chosen = choose(rule, set.targets.iter(), &set.now).unwrap();
            *turns.entry(chosen.address).or_default() += 1;
        }
        turns
    }
}
