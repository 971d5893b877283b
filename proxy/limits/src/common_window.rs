//! Windows that several gateways share: as a place in common counts them, and what a gateway
//! takes of them ahead.

use crate::policy::Policy;
use crate::share::{LeaseTerms, Sharing, SharingProblem};
use crate::window::{Cycle, FixedWindow, SlidingWindow};

const MS_NS: u64 = 1_000_000;

/// How a limit is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicySharing {
    /// A token bucket.
    Bucket(Sharing),
    /// A window.
    Window(WindowSharing),
}

/// How a window is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSharing {
    /// The window of all gateways.
    pub common: CommonWindow,
    /// How leases are taken of it.
    pub terms: LeaseTerms,
    /// What each gateway counts by itself while there is no place in common.
    pub share: Policy,
    /// How many gateways share it.
    gateways: u64,
}

/// A window as it is counted in a place in common: by when its period began, what is taken in
/// it, and what was taken in the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommonWindow {
    /// How much passes.
    pub limit: u64,
    /// In which periods.
    pub cycle: Cycle,
    /// Whether what the last period took counts by the share of it that a stretch of its
    /// length still covers, as in a [`SlidingWindow`].
    pub slides: bool,
    /// At most one part of so many of what is left is taken ahead at a time.
    pub parts: u64,
}

impl PolicySharing {
    /// Shares a limit among gateways with leases of this life.
    ///
    /// # Errors
    ///
    /// Where it cannot be counted in common, or by shares.
    pub fn new(policy: Policy, gateways: u64, life_ns: u64) -> Result<Self, SharingProblem> {
        let gateways = gateways.max(1);
        let window = |common, share| {
            let terms = terms(&common, gateways, life_ns);
            Self::Window(WindowSharing { common, terms, share, gateways })
        };
        let parts = gateways.saturating_mul(2);
        match policy {
            Policy::Bucket(bucket) => Sharing::new(bucket, gateways, life_ns).map(Self::Bucket),
            Policy::Fixed(fixed) => {
                let (limit, cycle) = (fixed.limit(), fixed.cycle());
                let share = FixedWindow::new(limit.div_ceil(gateways), cycle)?;
                let common = CommonWindow { limit, cycle, slides: false, parts };
                Ok(window(common, Policy::Fixed(share)))
            }
            Policy::Sliding(sliding) => {
                let (limit, length_ms) = (sliding.limit(), sliding.length_ms());
                let share = SlidingWindow::new(limit.div_ceil(gateways), length_ms)?;
                let cycle = Cycle::Length(length_ms);
                let common = CommonWindow { limit, cycle, slides: true, parts };
                Ok(window(common, Policy::Sliding(share)))
            }
            Policy::InFlight(_) => Err(SharingProblem::InFlight),
        }
    }

    /// What each gateway counts by itself while there is no place in common.
    pub fn share(&self) -> Policy {
        match self {
            Self::Bucket(sharing) => Policy::Bucket(sharing.share),
            Self::Window(sharing) => sharing.share,
        }
    }
}

impl WindowSharing {
    /// A gateway's part of so many, rounded up.
    pub fn part(&self, left: u64) -> u64 {
        left.div_ceil(self.gateways)
    }
}

/// Leases of a window have at most what passes a gateway's share of it in their life, or a
/// hundredth of that share where this is more: what is unused of them goes back.
fn terms(window: &CommonWindow, gateways: u64, life_ns: u64) -> LeaseTerms {
    let length_ns = u128::from(window.cycle.longest_ms()) * u128::from(MS_NS);
    let in_life = u128::from(window.limit) * u128::from(life_ns) / length_ns.max(1);
    let in_life = u64::try_from(in_life).unwrap_or(u64::MAX) / gateways;
    let most = in_life.min(window.limit / 4 / gateways);
    let most = most.max(window.limit / 100 / gateways).max(1);
    LeaseTerms { most, life_ns, pause_ns: life_ns / 16 }
}
