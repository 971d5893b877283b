//! A configured use of a plugin, loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;
use http::HeaderValue;
use portcullis_config::{IdentitySource, OnFault, Role};
use portcullis_pipeline::{
    AuthorizerAnswer, CacheUse, Call, Grant, LimiterCharge, PluginFault, Reads, RequestOutcome,
    ResponseCall, ResponseOutcome, Unidentified, Violation,
};

use crate::abi;
use crate::abi::imports::types::Request;
use crate::breaker::Breaker;
use crate::call::Occupied;
use crate::code_cache::Digest;
use crate::component_source::ComponentOrigin;
use crate::engine::Engine;
use crate::identity;
use crate::instance::{Configured, Prepared, RoleAnswer, RoleCall};
use crate::load::PlannedLimit;
use crate::metrics::{BreakerReading, DecisionKind, ImageState, UseMetrics, UseReading};
use crate::result_cache::{Asking, NoGrant, ResultCache};
use crate::shared::UseShared;
use crate::slots::Slots;

/// A plugin use, ready to be called.
pub(crate) struct LoadedUse {
    /// Its names: of the use, and of the plugin.
    pub(crate) names: Names,
    /// What it was made of; equal fingerprints are the same use.
    pub(crate) fingerprint: Digest,
    /// Where its component was found, when it was loaded.
    pub(crate) origin: ComponentOrigin,
    /// The digests of its code in the cache: of its component, then of its image.
    pub(crate) code: Vec<Digest>,
    /// What its instances share.
    pub(crate) shared: Arc<UseShared>,
    /// The settings, for instances that are configured one by one.
    pub(crate) settings: String,
    /// What instances are made of; replaced when the image is ready.
    pub(crate) prepared: ArcSwap<Prepared>,
    /// Whether an image is being made, or waits for that.
    pub(crate) image_pending: AtomicBool,
    /// What each role reads.
    pub(crate) reads: Vec<(Role, Reads)>,
    /// How clients may identify themselves to it.
    pub(crate) challenge: Option<HeaderValue>,
    /// Paths that it answers GET requests for itself.
    pub(crate) answers: Vec<String>,
    /// The limits it charges requests to, as a limiter.
    pub(crate) limits: Vec<PlannedLimit>,
    /// How an instance is chosen and kept.
    pub(crate) keeping: Keeping,
    /// What happens to the request when it faults.
    pub(crate) on_fault: OnFault,
    /// Earlier answers, where they may be kept.
    pub(crate) cache: Option<ResultCache>,
    /// What a request must have for it to be asked.
    pub(crate) identity_sources: Vec<IdentitySource>,
    /// What it did.
    pub(crate) metrics: UseMetrics,
}

/// The names of a plugin use.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// In the configuration.
    pub(crate) name: String,
    /// Of the plugin.
    pub(crate) plugin: String,
}

/// How instances of a use are bounded, reused and taken out of the path.
pub(crate) struct Keeping {
    /// Requests an instance may serve.
    pub(crate) reuse: u32,
    /// Instances that wait for their next request.
    pub(crate) idle: ArrayQueue<Occupied>,
    /// How many may live.
    pub(crate) slots: Slots,
    /// Takes clients, and the use, out of the path after repeated faults.
    pub(crate) breaker: Breaker,
}

impl LoadedUse {
    /// What a request lacks for the authorizer to be asked about it.
    pub(crate) fn lacking(&self, call: Call<'_>) -> Option<Unidentified> {
        let lacking = identity::check(&self.identity_sources, &call.view).err();
        if lacking.is_some() {
            self.metrics.decided(DecisionKind::Refused);
        }
        lacking
    }

    /// Asks the authorizer, or finds its earlier answer.
    pub(crate) async fn authorize(&self, call: Call<'_>) -> AuthorizerAnswer {
        // Read before the plugin consults anything, so that an answer made of what is
        // out of date is not found later.
        let generation = self.shared.generation();
        let cached = self.cache.as_ref().and_then(|cache| {
            let reads = self.reads(Role::Authorizer);
            let argument = call.target.argument.as_deref();
            Some((cache, cache.key(&call.view, Asking { reads, argument, generation })?))
        });
        let (answer, use_) = match cached {
            None => (self.ask(call).await, CacheUse::Called),
            Some((cache, key)) => {
                let (answer, use_) = cache.get_or(key, now_ms, self.ask(call)).await;
                (answer.map(|grant| Grant::clone(&grant)), use_)
            }
        };
        self.metrics.decided(match (&answer, use_) {
            (_, CacheUse::Hit) => DecisionKind::Cached,
            (Ok(_), CacheUse::Called) => DecisionKind::Allowed,
            (Err(_), CacheUse::Called) => DecisionKind::Refused,
        });
        match answer {
            Ok(grant) => Ok((Ok(grant), use_)),
            Err(NoGrant::Denied(denial)) => Ok((Err(denial), use_)),
            Err(NoGrant::Fault(fault)) => Err(fault),
        }
    }

    async fn ask(&self, call: Call<'_>) -> Result<Grant, NoGrant> {
        let request = self.request(&call, Role::Authorizer);
        let answer = match self.call(RoleCall::Authorize(request), &call.view).await {
            Ok(RoleAnswer::Authorized(answer)) => {
                abi::authorizer_answer(answer, self.shared.credentials())
            }
            Ok(_) => Err(wrong_answer()),
            Err(fault) => Err(fault),
        };
        answer.map_err(NoGrant::Fault)?.map_err(NoGrant::Denied)
    }

    /// Asks the validator.
    pub(crate) async fn validate(&self, call: Call<'_>) -> Result<Vec<Violation>, PluginFault> {
        let request = self.request(&call, Role::Validator);
        match self.call(RoleCall::Validate(request), &call.view).await? {
            RoleAnswer::Validated(found) => {
                let kind =
                    if found.is_empty() { DecisionKind::Allowed } else { DecisionKind::Refused };
                self.metrics.decided(kind);
                Ok(abi::violations(found))
            }
            _ => Err(wrong_answer()),
        }
    }

    /// Asks the limiter.
    pub(crate) async fn charge(&self, call: Call<'_>) -> Result<Vec<LimiterCharge>, PluginFault> {
        let request = self.request(&call, Role::Limiter);
        match self.call(RoleCall::Charge(request), &call.view).await? {
            RoleAnswer::Charged(charges) => {
                self.metrics.decided(DecisionKind::Allowed);
                abi::charges(charges, &self.limits)
            }
            _ => Err(wrong_answer()),
        }
    }

    /// Asks the request-transform.
    pub(crate) async fn transform_request(
        &self,
        call: Call<'_>,
    ) -> Result<RequestOutcome, PluginFault> {
        let request = self.request(&call, Role::RequestTransform);
        match self.call(RoleCall::TransformRequest(request), &call.view).await? {
            RoleAnswer::RequestTransformed(outcome) => {
                let outcome = abi::request_outcome(outcome)?;
                self.metrics.decided(match &outcome {
                    RequestOutcome::Edit(_) => DecisionKind::Allowed,
                    RequestOutcome::Respond(_) => DecisionKind::Refused,
                });
                Ok(outcome)
            }
            _ => Err(wrong_answer()),
        }
    }

    /// Asks the response-transform.
    pub(crate) async fn transform_response(
        &self,
        call: ResponseCall<'_>,
    ) -> Result<ResponseOutcome, PluginFault> {
        let request = self.request(&call.request, Role::ResponseTransform);
        let response = abi::response(&call, self.reads(Role::ResponseTransform));
        let view = &call.request.view;
        match self.call(RoleCall::TransformResponse(request, response), view).await? {
            RoleAnswer::ResponseTransformed(outcome) => {
                let outcome = abi::response_outcome(outcome)?;
                self.metrics.decided(match &outcome {
                    ResponseOutcome::Edit(_) => DecisionKind::Allowed,
                    ResponseOutcome::Replace(_) => DecisionKind::Refused,
                });
                Ok(outcome)
            }
            _ => Err(wrong_answer()),
        }
    }

    /// What a role reads; nothing, where the plan does not name the role, which
    /// loading refuses.
    pub(crate) fn reads(&self, role: Role) -> &Reads {
        static NOTHING: std::sync::LazyLock<Reads> = std::sync::LazyLock::new(Reads::default);
        self.reads.iter().find(|(planned, _)| *planned == role).map_or(&NOTHING, |(_, reads)| reads)
    }

    /// Reads the counters.
    pub(crate) fn reading(&self) -> UseReading {
        let http = self.shared.http().map(|client| client.counts());
        let (http_calls, http_refused) = http.unwrap_or_default();
        UseReading {
            http_calls,
            http_refused,
            image: self.image(),
            log_lines: self.shared.log.counts(),
            breaker: BreakerReading {
                is_open: self.keeping.breaker.is_open(),
                times_opened: self.keeping.breaker.times_opened(),
                clients_refused: self.keeping.breaker.clients_refused(),
            },
            ..self.metrics.reading(&self.names.name, &self.names.plugin)
        }
    }

    fn image(&self) -> ImageState {
        // In this order: one that ends in between is seen as ready.
        let is_pending = self.image_pending.load(Ordering::Acquire);
        match self.prepared.load().configured {
            Configured::InImage => ImageState::Ready,
            Configured::PerInstance if is_pending => ImageState::Pending,
            Configured::PerInstance => ImageState::None,
        }
    }

    fn request(&self, call: &Call<'_>, role: Role) -> Request {
        let request = abi::request(&call.view, self.reads(role), call.target.argument.as_deref());
        self.metrics.read(abi::size(&request));
        request
    }
}

/// The machine's time, in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn wrong_answer() -> PluginFault {
    PluginFault::BadAnswer("the answer of another role".to_owned())
}

/// Swaps in an image of a configured instance, once it is made.
pub(crate) fn serve_from_image(
    loaded: &LoadedUse,
    engine: &Engine,
    image: &wasmtime::component::Component,
) {
    let inner = engine.inner();
    match Prepared::link(&inner.linker, image, Configured::InImage, inner.clock()) {
        Ok(prepared) => loaded.prepared.store(prepared),
        Err(problem) => {
            tracing::warn!(use_ = loaded.names.name, %problem, "the image cannot be linked")
        }
    }
}
