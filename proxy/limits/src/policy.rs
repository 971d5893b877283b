//! What a limit is, and one step of it.

use crate::Now;
use crate::bucket::{Empty, TokenBucket};

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

/// What is held for a key: a word whose meaning is the policy's. Zero is as good as new.
pub(crate) type Word = u64;

impl Policy {
    /// The most that is left when nothing was taken.
    pub fn quota(&self) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.burst(),
            Self::InFlight(limit) => *limit,
        }
    }

    /// Takes: what the word is afterwards, or why it cannot be.
    pub(crate) fn take(&self, word: Word, cost: u64, now: Now) -> Result<Word, Empty> {
        match self {
            Self::Bucket(bucket) => bucket.take(word, cost, now),
            Self::InFlight(limit) => {
                word.checked_add(cost).filter(|taken| taken <= limit).ok_or(Empty { wait_ns: None })
            }
        }
    }

    /// Puts back what was taken when the word became `after_taking`.
    pub(crate) fn give_back(&self, word: Word, (after, cost): (Word, u64), now: Now) -> Word {
        match self {
            Self::Bucket(bucket) => bucket.give_back(word, after, cost, now),
            Self::InFlight(_) => word.saturating_sub(cost),
        }
    }

    /// How it stands.
    pub(crate) fn standing(&self, word: Word, now: Now) -> Standing {
        match self {
            Self::Bucket(bucket) => bucket.standing(word, now),
            Self::InFlight(limit) => {
                Standing { remaining: limit.saturating_sub(word), wait_ns: None }
            }
        }
    }

    /// Whether the word is as good as a new one, so that it may be forgotten.
    pub(crate) fn is_idle(&self, word: Word, now: Now) -> bool {
        match self {
            Self::Bucket(bucket) => bucket.is_full(word, now),
            Self::InFlight(_) => word == 0,
        }
    }
}
