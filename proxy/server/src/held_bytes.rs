//! How many bytes of bodies the whole process may hold at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes now held, over all exchanges and configurations.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldBytes {
    used: Arc<AtomicU64>,
}

/// Room taken from [`HeldBytes`]; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    held: HeldBytes,
    limit: u64,
    bytes: u64,
}

/// Nothing is left to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("as many bytes as may be held are held already")]
pub(crate) struct NoRoom;

impl HeldBytes {
    /// Room for nothing yet, under a limit for the whole process.
    pub(crate) fn room(&self, limit: u64) -> Room {
        Room { held: self.clone(), limit, bytes: 0 }
    }

    /// The bytes now held.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Room {
    /// The bytes that room was taken for.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes room for more bytes.
    pub(crate) fn take(&mut self, more: u64) -> Result<(), NoRoom> {
        let before = self.held.used.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.limit {
            self.held.used.fetch_sub(more, Ordering::Relaxed);
            return Err(NoRoom);
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.held.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back() {
        let held = HeldBytes::default();
        let mut first = held.room(10);
        let mut second = held.room(10);
        assert_eq!(first.take(6), Ok(()));
        assert_eq!(second.take(5), Err(NoRoom));
        assert_eq!(second.take(4), Ok(()));
        assert_eq!(held.used(), 10);
        drop(first);
        assert_eq!(second.take(6), Ok(()));
        drop(second);
        assert_eq!(held.used(), 0);
    }
}
