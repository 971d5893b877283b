//! One live instance of a plugin, and the calls its roles answer.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::abi::exports::{
    authorizer, lifecycle, limiter, request_transform, response_transform, validator,
};
use crate::abi::imports::types::{Request, Response};
use crate::clock::Clock;
use crate::state::State;

/// Where in a component its functions are; looked up once.
struct Exports {
    lifecycle: lifecycle::GuestIndices,
    authorizer: Option<authorizer::GuestIndices>,
    validator: Option<validator::GuestIndices>,
    request_transform: Option<request_transform::GuestIndices>,
    response_transform: Option<response_transform::GuestIndices>,
    limiter: Option<limiter::GuestIndices>,
}

impl Exports {
    /// Looks them up. A role the component does not export is absent.
    fn of(pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        Ok(Self {
            lifecycle: lifecycle::GuestIndices::new(pre)?,
            authorizer: authorizer::GuestIndices::new(pre).ok(),
            validator: validator::GuestIndices::new(pre).ok(),
            request_transform: request_transform::GuestIndices::new(pre).ok(),
            response_transform: response_transform::GuestIndices::new(pre).ok(),
            limiter: limiter::GuestIndices::new(pre).ok(),
        })
    }
}

/// A call of a role.
pub(crate) enum RoleCall {
    /// Of the authorizer.
    Authorize(Request),
    /// Of the validator.
    Validate(Request),
    /// Of the request-transform.
    TransformRequest(Request),
    /// Of the response-transform.
    TransformResponse(Request, Response),
    /// Of the limiter.
    Charge(Request),
}

/// A role's answer, as the guest gave it.
pub(crate) enum RoleAnswer {
    /// The authorizer's.
    Authorized(Result<authorizer::Grant, authorizer::Denial>),
    /// The validator's.
    Validated(Vec<validator::Violation>),
    /// The request-transform's.
    RequestTransformed(request_transform::Outcome),
    /// The response-transform's.
    ResponseTransformed(response_transform::Outcome),
    /// The limiter's.
    Charged(Vec<limiter::Charge>),
}

/// A component, linked and ready to be instantiated.
pub(crate) struct Prepared {
    /// What instances are made of.
    pub(crate) pre: InstancePre<State>,
    exports: Exports,
    /// Whether instances start configured.
    pub(crate) configured: Configured,
    /// Told of each call, so that it ticks meanwhile.
    clock: Clock,
}

/// How an instance comes to know its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Configured {
    /// The component is an image of a configured instance.
    InImage,
    /// Each instance runs `configure`.
    PerInstance,
}

impl Prepared {
    /// Links a component with what guests can reach.
    pub(crate) fn link(
        linker: &Linker<State>,
        component: &Component,
        configured: Configured,
        clock: &Clock,
    ) -> wasmtime::Result<Arc<Self>> {
        let pre = linker.instantiate_pre(component)?;
        Ok(Arc::new(Self { exports: Exports::of(&pre)?, pre, configured, clock: clock.clone() }))
    }
}

/// A live instance.
pub(crate) struct Instance {
    /// Its store.
    pub(crate) store: Store<State>,
    /// The wasmtime instance, for what is not a call of the contract.
    pub(crate) raw: wasmtime::component::Instance,
    /// Requests it has served.
    pub(crate) served: u32,
    prepared: Arc<Prepared>,
    roles: Roles,
}

/// The role functions that have been called, found and type-checked once.
#[derive(Default)]
struct Roles {
    authorizer: Option<authorizer::Guest>,
    validator: Option<validator::Guest>,
    request_transform: Option<request_transform::Guest>,
    response_transform: Option<response_transform::Guest>,
    limiter: Option<limiter::Guest>,
}

impl Instance {
    /// Makes an instance. It is not configured unless the component is an image.
    pub(crate) async fn start(
        prepared: &Arc<Prepared>,
        mut store: Store<State>,
    ) -> wasmtime::Result<Self> {
        let _running = prepared.clock.run();
        let raw = prepared.pre.instantiate_async(&mut store).await?;
        Ok(Self { store, raw, served: 0, prepared: prepared.clone(), roles: Roles::default() })
    }

    /// Calls `describe`.
    pub(crate) async fn describe(&mut self) -> wasmtime::Result<lifecycle::Descriptor> {
        let _running = self.prepared.clock.run();
        let guest = self.prepared.exports.lifecycle.load(&mut self.store, &self.raw)?;
        guest.call_describe(&mut self.store).await
    }

    /// Calls `configure`.
    pub(crate) async fn configure(
        &mut self,
        settings: &str,
    ) -> wasmtime::Result<Result<lifecycle::Plan, lifecycle::SettingsError>> {
        let _running = self.prepared.clock.run();
        let guest = self.prepared.exports.lifecycle.load(&mut self.store, &self.raw)?;
        guest.call_configure(&mut self.store, settings).await
    }

    /// Calls a role.
    pub(crate) async fn call(&mut self, call: &RoleCall) -> wasmtime::Result<RoleAnswer> {
        self.served = self.served.saturating_add(1);
        let Self { store, raw, prepared, roles, .. } = self;
        let exports = &prepared.exports;
        let _running = prepared.clock.run();
        match call {
            RoleCall::Authorize(request) => {
                let indices = exports.authorizer.as_ref();
                let load = |indices: &authorizer::GuestIndices| indices.load(&mut *store, raw);
                let guest = found(&mut roles.authorizer, indices, load)?;
                Ok(RoleAnswer::Authorized(guest.call_authorize(store, request).await?))
            }
            RoleCall::Validate(request) => {
                let indices = exports.validator.as_ref();
                let load = |indices: &validator::GuestIndices| indices.load(&mut *store, raw);
                let guest = found(&mut roles.validator, indices, load)?;
                Ok(RoleAnswer::Validated(guest.call_validate(store, request).await?))
            }
            RoleCall::TransformRequest(request) => {
                let indices = exports.request_transform.as_ref();
                let load =
                    |indices: &request_transform::GuestIndices| indices.load(&mut *store, raw);
                let guest = found(&mut roles.request_transform, indices, load)?;
                Ok(RoleAnswer::RequestTransformed(guest.call_transform(store, request).await?))
            }
            RoleCall::TransformResponse(request, response) => {
                let indices = exports.response_transform.as_ref();
                let load =
                    |indices: &response_transform::GuestIndices| indices.load(&mut *store, raw);
                let guest = found(&mut roles.response_transform, indices, load)?;
                let outcome = guest.call_transform(store, request, response).await?;
                Ok(RoleAnswer::ResponseTransformed(outcome))
            }
            RoleCall::Charge(request) => {
                let indices = exports.limiter.as_ref();
                let load = |indices: &limiter::GuestIndices| indices.load(&mut *store, raw);
                let guest = found(&mut roles.limiter, indices, load)?;
                Ok(RoleAnswer::Charged(guest.call_limit(store, request).await?))
            }
        }
    }
}

/// The role's functions, looked up at their first call.
fn found<'k, G, I>(
    kept: &'k mut Option<G>,
    indices: Option<&I>,
    load: impl FnOnce(&I) -> wasmtime::Result<G>,
) -> wasmtime::Result<&'k G> {
    let absent = || wasmtime::format_err!("the component does not export this role");
    if kept.is_none() {
        *kept = Some(load(indices.ok_or_else(absent)?)?);
    }
    kept.as_ref().ok_or_else(absent)
}
