//! How many instances of a plugin may live at once: each use has its bound, and a
//! share of the pool that no other use can take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The part of the pool that belongs to nobody in particular.
#[derive(Debug, Clone)]
pub(crate) struct SharedSlots(Arc<Semaphore>);

/// The slots of one plugin use.
#[derive(Debug)]
pub(crate) struct Slots {
    bound: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    shared: SharedSlots,
}

/// Leave for one instance to live; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _bound: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl SharedSlots {
    /// What is left of `pool` places when `uses` have been given `reserve` each.
    pub(crate) fn of(pool: usize, uses: usize, reserve: usize) -> Self {
        Self(Arc::new(Semaphore::new(pool.saturating_sub(uses.saturating_mul(reserve)))))
    }
}

/// The places each of `uses` can always have: half the pool in equal shares.
pub(crate) fn reserve(pool: usize, uses: usize) -> usize {
    (pool / 2 / uses.max(1)).max(1)
}

impl Slots {
    /// At most `bound` instances, `reserve` of them guaranteed.
    pub(crate) fn new(bound: u32, reserve: usize, shared: SharedSlots) -> Self {
        let bound = usize::try_from(bound).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            bound: Arc::new(Semaphore::new(bound)),
            reserved: Arc::new(Semaphore::new(reserve.min(bound))),
            shared,
        }
    }

    /// Waits for a slot.
    pub(crate) async fn take(&self) -> Option<Slot> {
        let bound = match self.bound.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.bound.clone().acquire_owned().await.ok()?,
        };
        let place = match self.reserved.clone().try_acquire_owned() {
            Ok(permit) => permit,
            // Whichever comes free first: waiting on one alone could starve.
            Err(_) => tokio::select! {
                biased;
                permit = self.reserved.clone().acquire_owned() => permit.ok()?,
                permit = self.shared.0.clone().acquire_owned() => permit.ok()?,
            },
        };
        Some(Slot { _bound: bound, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_use_cannot_take_the_places_of_another() {
        let reserve = reserve(8, 2);
        let shared = SharedSlots::of(8, 2, reserve);
        let greedy = Slots::new(100, reserve, shared.clone());
        let modest = Slots::new(100, reserve, shared);
        let mut held = Vec::new();

        while let Ok(slot) =
            tokio::time::timeout(std::time::Duration::from_millis(20), greedy.take()).await
        {
            held.push(slot);
        }

        assert_eq!(held.len(), 6, "its two reserved places and the four that are shared");
        assert!(modest.take().await.is_some());
        assert!(modest.take().await.is_some());
    }

    #[tokio::test]
    async fn a_use_stays_within_its_bound() {
        let slots = Slots::new(2, 4, SharedSlots::of(10, 1, 4));
        let first = slots.take().await;
        let _second = slots.take().await;

        let third = tokio::time::timeout(std::time::Duration::from_millis(20), slots.take()).await;
        assert!(third.is_err());
        drop(first);
        assert!(slots.take().await.is_some());
    }
}
