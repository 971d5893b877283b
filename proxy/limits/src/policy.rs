//! What a limit is, and one step of it.

use crate::Now;
use crate::bucket::{Empty, TokenBucket};
use crate::window::{FixedWindow, SlidingWindow};

/// A limit of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Where it stands: what was taken survives a new configuration with an equal spec.
    pub scope: String,
    /// What clients and operators know it by.
    pub name: String,
    /// How much it lets pass.
    pub policy: Policy,
    /// Whether everybody shares it.
    pub keyed: Keyed,
}

/// Whether everybody shares a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyed {
    /// All do.
    Shared,
    /// Each key has its own; keys are of this kind.
    PerKey(String),
}

/// How much a limit lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Tokens that come back.
    Bucket(TokenBucket),
    /// So much in each period.
    Fixed(FixedWindow),
    /// So much in any stretch of a length.
    Sliding(SlidingWindow),
    /// So many at the same time.
    InFlight(u64),
}

/// How a limit stands for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How much is left.
    pub remaining: u64,
    /// Until there is more, in nanoseconds; 0 where there is nothing to wait for, `None`
    /// where nobody can tell.
    pub wait_ns: Option<u64>,
}

/// What is held for a key; its meaning is the policy's. The default is as good as new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) main: u64,
    /// Of windows only.
    pub(crate) extra: u64,
}

impl Word {
    pub(crate) fn of(main: u64) -> Self {
        Self { main, extra: 0 }
    }
}

impl Policy {
    /// Whether places are taken of it one by one, and are free again when the exchange ends.
    pub fn is_in_flight(&self) -> bool {
        matches!(self, Self::InFlight(_))
    }

    /// Whether the word's `main` is all of it.
    pub(crate) fn fits_an_atomic(&self) -> bool {
        matches!(self, Self::Bucket(_) | Self::InFlight(_))
    }

    /// Takes: what the word is afterwards, or why it cannot be.
    pub(crate) fn take(&self, word: Word, cost: u64, now: Now) -> Result<Word, Empty> {
        match self {
            Self::Bucket(bucket) => bucket.take(word.main, cost, now).map(Word::of),
            Self::Fixed(window) => window.take(word, cost, now),
            Self::Sliding(window) => window.take(word, cost, now),
            Self::InFlight(limit) => {
                let taken = word.main.checked_add(cost).filter(|taken| taken <= limit);
                taken.map(Word::of).ok_or(Empty { wait_ns: None })
            }
        }
    }

    /// Puts back what was taken when the word became `after`.
    pub(crate) fn give_back(&self, word: Word, (after, cost): (Word, u64), now: Now) -> Word {
        match self {
            Self::Bucket(bucket) => Word::of(bucket.give_back(word.main, after.main, cost, now)),
            Self::Fixed(window) => window.give_back(word, after, cost),
            Self::Sliding(window) => window.give_back(word, after, cost),
            Self::InFlight(_) => Word::of(word.main.saturating_sub(cost)),
        }
    }

    /// How it stands.
    pub(crate) fn standing(&self, word: Word, now: Now) -> Standing {
        match self {
            Self::Bucket(bucket) => bucket.standing(word.main, now),
            Self::Fixed(window) => window.standing(word, now),
            Self::Sliding(window) => window.standing(word, now),
            Self::InFlight(limit) => {
                Standing { remaining: limit.saturating_sub(word.main), wait_ns: None }
            }
        }
    }

    /// Whether the word is as good as a new one, so that it may be forgotten.
    pub(crate) fn is_idle(&self, word: Word, now: Now) -> bool {
        match self {
            Self::Bucket(bucket) => bucket.is_full(word.main, now),
            Self::Fixed(window) => window.is_idle(word, now),
            Self::Sliding(window) => window.is_idle(word, now),
            Self::InFlight(_) => word.main == 0,
        }
    }
}
