//! The engine: one for serving, its clock of epochs, and what it may use in all.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use wasmtime::component::Linker;
use wasmtime::{
    CacheStore, Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use crate::capability::{Issuers, Stores, keyvalue};
use crate::clock::{Clock, Ticker};
use crate::code_cache::CodeCache;
use crate::component_source::Builtin;
use crate::credentials::CredentialSource;
use crate::slots::Pool;
use crate::state::State;

/// Instances that may live at once, of all plugins together. Four memory maps an
/// instance, and Linux allows a process 65,530.
const POOL_INSTANCES: u32 = 2_000;
/// Instances beside those, which describe and configure themselves.
const LOADING_INSTANCES: u32 = 16;
/// Linear memory that any budget may name, in bytes.
const POOL_MEMORY_BYTES: usize = 1 << 30;
/// Written pages of an instance that stay mapped for the next one: with the scan of
/// the page map, a fresh instance costs a third of what it costs without.
const RESIDENT_BYTES: usize = 2 << 20;
/// Bytes of machine code kept for incremental compilation.
const INCREMENTAL_BYTES: u64 = 256 << 20;

/// How an engine is started.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// Where compiled code is kept between starts; `None` keeps none.
    pub cache_directory: Option<PathBuf>,
    /// Components that are part of the program: name and bytes.
    pub builtins: Vec<(&'static str, &'static [u8])>,
    /// Where plugins that are granted `credentials` find them; `None` refuses to load
    /// such plugins.
    pub credentials: Option<Arc<dyn CredentialSource>>,
}

/// Why an engine cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine refuses what the engine needs.
    #[error("the WebAssembly engine cannot start")]
    Engine(#[source] wasmtime::Error),
    /// The clock's thread cannot be started.
    #[error("the engine's clock cannot start")]
    Clock(#[source] std::io::Error),
    /// The cache directory cannot be used safely.
    #[error("the code cache cannot be used")]
    Cache(#[from] crate::code_cache::CacheProblem),
}

/// Compiles and runs components. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Runs what serves.
    pub(crate) serving: wasmtime::Engine,
    /// What every guest can reach on the serving engine.
    pub(crate) linker: Linker<State>,
    /// Runs instrumented components while an image is taken.
    pub(crate) imaging: wasmtime::Engine,
    /// The same for the imaging engine.
    pub(crate) imaging_linker: Linker<State>,
    /// How many instances may serve at once.
    pub(crate) pool: Pool,
    /// What plugin uses remember.
    pub(crate) stores: Stores,
    /// Whose keys are fetched.
    pub(crate) issuers: Issuers,
    /// Compiled code, on disk and in memory.
    pub(crate) code: CodeCache,
    /// The components of the program itself.
    pub(crate) builtins: Vec<Builtin>,
    /// Ticks the epochs of both engines while guests run.
    ticker: Ticker,
    /// The operator's store of credentials.
    pub(crate) credentials: Option<Arc<dyn CredentialSource>>,
}

impl Engine {
    /// Starts the engine and its clock.
    pub fn start(settings: EngineSettings) -> Result<Self, EngineError> {
        let serving = wasmtime::Engine::new(&serving_config()?).map_err(EngineError::Engine)?;
        let imaging = wasmtime::Engine::new(&imaging_config()).map_err(EngineError::Engine)?;
        let inner = Inner {
            linker: linker(&serving).map_err(EngineError::Engine)?,
            imaging_linker: linker(&imaging).map_err(EngineError::Engine)?,
            pool: Pool::of(usize::try_from(POOL_INSTANCES).unwrap_or(usize::MAX)),
            stores: Stores::default(),
            issuers: Issuers::default(),
            code: CodeCache::open(settings.cache_directory, &serving)?,
            builtins: settings.builtins.into_iter().map(Builtin::new).collect(),
            ticker: start_clock(&serving, &imaging)?,
            credentials: settings.credentials,
            serving,
            imaging,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The names of the plugins that are part of the program.
    pub fn builtin_names(&self) -> impl Iterator<Item = &'static str> {
        self.inner.builtins.iter().map(|builtin| builtin.name)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Components compiled, and components found compiled on disk, since the start.
    pub fn compile_counts(&self) -> (u64, u64) {
        self.inner.code.counts()
    }
}

impl Inner {
    /// What has to know of every guest that runs.
    pub(crate) fn clock(&self) -> &Clock {
        self.ticker.clock()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("cache", &self.inner.code).finish_non_exhaustive()
    }
}

fn serving_config() -> Result<Config, EngineError> {
    let instances = POOL_INSTANCES + LOADING_INSTANCES;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 4)
        .total_memories(instances)
        .total_tables(instances * 4)
        .total_stacks(instances)
        .max_memories_per_component(2)
        .max_tables_per_component(8)
        .max_core_instances_per_component(16)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(100_000)
        .max_memory_size(POOL_MEMORY_BYTES)
        .linear_memory_keep_resident(RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .max_unused_warm_slots(200)
        .pagemap_scan(Enabled::Auto);
    let mut config = common_config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
        .enable_incremental_compilation(Arc::new(IncrementalStore::of(INCREMENTAL_BYTES)))
        .map_err(EngineError::Engine)?;
    Ok(config)
}

fn imaging_config() -> Config {
    let mut config = common_config();
    config.cranelift_opt_level(OptLevel::None);
    config
}

fn common_config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config
}

fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    use crate::abi::imports::{credentials, crypto, keys, log, secrets};
    use wasmtime::component::HasSelf;
    use wasmtime_wasi::p2::bindings::random::insecure_seed;

    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    insecure_seed::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    linker.allow_shadowing(false);
    log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    secrets::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    crypto::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    keys::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    credentials::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    // A component pays at its instantiation only for what it imports.
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    keyvalue::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Ticks both engines while guests run on them.
fn start_clock(
    serving: &wasmtime::Engine,
    imaging: &wasmtime::Engine,
) -> Result<Ticker, EngineError> {
    let (serving, imaging) = (serving.clone(), imaging.clone());
    let tick = move || {
        serving.increment_epoch();
        imaging.increment_epoch();
    };
    Ticker::start(tick).map_err(EngineError::Clock)
}

/// Machine code of single functions, so that an image compiles only what its
/// component did not already contain. What was not asked for the longest goes first.
#[derive(Debug)]
struct IncrementalStore(Cache<Vec<u8>, Arc<[u8]>>);

impl IncrementalStore {
    fn of(bytes: u64) -> Self {
        let weight = |key: &Vec<u8>, code: &Arc<[u8]>| {
            u32::try_from(key.len().saturating_add(code.len())).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().max_capacity(bytes).weigher(weight);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl CacheStore for IncrementalStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.0.get(key).map(|code| Cow::Owned(code.to_vec()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.0.insert(key.to_vec(), value.into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_not_asked_for_makes_room() {
        let store = IncrementalStore::of(100);
        for number in 0..30 {
            assert!(store.insert(&[number], vec![number; 9]));
            store.0.run_pending_tasks();
        }

        assert_eq!(store.get(&[29]).as_deref(), Some(&[29; 9][..]));
        assert_eq!(store.get(&[0]), None);
        assert!(store.0.weighted_size() <= 100);
    }
}
