//! Limits that several gateways share: the bucket as a place in common counts it, and what
//! a gateway takes out of it ahead.

use crate::bucket::TokenBucket;
use crate::{BucketProblem, Now, Quota, Rate, RateProblem, WindowProblem};

/// The largest number that the place in common counts to without rounding: its numbers are
/// doubles.
const MOST: u64 = 1 << 52;
/// Ticks of its clock that buckets may be counted by, in microseconds, finest first.
const TICKS_US: [u64; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const US: u64 = 1_000;

/// A token bucket as it is counted in a place in common, in units of which a tick of the
/// clock and a token have whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommonBucket {
    /// Microseconds of a tick.
    pub tick_us: u64,
    /// Units that come back with a tick.
    pub per_tick: u64,
    /// Units of a token.
    pub per_token: u64,
    /// Units of a full bucket.
    pub capacity: u64,
}

/// How a limit is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// The bucket of all gateways.
    pub common: CommonBucket,
    /// How leases are taken of it.
    pub terms: LeaseTerms,
    /// What each gateway counts by itself while there is no place in common.
    pub share: TokenBucket,
}

/// How a quota is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaSharing {
    /// How many gateways share it.
    pub gateways: u64,
    /// How leases are taken of it.
    pub terms: LeaseTerms,
}

/// How much a gateway takes ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// The most tokens of a lease; a request that costs more has what it costs.
    pub most: u64,
    /// How long a lease may be used, in nanoseconds.
    pub life_ns: u64,
    /// How long a bucket that was found empty is left alone at the least, in nanoseconds.
    pub pause_ns: u64,
}

/// Why a limit cannot be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SharingProblem {
    /// The place in common could not count it.
    #[error("this rate and burst cannot be counted exactly in common")]
    Inexact,
    /// There is no share of it.
    #[error("a gateway's share of it: {0}")]
    Rate(#[from] RateProblem),
    /// There is no share of it.
    #[error("a gateway's share of it: {0}")]
    Bucket(#[from] BucketProblem),
    /// There is no share of it.
    #[error("a gateway's share of it: {0}")]
    Window(#[from] WindowProblem),
    /// What is under way is not known in common.
    #[error("each gateway counts for itself what is in flight: have another limiter for it")]
    InFlight,
}

impl Sharing {
    /// Shares a bucket among gateways with leases of this life.
    ///
    /// # Errors
    ///
    /// Where it cannot be counted exactly, in common or by shares.
    pub fn new(bucket: TokenBucket, gateways: u64, life_ns: u64) -> Result<Self, SharingProblem> {
        let gateways = gateways.max(1);
        let common = CommonBucket::of(&bucket).ok_or(SharingProblem::Inexact)?;
        let terms = LeaseTerms::of(&bucket, gateways, life_ns);
        let rate = bucket.rate();
        let period_ms = rate.period_ns() / (US * 1_000);
        let share = match rate.count().is_multiple_of(gateways) {
            true => Rate::new(rate.count() / gateways, period_ms)?,
            false => Rate::new(rate.count(), period_ms.saturating_mul(gateways))?,
        };
        let share = TokenBucket::new(share, bucket.burst().div_ceil(gateways))?;
        Ok(Self { common, terms, share })
    }
}

impl QuotaSharing {
    /// Leases of a quota have at most this part of it, all gateways together: it is lost with
    /// gateways that are killed.
    const PART: u64 = 100;

    /// Shares a quota among gateways with leases of this life.
    pub fn new(quota: Quota, gateways: u64, life_ns: u64) -> Self {
        let gateways = gateways.max(1);
        let most = (quota.limit() / Self::PART / gateways).max(1);
        Self { gateways, terms: LeaseTerms { most, life_ns, pause_ns: life_ns / 16 } }
    }

    /// A gateway's part of so many requests, rounded up.
    pub fn part(&self, requests: u64) -> u64 {
        requests.div_ceil(self.gateways)
    }
}

impl CommonBucket {
    fn of(bucket: &TokenBucket) -> Option<Self> {
        let period_us = bucket.rate().period_ns() / US;
        let ticking = |tick_us: u64| {
            let period = period_us / tick_us;
            let common = gcd(bucket.rate().count(), period);
            let (per_tick, per_token) = (bucket.rate().count() / common, period / common);
            let capacity = bucket.burst().checked_mul(per_token)?;
            (capacity <= MOST).then_some(Self { tick_us, per_tick, per_token, capacity })
        };
        let whole = |tick_us: &u64| period_us.is_multiple_of(*tick_us);
        TICKS_US.into_iter().filter(whole).find_map(ticking)
    }
}

impl LeaseTerms {
    fn of(bucket: &TokenBucket, gateways: u64, life_ns: u64) -> Self {
        let rate = bucket.rate();
        let in_ns = |ns: u64| {
            let tokens = u128::from(rate.count()) * u128::from(ns) / u128::from(rate.period_ns());
            u64::try_from(tokens).unwrap_or(u64::MAX)
        };
        let most = (in_ns(life_ns) / gateways).min(bucket.burst() / 2 / gateways).max(1);
        // A bucket that is not looked at for long overflows.
        let half = u128::from(bucket.burst() / 2) * u128::from(rate.period_ns());
        let half_ns = u64::try_from(half / u128::from(rate.count())).unwrap_or(u64::MAX);
        Self { most, life_ns, pause_ns: (life_ns / 16).min(half_ns) }
    }
}

/// What a gateway has taken ahead of one key's bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lease {
    /// The one that is used up first.
    older: Batch,
    newer: Batch,
    /// Tokens that the next one has.
    size: u64,
    /// When the last one was asked for.
    asked: Option<Now>,
    /// What was not to be had.
    refused: Option<Refused>,
    /// Tokens left in the bucket when it was last heard of.
    common: Option<u64>,
    /// What requests wait for.
    wanted: u64,
    /// Tokens that expired before they were used.
    expired: u64,
}

/// Tokens that were taken at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Batch {
    granted: u64,
    left: u64,
    until_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    cost: u64,
    /// When to ask again.
    again_ns: u64,
    /// When there should be enough.
    enough_ns: u64,
}

/// What a lease has for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leased {
    /// All that it costs, which is taken.
    Taken,
    /// Too little, and the bucket in common has too little too: wait so long.
    Short {
        /// Nanoseconds.
        wait_ns: u64,
    },
    /// Too little: ask the bucket in common.
    Ask,
}

/// What the place in common is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Less than this is of no use.
    pub need: u64,
    /// This is wished for.
    pub wish: u64,
}

/// What it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Tokens taken; none where there were fewer than needed.
    pub tokens: u64,
    /// Tokens left in the bucket.
    pub left: u64,
    /// Until there are as many as were needed, in nanoseconds; 0 where they were granted.
    pub wait_ns: u64,
}

impl Lease {
    /// Takes what a request costs.
    pub fn take(&mut self, cost: u64, now: Now) -> Leased {
        self.forget_what_expired(now);
        if self.older.left + self.newer.left >= cost {
            let of_older = self.older.left.min(cost);
            self.older.left -= of_older;
            self.newer.left -= cost - of_older;
            return Leased::Taken;
        }
        match self.refused {
            Some(refused) if cost >= refused.cost && now.ns < refused.again_ns => {
                Leased::Short { wait_ns: refused.enough_ns.saturating_sub(now.ns).max(1) }
            }
            _ => Leased::Ask,
        }
    }

    /// Puts back what was taken, and is not used after all: to be used by another request as
    /// far as it is of this lease, else as though it had expired.
    pub fn give_back(&mut self, cost: u64) {
        let here = cost.min(self.newer.granted.saturating_sub(self.newer.left));
        self.newer.left += here;
        self.expired = self.expired.saturating_add(cost - here);
    }

    /// Notes that a request waits for so much.
    pub fn want(&mut self, cost: u64) {
        self.wanted = self.wanted.saturating_add(cost);
    }

    /// Whether the next lease should be asked for before this one is used up.
    pub fn runs_low(&self, now: Now) -> bool {
        self.newer.granted > 1
            && now.ns < self.newer.until_ns
            && self.older.left == 0
            && self.newer.left <= self.newer.granted / 2
            && self.refused.is_none_or(|refused| refused.again_ns <= now.ns)
    }

    /// Begins to ask for the next lease, for a request of this cost.
    pub fn ask(&mut self, need: u64, terms: &LeaseTerms, now: Now) -> Ask {
        let since = self.asked.map(|asked| now.ns.saturating_sub(asked.ns));
        self.size = match since {
            None => 1,
            Some(since) if since < terms.life_ns / 2 => self.size.saturating_mul(2),
            Some(since) if since < terms.life_ns => self.size,
            Some(since) if since < terms.life_ns.saturating_mul(2) => self.size / 2,
            Some(_) => 1,
        };
        self.size = self.size.clamp(1, terms.most);
        self.asked = Some(now);
        let wanted = std::mem::take(&mut self.wanted).min(terms.most);
        Ask { need, wish: self.size.max(wanted).max(need) }
    }

    /// Takes in the answer to what was asked at `asked`.
    pub fn granted(&mut self, (ask, asked): (Ask, Now), grant: Grant, terms: &LeaseTerms) {
        self.common = Some(grant.left);
        if grant.tokens > 0 {
            let (older, newer) = (self.older, self.newer);
            let until_ns = if older.left > 0 { older.until_ns } else { newer.until_ns };
            self.older = Batch { left: older.left + newer.left, until_ns, ..newer };
            let until_ns = asked.ns.saturating_add(terms.life_ns);
            self.newer = Batch { granted: grant.tokens, left: grant.tokens, until_ns };
            self.refused = None;
        } else {
            let after = |ns: u64| asked.ns.saturating_add(ns);
            // Not too late either: the place in common may have been emptied meanwhile.
            let again_ns = after(grant.wait_ns.clamp(terms.pause_ns, terms.life_ns));
            self.refused =
                Some(Refused { cost: ask.need, again_ns, enough_ns: after(grant.wait_ns) });
        }
    }

    /// Tokens that are left, here and in the bucket as it was last heard of.
    pub fn remaining(&self) -> u64 {
        let held = self.older.left.saturating_add(self.newer.left);
        self.common.unwrap_or(0).saturating_add(held)
    }

    /// Takes the tokens that expired before they were used, to give them back.
    pub fn take_expired(&mut self, now: Now) -> u64 {
        self.forget_what_expired(now);
        std::mem::take(&mut self.expired)
    }

    /// Takes all tokens that may still be used, to give them back.
    pub fn take_held(&mut self, now: Now) -> u64 {
        self.forget_what_expired(now);
        let (older, newer) = (&mut self.older.left, &mut self.newer.left);
        std::mem::take(older) + std::mem::take(newer)
    }

    /// Lets go of all tokens: they count no more.
    pub fn drop_all(&mut self) {
        (self.older.left, self.newer.left, self.expired) = (0, 0, 0);
    }

    /// Forgets what was taken and heard: it is of a period that is over.
    pub fn begin_anew(&mut self) {
        self.drop_all();
        (self.refused, self.common) = (None, None);
    }

    /// Whether it has tokens, to use or to give back.
    pub fn has_any(&self) -> bool {
        self.older.left + self.newer.left + self.expired > 0
    }

    /// Whether the bucket in common has too little for one more, as far as is known.
    pub fn is_spent(&self, now: Now) -> bool {
        let mut after = *self;
        matches!(after.take(1, now), Leased::Short { .. })
    }

    /// Hears how many tokens are left in the bucket in common.
    pub fn hear(&mut self, left: u64) {
        self.common = Some(left);
    }

    /// Tokens left in the bucket in common when it was last heard of, if it was.
    pub fn heard(&self) -> Option<u64> {
        self.common
    }

    /// Whether nothing is known of the key any more, so that it may be forgotten.
    pub fn is_idle(&self, terms: &LeaseTerms, now: Now) -> bool {
        let last = self.asked.map_or(0, |asked| asked.ns.saturating_add(terms.life_ns));
        last <= now.ns && self.refused.is_none_or(|refused| refused.again_ns <= now.ns)
    }

    fn forget_what_expired(&mut self, now: Now) {
        for batch in [&mut self.older, &mut self.newer] {
            if batch.until_ns <= now.ns {
                self.expired += std::mem::take(&mut batch.left);
            }
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
