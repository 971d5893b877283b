//! What keeps keys and values; today the memory of this process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use portcullis_config::KeyValueGrant;

/// What keeping a key costs beside its bytes and those of its value.
const KEY_COST: usize = 128;
/// Keys listed at a time.
const PAGE: usize = 1000;

/// Keeps keys and values for one plugin use. Another process may stand behind it.
#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// The value of a key.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreProblem>;
    /// Sets a value, if there is room.
    async fn set(&self, key: String, value: Bytes, room: Room) -> Result<(), StoreProblem>;
    /// Forgets a key.
    async fn delete(&self, key: &str) -> Result<(), StoreProblem>;
    /// Adds to a counter, which is its decimal digits, and answers what it is now.
    async fn increment(&self, key: String, by: u64, room: Room) -> Result<u64, StoreProblem>;
    /// Some of the keys, and where the next ones begin.
    async fn keys(&self, from: u64) -> Result<(Vec<String>, Option<u64>), StoreProblem>;
}

/// How much a store may hold. It belongs to the use and not to the store, so that a
/// configuration that is refused has changed nothing.
pub(crate) type Room = KeyValueGrant;

/// Why a store did not do as it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreProblem {
    /// Its bytes are used up.
    #[error("the store is full: {0} bytes are granted")]
    Full(usize),
    /// Its keys are used up.
    #[error("the store is full: {0} keys are granted")]
    ManyKeys(usize),
    /// A counter was to be counted that is none.
    #[error("the value is no number, so it cannot be incremented")]
    NoCounter,
    /// A counter has come to its end.
    #[error("the counter cannot count that far")]
    Overflow,
}

/// The stores of all plugin uses, by kind and name. A store lives as long as a use of
/// its name does, so it survives a reload, during which there are two.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    by_use: Mutex<HashMap<String, Weak<Memory>>>,
}

impl Stores {
    /// The store of this name.
    pub(crate) fn open(&self, name: String) -> Arc<dyn Store> {
        let mut by_use = self.by_use.lock().unwrap_or_else(PoisonError::into_inner);
        by_use.retain(|_, store| store.strong_count() > 0);
        if let Some(store) = by_use.get(&name).and_then(Weak::upgrade) {
            return store;
        }
        let store = Arc::new(Memory::default());
        by_use.insert(name, Arc::downgrade(&store));
        store
    }
}

/// Keys and values in this process's memory.
#[derive(Default)]
struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    values: BTreeMap<String, Bytes>,
    bytes: usize,
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn set(&mut self, key: String, value: Bytes, room: Room) -> Result<(), StoreProblem> {
        let before = self.values.get(&key).map(|value| cost(&key, value));
        let others = self.bytes - before.unwrap_or(0);
        let bytes = others.saturating_add(cost(&key, &value));
        if bytes > room.size_bytes {
            return Err(StoreProblem::Full(room.size_bytes));
        }
        if before.is_none() && self.values.len() >= room.keys {
            return Err(StoreProblem::ManyKeys(room.keys));
        }
        self.bytes = bytes;
        self.values.insert(key, value);
        Ok(())
    }
}

fn cost(key: &str, value: &Bytes) -> usize {
    KEY_COST + key.len() + value.len()
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreProblem> {
        Ok(self.kept().values.get(key).cloned())
    }

    async fn set(&self, key: String, value: Bytes, room: Room) -> Result<(), StoreProblem> {
        self.kept().set(key, value, room)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreProblem> {
        let mut kept = self.kept();
        if let Some(value) = kept.values.remove(key) {
            kept.bytes -= cost(key, &value);
        }
        Ok(())
    }

    async fn increment(&self, key: String, by: u64, room: Room) -> Result<u64, StoreProblem> {
        let mut kept = self.kept();
        let before = match kept.values.get(&key) {
            Some(value) => std::str::from_utf8(value)
                .ok()
                .and_then(|digits| digits.parse::<u64>().ok())
                .ok_or(StoreProblem::NoCounter)?,
            None => 0,
        };
        let after = before.checked_add(by).ok_or(StoreProblem::Overflow)?;
        kept.set(key, after.to_string().into(), room)?;
        Ok(after)
    }

    async fn keys(&self, from: u64) -> Result<(Vec<String>, Option<u64>), StoreProblem> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let kept = self.kept();
        let keys: Vec<String> = kept.values.keys().skip(from).take(PAGE).cloned().collect();
        let end = from.saturating_add(keys.len());
        let more = end < kept.values.len() && !keys.is_empty();
        Ok((keys, more.then_some(end as u64)))
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What plugins remember is theirs.
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { size_bytes: 1000, keys: 3 };

    fn store() -> Arc<dyn Store> {
        Stores::default().open("a".to_owned())
    }

    #[tokio::test]
    async fn what_is_full_says_so_and_keeps_what_it_has() {
        let store = store();
        let set = async |key: &str, bytes: usize| {
            store.set(key.to_owned(), vec![0; bytes].into(), ROOM).await
        };

        assert_eq!(set("a", 500).await, Ok(()));
        assert_eq!(set("b", 500).await, Err(StoreProblem::Full(1000)));
        assert_eq!(set("a", 871).await, Ok(()), "its own place is free for it");
        assert_eq!(set("a", 872).await, Err(StoreProblem::Full(1000)));
        assert_eq!(store.get("a").await.unwrap().unwrap().len(), 871);
        store.delete("a").await.unwrap();
        for key in ["a", "b", "c"] {
            assert_eq!(set(key, 1).await, Ok(()));
        }
        assert_eq!(set("d", 1).await, Err(StoreProblem::ManyKeys(3)));
        assert_eq!(set("c", 2).await, Ok(()));
    }

    #[tokio::test]
    async fn a_counter_counts() {
        let store = store();
        let count = async |key: &str, by| store.increment(key.to_owned(), by, ROOM).await;

        assert_eq!((count("a", 2).await, count("a", 3).await), (Ok(2), Ok(5)));
        assert_eq!(store.get("a").await.unwrap().unwrap(), "5");
        assert_eq!(count("a", u64::MAX).await, Err(StoreProblem::Overflow));
        store.set("b".to_owned(), "x".into(), ROOM).await.unwrap();
        assert_eq!(count("b", 1).await, Err(StoreProblem::NoCounter));
    }

    #[tokio::test]
    async fn keys_are_listed_page_by_page() {
        let store = store();
        let room = Room { size_bytes: 1 << 20, keys: 5000 };
        for key in 0..1500 {
            store.set(format!("{key:04}"), Bytes::new(), room).await.unwrap();
        }

        let (first, next) = store.keys(0).await.unwrap();
        let (second, end) = store.keys(next.unwrap()).await.unwrap();

        assert_eq!((first.len(), second.len(), end), (1000, 500, None));
        assert_eq!((second[0].as_str(), second[499].as_str()), ("1000", "1499"));
        assert_eq!(store.keys(u64::MAX).await, Ok((Vec::new(), None)));
    }

    #[tokio::test]
    async fn a_store_lives_as_long_as_a_use_of_its_name() {
        let stores = Stores::default();
        let before = stores.open("a".to_owned());
        before.set("k".to_owned(), "v".into(), ROOM).await.unwrap();

        let after = stores.open("a".to_owned());
        let other = stores.open("b".to_owned());
        drop(before);

        assert_eq!(after.get("k").await.unwrap().unwrap(), "v");
        assert_eq!(other.get("k").await, Ok(None));
        drop(after);
        assert_eq!(stores.open("a".to_owned()).get("k").await, Ok(None));
    }
}
