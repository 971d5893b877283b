//! Takes every charge of a request or none, some of them in common with other gateways.

use std::sync::Arc;

use portcullis_config::WhenAway;
use portcullis_limits::{Charge, Exceeded, InCommon, Receipt, Taken, TakenOf};
use portcullis_pipeline::Untaken;
use tokio::time::Instant;

use super::GatewayLimits;
use super::common::{Answer, Common};
use super::leases::{Got, Owed, Want};
use super::outcome::{Fate, Outcome};
use super::shared::Shared;

/// What is taken of a request's charges so far.
struct Parts {
    outcome: Outcome,
    /// Those that are counted here.
    here: Vec<usize>,
    /// Those that were taken of the leases of buckets.
    leased: Vec<usize>,
    /// What was taken of windows in common.
    receipts: Vec<Receipt>,
}

impl GatewayLimits {
    /// Takes every charge or none, some of them in common.
    pub(super) async fn take_shared(
        &self,
        common: &Arc<Common>,
        charges: &[Charge<'_>],
    ) -> Result<Taken, Untaken> {
        let mut outcome = Outcome::unknown(charges.len());
        let here = self.indices(charges, |shared| shared.is_none());
        // Nothing is asked for a request that is refused anyway.
        if let Err(exceeded) = self.limiter.check(&picked(charges, &here), self.clock.now()) {
            outcome.note(&here, &exceeded);
            return Err(self.refused(charges, outcome).into());
        }
        let mut parts = Parts { outcome, here, leased: Vec::new(), receipts: Vec::new() };
        let deadline = Instant::now() + common.timeout();
        for at in self.indices(charges, |shared| shared.is_some()) {
            let Some((charge, shared)) = self.shared_at(charges, at) else { continue };
            if shared.refuses_always(charge.cost) {
                parts.outcome.set(at, Fate::Short(None));
                continue;
            }
            let want = shared.want(charge);
            match common.take(&want, (|| self.clock.now(), deadline)).await {
                Answer::Taken(got) => parts.took((at, charge), (shared, &want), got),
                Answer::Short(wait_ns) => parts.outcome.set(at, Fate::Short(Some(wait_ns))),
                Answer::Away => {
                    self.take_alone(common, ((at, charge), (shared, &want)), &mut parts)
                }
            }
        }
        self.settle(charges, parts)
    }

    /// Does what holds while nobody can be asked.
    fn take_alone(
        &self,
        common: &Common,
        ((at, charge), (shared, want)): ((usize, &Charge<'_>), (&Shared, &Want)),
        parts: &mut Parts,
    ) {
        let when_away = common.when_away();
        if when_away == WhenAway::Deny {
            return parts.outcome.set(at, Fate::Unavailable);
        }
        if let Some(sharing) = shared.window() {
            match common.owe(want, sharing, self.clock.now()) {
                Owed::Noted(epoch) => {
                    let taken = InCommon { id: want.id, epoch, of: TakenOf::Debt };
                    parts.receipts.push(Receipt::in_common((at, charge), taken));
                }
                Owed::Unnoted => {}
                Owed::Short(wait_ns) => {
                    return parts.outcome.set(at, Fate::Short(Some(wait_ns)));
                }
            }
        }
        match when_away {
            WhenAway::Local => parts.here.push(at),
            WhenAway::Allow | WhenAway::Deny => {
                parts.outcome.set(at, Fate::Taken(shared.whole()));
            }
        }
    }

    /// Takes the rest, or puts everything back.
    fn settle(&self, charges: &[Charge<'_>], parts: Parts) -> Result<Taken, Untaken> {
        let Parts { outcome, here, leased, receipts } = parts;
        let taken = if outcome.is_short() {
            Err(self.refused(charges, outcome).into())
        } else if outcome.is_unavailable() {
            Err(Untaken::Unavailable)
        } else {
            self.take_here(charges, here, outcome).map_err(Untaken::Exceeded)
        };
        match taken {
            Ok(mut taken) => {
                taken.leased = leased;
                taken.receipts.extend(receipts);
                Ok(taken)
            }
            Err(untaken) => {
                self.give_leased_back(charges, &leased);
                self.give_windows_back(&receipts);
                Err(untaken)
            }
        }
    }

    /// Puts back what was taken of leases for the charges at these places.
    pub(super) fn give_leased_back(&self, charges: &[Charge<'_>], leased: &[usize]) {
        for at in leased {
            if let (Some((charge, shared)), Some(common)) =
                (self.shared_at(charges, *at), &self.common)
            {
                common.give_back(&shared.want(charge));
            }
        }
    }

    /// Puts back what was taken of windows in common.
    pub(super) fn give_windows_back(&self, receipts: &[Receipt]) {
        let Some(common) = &self.common else { return };
        for receipt in receipts {
            let shared = self.shared.get(receipt.limit()).and_then(Option::as_ref);
            if let (Some(taken), Some(sharing)) =
                (receipt.taken_in_common(), shared.and_then(Shared::window))
            {
                common.put_back(&taken, (sharing.common, receipt.cost()));
            }
        }
    }

    /// Takes what is counted here, when the rest is taken.
    fn take_here(
        &self,
        charges: &[Charge<'_>],
        mut here: Vec<usize>,
        mut outcome: Outcome,
    ) -> Result<Taken, Exceeded> {
        here.sort_unstable();
        match self.limiter.take(&picked(charges, &here), self.clock.now()) {
            Ok(taken) => {
                for (at, standing) in here.iter().zip(taken.standings) {
                    outcome.set(*at, Fate::Taken(standing));
                }
                let receipts = taken.receipts.into_iter();
                let receipts =
                    receipts.filter_map(|it| Some(it.renumbered(*here.get(it.charge())?)));
                let (receipts, permits) = (receipts.collect(), taken.permits);
                let standings = outcome.standings();
                Ok(Taken { standings, permits, receipts, ..Taken::default() })
            }
            Err(exceeded) => {
                outcome.note(&here, &exceeded);
                Err(self.refused(charges, outcome))
            }
        }
    }

    /// Why a request is refused, and how the limits stand that were not asked any more.
    fn refused(&self, charges: &[Charge<'_>], mut outcome: Outcome) -> Exceeded {
        for at in outcome.open() {
            let standing = match (self.shared_at(charges, at), &self.common) {
                (Some((charge, shared)), Some(common)) => {
                    let left = common.remaining(&shared.want(charge), self.clock.now());
                    Some(left.map_or_else(|| shared.whole(), |left| shared.standing(left)))
                }
                _ => self.limiter.standings(&picked(charges, &[at]), self.clock.now()).pop(),
            };
            if let Some(standing) = standing {
                outcome.set(at, Fate::Taken(standing));
            }
        }
        Exceeded { short: outcome.short(), standings: outcome.standings() }
    }

    fn shared_at<'c>(
        &self,
        charges: &'c [Charge<'c>],
        at: usize,
    ) -> Option<(&'c Charge<'c>, &Shared)> {
        let charge = charges.get(at)?;
        Some((charge, self.sharing(charge)?))
    }

    fn indices(
        &self,
        charges: &[Charge<'_>],
        wanted: impl Fn(Option<&Shared>) -> bool,
    ) -> Vec<usize> {
        let found = charges.iter().enumerate().filter(|(_, charge)| wanted(self.sharing(charge)));
        found.map(|(at, _)| at).collect()
    }
}

impl Parts {
    /// Notes what is taken in common.
    fn took(
        &mut self,
        (at, charge): (usize, &Charge<'_>),
        (shared, want): (&Shared, &Want),
        got: Got,
    ) {
        self.outcome.set(at, Fate::Taken(shared.standing(got.left)));
        if shared.window().is_none() {
            self.leased.push(at);
        } else if charge.cost > 0 {
            let taken = InCommon { id: want.id, epoch: got.epoch, of: TakenOf::Lease };
            self.receipts.push(Receipt::in_common((at, charge), taken));
        }
    }
}

fn picked<'a>(charges: &[Charge<'a>], places: &[usize]) -> Vec<Charge<'a>> {
    places.iter().filter_map(|at| charges.get(*at).copied()).collect()
}
