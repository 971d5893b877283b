//! What belongs to one instance on the host's side.

use std::sync::Arc;

use portcullis_config::SecretGrant;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::p2::bindings::random::insecure_seed;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::capability::{HttpSide, InertWasi, IssuerKeySet, KeyValue};
use crate::credentials::CredentialSource;
use crate::shared::UseShared;

/// Entries a table of one instance may have.
const TABLE_ELEMENTS: usize = 100_000;
/// Handles one instance may hold at once.
const HANDLES: usize = 1_000;

/// The data of a store.
pub(crate) struct State {
    /// What all instances of the plugin use share.
    pub(crate) shared: Arc<UseShared>,
    /// The handles the guest holds.
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    inert: Arc<InertWasi>,
    /// Made for a call that has to do with HTTP, so that no other pays for it.
    http: Option<Box<HttpSide>>,
    memory: MemoryBound,
    ticks_left: u64,
    out_of_time: Spent,
    moment: Moment,
}

/// What the guest is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It runs `describe` or `configure`, where nothing is granted.
    Loading,
    /// It runs a role function.
    Serving,
    /// Its heap is read out.
    Snapshot,
}

/// CPU time of `describe` and `configure`, which compile schemas and the like.
const LOADING_TICKS: u64 = 20_000;
/// Bytes a plugin may say of itself while it is loaded.
const LOADING_FUEL: usize = 16 << 20;

/// Whether something was used: a call's CPU time, memory, randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    /// It was not.
    No,
    /// It was.
    Yes,
}

/// How much linear memory the instance may have, and what became of it.
#[derive(Debug)]
struct MemoryBound {
    bytes: usize,
    high_water: usize,
    refused: Spent,
}

impl State {
    /// A store for one instance of a use.
    pub(crate) fn store(engine: &wasmtime::Engine, shared: &Arc<UseShared>) -> Store<Self> {
        let (wasi, inert) = InertWasi::context(shared);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let state = Self {
            shared: shared.clone(),
            table,
            wasi,
            inert,
            http: None,
            memory: MemoryBound {
                bytes: shared.budget.memory_bytes,
                high_water: 0,
                refused: Spent::No,
            },
            ticks_left: 0,
            out_of_time: Spent::No,
            moment: Moment::Loading,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.memory);
        // Each tick of the epoch counts against the CPU budget and gives the thread
        // back, so that a busy guest never holds it.
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            if state.ticks_left == 0 {
                state.out_of_time = Spent::Yes;
                return Ok(UpdateDeadline::Interrupt);
            }
            state.ticks_left -= 1;
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }

    /// Readies a store for a call at this time, with its whole budget.
    pub(crate) fn begin(store: &mut Store<Self>, moment: Moment, time_ms: u64) {
        let budget = store.data().shared.budget;
        let state = store.data_mut();
        state.inert.begin(time_ms);
        state.moment = moment;
        state.http = None;
        let (ticks, fuel) = match moment {
            Moment::Loading => (LOADING_TICKS, LOADING_FUEL),
            Moment::Serving => {
                let ticks = u64::try_from(budget.cpu_time.as_millis()).unwrap_or(u64::MAX);
                (ticks, budget.output_bytes.saturating_add(crate::call::HOSTCALL_FUEL_MARGIN))
            }
            Moment::Snapshot => (u64::MAX, usize::MAX),
        };
        state.ticks_left = ticks;
        state.out_of_time = Spent::No;
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(fuel);
    }

    /// Whether the guest runs a role function, where it may use what is granted.
    pub(crate) fn is_serving(&self) -> bool {
        self.moment == Moment::Serving
    }

    /// A secret the guest may use now.
    pub(crate) fn secret(&self, name: &str) -> Option<&SecretGrant> {
        if self.moment == Moment::Serving { self.shared.secret(name) } else { None }
    }

    /// The keys of an issuer the guest may verify with now.
    pub(crate) fn issuer(&self, name: &str) -> Option<&IssuerKeySet> {
        if self.moment == Moment::Serving { self.shared.issuer(name) } else { None }
    }

    /// Where the guest may find credentials now.
    pub(crate) fn credentials(&self) -> Option<&dyn CredentialSource> {
        if self.moment == Moment::Serving { self.shared.credentials() } else { None }
    }

    /// What the guest may use now of what it remembers.
    pub(crate) fn keyvalue(&self) -> Option<&KeyValue> {
        if self.moment == Moment::Serving { self.shared.keyvalue() } else { None }
    }

    /// What the guest takes for the present.
    pub(crate) fn time_ms(&self) -> u64 {
        self.inert.time_ms()
    }

    /// Whether the last call was interrupted for its CPU time.
    pub(crate) fn out_of_time(&self) -> Spent {
        self.out_of_time
    }

    /// Whether the guest was refused memory.
    pub(crate) fn memory_refused(&self) -> Spent {
        self.memory.refused
    }

    /// The most linear memory the instance has had, in bytes.
    pub(crate) fn memory_high_water(&self) -> usize {
        self.memory.high_water
    }

    /// Whether the guest has drawn randomness.
    pub(crate) fn randomness(&self) -> Spent {
        if self.inert.random_used() { Spent::Yes } else { Spent::No }
    }

    /// Whether the guest holds a handle of the host.
    pub(crate) fn holds_handles(&self) -> bool {
        !self.table.is_empty()
    }

    /// The guest's last words on its standard streams.
    pub(crate) fn last_words(&self) -> String {
        self.inert.last_words()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// In the place of the engine's own, so that it is noticed as all randomness is.
impl insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.inert.use_random();
        self.wasi.random().insecure_seed()
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Self { shared, table, inert, http, moment, .. } = self;
        let side = http.get_or_insert_with(|| {
            let serving = *moment == Moment::Serving;
            let client = shared.http().filter(|_| serving).cloned();
            Box::new(HttpSide::new(shared, client, inert.time_ms()))
        });
        WasiHttpCtxView { hooks: &mut side.hooks, table, ctx: &mut side.context }
    }
}

impl ResourceLimiter for MemoryBound {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.bytes || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = Spent::Yes;
            return Ok(false);
        }
        self.high_water = self.high_water.max(desired);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Spent::Yes;
        Ok(())
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
