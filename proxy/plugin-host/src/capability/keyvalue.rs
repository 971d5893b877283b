//! `wasi:keyvalue`: what a plugin use remembers from one call to another, for all its
//! instances together.

mod store;

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::state::State;

pub(crate) use store::{Room, Store, Stores};

use bindings::wasi::keyvalue::store::{Error, Host, HostBucket, KeyResponse};
use bindings::wasi::keyvalue::{atomics, batch};

/// What wit-bindgen makes of `wit/keyvalue`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; which lints it trips changes with the generator"
)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/keyvalue",
        world: "imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
    });
}

/// A plugin use's store, and how much of it is granted.
#[derive(Debug, Clone)]
pub(crate) struct KeyValue {
    /// Where it keeps things.
    pub(crate) store: Arc<dyn Store>,
    /// How much it may keep.
    pub(crate) room: Room,
}

/// A guest's handle on the one store it has.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket(KeyValue);

/// Lets guests reach their stores.
pub(crate) fn add_to_linker(
    linker: &mut wasmtime::component::Linker<State>,
) -> wasmtime::Result<()> {
    use wasmtime::component::HasSelf;

    bindings::wasi::keyvalue::store::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    atomics::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    batch::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl From<store::StoreProblem> for Error {
    fn from(problem: store::StoreProblem) -> Self {
        Self::Other(problem.to_string())
    }
}

impl State {
    /// What stands behind a handle.
    fn bucket(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<KeyValue> {
        Ok(self.table.get(bucket)?.0.clone())
    }
}

impl Host for State {
    /// There is one store, by either of the names that are usual for it.
    async fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        let Some(granted) = self.keyvalue().cloned() else {
            return Ok(Err(Error::AccessDenied));
        };
        Ok(match identifier.as_str() {
            "" | "default" => Ok(self.table.push(Bucket(granted))?),
            _ => Err(Error::NoSuchStore),
        })
    }
}

impl HostBucket for State {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        let value = self.bucket(&bucket)?.store.get(&key).await;
        Ok(value.map(|value| value.map(Vec::from)).map_err(Error::from))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        let KeyValue { store, room } = self.bucket(&bucket)?;
        Ok(store.set(key, value.into(), room).await.map_err(Error::from))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        Ok(self.bucket(&bucket)?.store.delete(&key).await.map_err(Error::from))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        let value = self.bucket(&bucket)?.store.get(&key).await;
        Ok(value.map(|value| value.is_some()).map_err(Error::from))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Answer<KeyResponse> {
        let page = self.bucket(&bucket)?.store.keys(cursor.unwrap_or(0)).await;
        Ok(page.map(|(keys, cursor)| KeyResponse { keys, cursor }).map_err(Error::from))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for State {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, by: u64) -> Answer<u64> {
        let KeyValue { store, room } = self.bucket(&bucket)?;
        Ok(store.increment(key, by, room).await.map_err(Error::from))
    }
}

type Pair = (String, Vec<u8>);

impl batch::Host for State {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Answer<Vec<Option<Pair>>> {
        let KeyValue { store, .. } = self.bucket(&bucket)?;
        // One long value's key, many times, would fill the host's memory.
        let mut room = self.shared.budget.memory_bytes;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let value = match store.get(&key).await {
                Ok(value) => value,
                Err(problem) => return Ok(Err(problem.into())),
            };
            room = room.saturating_sub(value.as_ref().map_or(0, bytes::Bytes::len));
            if room == 0 {
                return Ok(Err(Error::Other("this is more than an instance can hold".to_owned())));
            }
            found.push(value.map(|value| (key, value.to_vec())));
        }
        Ok(Ok(found))
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, pairs: Vec<Pair>) -> Answer<()> {
        let KeyValue { store, room } = self.bucket(&bucket)?;
        for (key, value) in pairs {
            if let Err(problem) = store.set(key, value.into(), room).await {
                return Ok(Err(problem.into()));
            }
        }
        Ok(Ok(()))
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Answer<()> {
        let KeyValue { store, .. } = self.bucket(&bucket)?;
        for key in keys {
            if let Err(problem) = store.delete(&key).await {
                return Ok(Err(problem.into()));
            }
        }
        Ok(Ok(()))
    }
}
