//! One call of a plugin, within its budget: breaker, slot, instance, deadline.

use std::time::Instant;

use portcullis_pipeline::{PluginFault, View};
use wasmtime::Trap;

use crate::abi::exports::authorizer::Denial;
use crate::breaker::ClientId;
use crate::instance::{Configured, Instance, RoleAnswer, RoleCall};
use crate::plugin_use::LoadedUse;
use crate::slots::Slot;
use crate::state::{Moment, Spent, State};

/// What a call may carry to the host beside its answer: arguments of host calls.
pub(crate) const HOSTCALL_FUEL_MARGIN: usize = 64 << 10;

/// An instance in use, with the slot it lives in.
pub(crate) struct Occupied {
    pub(crate) instance: Instance,
    /// Held for as long as the instance lives, idle or not.
    pub(crate) _slot: Slot,
}

impl LoadedUse {
    /// Calls a role about the request of a view, and keeps the books: breaker, metrics.
    pub(crate) async fn call(
        &self,
        call: RoleCall,
        view: &View<'_>,
    ) -> Result<RoleAnswer, PluginFault> {
        let (client, started) = (ClientId::from(view.client()), Instant::now());
        if !self.keeping.breaker.lets_through(client, started) {
            self.metrics.faulted(&PluginFault::BreakerOpen);
            return Err(PluginFault::BreakerOpen);
        }
        let outcome = self.call_in_a_slot(&call, view.time_ms()).await.and_then(decided);
        let ended = Instant::now();
        match &outcome {
            Ok(_) => self.keeping.breaker.answered(client, ended),
            // A full house is no sign of a broken plugin.
            Err(PluginFault::Busy) => {}
            Err(_) => self.keeping.breaker.faulted(client, ended),
        }
        self.metrics.called(ended.saturating_duration_since(started));
        if let Err(fault) = &outcome {
            self.metrics.faulted(fault);
        }
        outcome
    }

    async fn call_in_a_slot(
        &self,
        call: &RoleCall,
        time_ms: u64,
    ) -> Result<RoleAnswer, PluginFault> {
        let deadline = self.shared.budget.wall_time;
        if let Some(mut occupied) = self.keeping.idle.pop() {
            let answer = tokio::time::timeout(
                deadline,
                self.call_instance(&mut occupied.instance, call, time_ms),
            );
            let answer = answer.await.unwrap_or(Err(PluginFault::WallTime))?;
            self.give_back(occupied);
            return Ok(answer);
        }
        // Boxed, for its future is large and an instance that waits needs none of it.
        Box::pin(self.call_in_a_new_instance(call, time_ms)).await
    }

    async fn call_in_a_new_instance(
        &self,
        call: &RoleCall,
        time_ms: u64,
    ) -> Result<RoleAnswer, PluginFault> {
        let deadline = self.shared.budget.wall_time;
        let slot = match tokio::time::timeout(deadline, self.keeping.slots.take()).await {
            Ok(Some(slot)) => slot,
            Ok(None) | Err(_) => return Err(PluginFault::Busy),
        };
        let fresh = async {
            let mut instance = self.start(time_ms).await?;
            let answer = self.call_instance(&mut instance, call, time_ms).await?;
            Ok((answer, instance))
        };
        let (answer, instance) =
            tokio::time::timeout(deadline, fresh).await.unwrap_or(Err(PluginFault::WallTime))?;
        self.give_back(Occupied { instance, _slot: slot });
        Ok(answer)
    }

    async fn call_instance(
        &self,
        instance: &mut Instance,
        call: &RoleCall,
        time_ms: u64,
    ) -> Result<RoleAnswer, PluginFault> {
        State::begin(&mut instance.store, Moment::Serving, time_ms);
        let outcome = instance.call(call).await;
        self.metrics.memory(instance.store.data().memory_high_water());
        outcome.map_err(|error| fault(&instance.store, &error))
    }

    /// Makes a configured instance.
    async fn start(&self, time_ms: u64) -> Result<Instance, PluginFault> {
        let prepared = self.prepared.load_full();
        let mut store = State::store(prepared.pre.engine(), &self.shared);
        State::begin(&mut store, Moment::Loading, time_ms);
        let started = Instance::start(&prepared, store).await;
        let mut instance = started.map_err(|error| PluginFault::Start(brief(&error)))?;
        self.metrics.started(prepared.configured);
        if prepared.configured == Configured::PerInstance {
            State::begin(&mut instance.store, Moment::Loading, time_ms);
            match instance.configure(&self.settings).await {
                Ok(Ok(_)) => {}
                Ok(Err(refused)) => return Err(PluginFault::Start(refused.message)),
                Err(error) => return Err(fault(&instance.store, &error)),
            }
        }
        Ok(instance)
    }

    /// Keeps an instance for the next request, where the isolation allows it.
    fn give_back(&self, occupied: Occupied) {
        if occupied.instance.served < self.keeping.reuse {
            // A full queue drops the instance, which is as good as any other way.
            drop(self.keeping.idle.push(occupied));
        }
    }
}

/// Turns an answer that is none into the fault that it is.
fn decided(answer: RoleAnswer) -> Result<RoleAnswer, PluginFault> {
    match answer {
        RoleAnswer::Authorized(Err(Denial::Unavailable(why))) => {
            Err(PluginFault::Unavailable(why.code))
        }
        answer => Ok(answer),
    }
}

/// Says in the pipeline's words why a call did not come back with an answer.
pub(crate) fn fault(store: &wasmtime::Store<State>, error: &wasmtime::Error) -> PluginFault {
    let state = store.data();
    if state.out_of_time() == Spent::Yes {
        return PluginFault::CpuTime;
    }
    if state.memory_refused() == Spent::Yes {
        return PluginFault::Memory;
    }
    // The engine has no type for this error; its words are pinned by a test.
    if format!("{error:#}").contains("fuel allocated for hostcalls has been exhausted") {
        return PluginFault::Output { limit: state.shared.budget.output_bytes };
    }
    let what = match (error.downcast_ref::<Trap>(), error.downcast_ref::<wasmtime_wasi::I32Exit>())
    {
        (Some(trap), _) => trap.to_string(),
        (None, Some(exit)) => exit.to_string(),
        (None, None) => brief(error),
    };
    let last_words = state.last_words();
    PluginFault::Trap(if last_words.is_empty() { what } else { format!("{what}: {last_words}") })
}

/// An error's causes on one line, cut to what a log line can hold.
fn brief(error: &wasmtime::Error) -> String {
    let line: String =
        format!("{error:#}").chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
    line.chars().take(500).collect()
}
