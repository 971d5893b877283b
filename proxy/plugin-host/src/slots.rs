//! How many instances of a plugin may live at once: each use has its bound, and a
//! share of the engine's pool that no other use can take.
//!
//! ```text
//! pool: all places ─┬─ half, shared out among the uses of the newest configuration
//!                   └─ half, for whoever needs it
//! ```
//!
//! Uses outlive configurations, so the pool is the engine's, and the shares are given out
//! anew with each. While uses of an older one end, shares may be more than their half:
//! then whoever is late waits for any place at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of an engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    size: usize,
    all: Arc<Semaphore>,
    /// The half that belongs to nobody in particular.
    shared: Arc<Semaphore>,
}

/// The slots of one plugin use.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    bound: Arc<Semaphore>,
    reserve: Arc<Reserve>,
    pool: Pool,
}

/// Leave for one instance to live; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _bound: OwnedSemaphorePermit,
    _half: Half,
    _place: OwnedSemaphorePermit,
}

/// From which half of the pool a place is.
#[derive(Debug)]
enum Half {
    Shared { _place: OwnedSemaphorePermit },
    Reserved { _place: ReservedPlace },
}

/// The places of one use that nobody else can take.
#[derive(Debug)]
struct Reserve {
    size: Mutex<usize>,
    places: Arc<Semaphore>,
    /// Places that are in use and no longer part of the reserve.
    surplus: AtomicUsize,
}

/// A place of a reserve.
#[derive(Debug)]
struct ReservedPlace {
    reserve: Arc<Reserve>,
    place: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Of so many places.
    pub(crate) fn of(size: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Semaphore::new(size.div_ceil(2)));
        Self { size, all: Arc::new(Semaphore::new(size)), shared }
    }

    /// Gives each use of a configuration an equal share of half the pool.
    pub(crate) fn share_out<'a>(&self, uses: impl ExactSizeIterator<Item = &'a Slots>) {
        let share = (self.size / 2 / uses.len().max(1)).max(1);
        uses.for_each(|slots| slots.reserve.resize(share.min(slots.most)));
    }
}

impl Slots {
    /// At most `bound` instances, none of them guaranteed before places are shared out.
    pub(crate) fn new(bound: u32, pool: Pool) -> Self {
        let most = usize::try_from(bound).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        Self { most, bound: Arc::new(Semaphore::new(most)), reserve: Reserve::empty(), pool }
    }

    /// Waits for a slot.
    pub(crate) async fn take(&self) -> Option<Slot> {
        let bound = take(&self.bound).await?;
        let half = match self.reserve.places.clone().try_acquire_owned() {
            Ok(permit) => Half::reserved(&self.reserve, permit),
            // Whichever comes free first: waiting on one alone could starve.
            Err(_) => tokio::select! {
                biased;
                permit = self.reserve.places.clone().acquire_owned() => {
                    Half::reserved(&self.reserve, permit.ok()?)
                }
                permit = self.pool.shared.clone().acquire_owned() => {
                    Half::Shared { _place: permit.ok()? }
                }
            },
        };
        Some(Slot { _bound: bound, _half: half, _place: take(&self.pool.all).await? })
    }
}

async fn take(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    match places.clone().try_acquire_owned() {
        Ok(permit) => Some(permit),
        Err(_) => places.clone().acquire_owned().await.ok(),
    }
}

impl Half {
    fn reserved(reserve: &Arc<Reserve>, permit: OwnedSemaphorePermit) -> Self {
        Self::Reserved {
            _place: ReservedPlace { reserve: Arc::clone(reserve), place: Some(permit) },
        }
    }
}

impl Reserve {
    fn empty() -> Arc<Self> {
        Arc::new(Self {
            size: Mutex::new(0),
            places: Arc::new(Semaphore::new(0)),
            surplus: AtomicUsize::new(0),
        })
    }

    /// Grows or shrinks. Places in use that go are gone when they are given back.
    fn resize(&self, wanted: usize) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted > *size {
            let mut more = wanted - *size;
            while more > 0 && self.keep_one() {
                more -= 1;
            }
            self.places.add_permits(more);
        } else {
            let fewer = *size - wanted;
            let in_use = fewer - self.places.forget_permits(fewer);
            self.surplus.fetch_add(in_use, Ordering::AcqRel);
        }
        *size = wanted;
    }

    /// Takes one off the surplus; false where there is none.
    fn keep_one(&self) -> bool {
        let one_less = |surplus: usize| surplus.checked_sub(1);
        self.surplus.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok()
    }
}

impl Drop for ReservedPlace {
    fn drop(&mut self) {
        if let Some(place) = self.place.take()
            && self.reserve.keep_one()
        {
            place.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pool: &Pool, bounds: &[u32]) -> Vec<Slots> {
        let uses: Vec<Slots> =
            bounds.iter().map(|bound| Slots::new(*bound, pool.clone())).collect();
        pool.share_out(uses.iter());
        uses
    }

    async fn one(slots: &Slots) -> Option<Slot> {
        let patience = std::time::Duration::from_millis(20);
        tokio::time::timeout(patience, slots.take()).await.ok().flatten()
    }

    async fn all(slots: &Slots) -> Vec<Slot> {
        let mut held = Vec::new();
        while let Some(slot) = one(slots).await {
            held.push(slot);
        }
        held
    }

    #[tokio::test]
    async fn one_use_cannot_take_the_places_of_another() {
        let uses = of(&Pool::of(8), &[100, 100]);
        let [greedy, modest] = &uses[..] else { unreachable!() };

        let held = all(greedy).await;

        assert_eq!(held.len(), 6, "its two reserved places and the four that are shared");
        assert!(modest.take().await.is_some());
        assert!(modest.take().await.is_some());
    }

    #[tokio::test]
    async fn a_use_stays_within_its_bound() {
        let uses = of(&Pool::of(10), &[2]);
        let slots = &uses[0];
        let first = slots.take().await;
        let _second = slots.take().await;

        assert!(one(slots).await.is_none());
        drop(first);
        assert!(slots.take().await.is_some());
    }

    #[tokio::test]
    async fn uses_of_two_configurations_share_one_pool() {
        let pool = Pool::of(8);
        let [carried] = of(&pool, &[100]).try_into().unwrap();
        let mut held = all(&carried).await;
        assert_eq!(held.len(), 8, "alone, it may have all");

        // A reload: the one use is carried over, with its instances, beside a new one.
        let new = Slots::new(100, pool.clone());
        pool.share_out([&carried, &new].into_iter());
        assert!(one(&new).await.is_none(), "more places than the pool has");
        held.pop();
        let first = one(&new).await;
        assert!(first.is_some(), "a place that is free again");
        assert!(one(&carried).await.is_none() && one(&new).await.is_none());

        held.clear();
        let held = all(&carried).await;
        assert_eq!(held.len(), 6, "the rest of its reserve went when it was given back");
        let second = one(&new).await;
        assert!(first.is_some() && second.is_some() && one(&new).await.is_none());

        // Another: the new one is gone again.
        drop((first, second, new));
        pool.share_out([&carried].into_iter());
        assert_eq!(held.len() + all(&carried).await.len(), 8);
    }

    #[tokio::test]
    async fn a_reserve_that_grows_before_it_has_shrunk_is_as_before() {
        let pool = Pool::of(8);
        let uses = of(&pool, &[100]);
        let held = all(&uses[0]).await;

        let others: Vec<Slots> = (0..3).map(|_| Slots::new(100, pool.clone())).collect();
        pool.share_out(uses.iter().chain(&others).collect::<Vec<_>>().into_iter());
        pool.share_out(uses.iter());
        drop((held, others));

        assert_eq!(all(&uses[0]).await.len(), 8);
    }
}
