//! What was taken, so that it can be given back.

use std::sync::Arc;

use crate::Now;
use crate::limiter::{Charge, Held};
use crate::policy::Word;
use crate::table::Seat;

/// A place in flight, free again when this is dropped.
#[derive(Debug)]
pub struct Permit {
    held: Arc<Held>,
    receipt: Receipt,
}

/// What was taken of a limit, so that it can be given back. Does not hold the limit: counting
/// who does would be one word that all threads write.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// The index of the charge.
    charge: usize,
    /// The limit, by its place among the specs.
    limit: usize,
    cost: u64,
    place: Place,
}

/// Where it was taken.
#[derive(Debug, Clone, Copy)]
enum Place {
    Here { seat: Seat, after: Word },
    InCommon(InCommon),
}

/// Something taken of a limit that several gateways share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InCommon {
    /// What the key of the limit is known by.
    pub id: [u8; 16],
    /// The period that it was taken in; 0 where it is not known.
    pub epoch: u64,
    /// How it was taken.
    pub of: TakenOf,
}

/// How something is taken that several gateways share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenOf {
    /// Of what was taken ahead in the place in common.
    Lease,
    /// As a debt, of which the place in common is told later.
    Debt,
}

impl Permit {
    pub(crate) fn new(held: Arc<Held>, receipt: Receipt) -> Self {
        Self { held, receipt }
    }
}

impl Receipt {
    pub(crate) fn here((index, charge): (usize, &Charge<'_>), (seat, after): (Seat, Word)) -> Self {
        Self::new((index, charge), Place::Here { seat, after })
    }

    /// What a charge took that is counted in common.
    pub fn in_common((index, charge): (usize, &Charge<'_>), taken: InCommon) -> Self {
        Self::new((index, charge), Place::InCommon(taken))
    }

    fn new((index, charge): (usize, &Charge<'_>), place: Place) -> Self {
        Self { charge: index, limit: charge.limit, cost: charge.cost, place }
    }

    /// The index of the charge that it is for.
    pub fn charge(&self) -> usize {
        self.charge
    }

    /// The limit, by its place among the specs.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How much was taken.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// What was taken in common; `None` where it was taken here.
    pub fn taken_in_common(&self) -> Option<InCommon> {
        match self.place {
            Place::Here { .. } => None,
            Place::InCommon(taken) => Some(taken),
        }
    }

    pub(crate) fn taken_here(&self) -> Option<(Seat, Word)> {
        match self.place {
            Place::Here { seat, after } => Some((seat, after)),
            Place::InCommon(_) => None,
        }
    }

    /// The same for a charge that has this index elsewhere.
    #[must_use]
    pub fn renumbered(self, charge: usize) -> Self {
        Self { charge, ..self }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // A place in flight is given back whole, whenever it is.
        self.held.give_back(self.receipt, Now { ns: 0, unix_ms: 0 });
    }
}
