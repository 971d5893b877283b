//! Loads plugin uses: find, check, compile, describe, configure, compare the plan
//! with the grants. Runs when a configuration is loaded, never on a request.

mod issuers;
mod limits;
mod plan;
mod problem;
mod streaming;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;
use portcullis_config::{Diagnostic, Diagnostics, Gateway, Isolation, PluginUse, Role};
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::abi::exports::lifecycle;
use crate::breaker::Breaker;
use crate::capability::{Clocks, KeyValue, Source, first_keys};
use crate::code_cache::Digest;
use crate::component_source::{ComponentFiles, ComponentOrigin, Found, find};
use crate::credentials::CredentialSource;
use crate::engine::Engine;
use crate::host::PluginHost;
use crate::image::{self, Drawn};
use crate::inspect::{CREDENTIALS, Surface, check_kind, surface};
use crate::instance::{Configured, Instance, Prepared};
use crate::metrics::UseMetrics;
use crate::plugin_use::{Keeping, LoadedUse, Names};
use crate::result_cache::ResultCache;
use crate::shared::{Opened, UseShared};
use crate::slots::{Pool, Slots};
use crate::state::{Moment, Spent, State};

pub(crate) use limits::PlannedLimit;
pub(crate) use plan::{Consent, Introduction, names_it, ungranted};
pub(crate) use problem::LoadProblem;

/// How long `describe` or `configure` may take.
const LOADING_TIME: Duration = Duration::from_secs(30);
/// Requests an instance serves where the configuration does not say.
const REUSE: u32 = 10_000;
/// How long `configure` may take without an image, where instances are reused: it is paid
/// by the request that starts one.
const SLOW_CONFIGURE: Duration = Duration::from_millis(5);
/// Instances that wait for their next request, at the most.
const IDLE: u32 = 64;

impl Engine {
    /// Loads every plugin use of a configuration. Uses that have not changed since
    /// `previous` are carried over, with their instances, caches and counters.
    ///
    /// Blocks while components are compiled: not for a request's thread.
    ///
    /// # Errors
    ///
    /// Every problem of every use, each at the place in the configuration that must
    /// change.
    pub fn load(
        &self,
        gateway: &Gateway,
        previous: Option<&PluginHost>,
    ) -> Result<PluginHost, Diagnostics> {
        self.load_from(gateway, ComponentFiles::In(gateway.plugin_directory.as_deref()), previous)
    }

    /// The same with components from elsewhere than the plugin directory.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_from(
        &self,
        gateway: &Gateway,
        files: ComponentFiles<'_>,
        previous: Option<&PluginHost>,
    ) -> Result<PluginHost, Diagnostics> {
        // Limits of limiters come after those of the configuration.
        let uses = (&gateway.plugin_uses[..], gateway.throttles.len());
        let host = self.load_numbered(uses, files, previous)?;
        match Diagnostics::from_problems(streaming::problems(&gateway.apis, &host)) {
            Some(diagnostics) => Err(diagnostics),
            None => Ok(host),
        }
    }

    /// Loads uses of no configuration, which nothing else counts for.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_uses(
        &self,
        uses: &[PluginUse],
        files: ComponentFiles<'_>,
        previous: Option<&PluginHost>,
    ) -> Result<PluginHost, Diagnostics> {
        self.load_numbered((uses, 0), files, previous)
    }

    /// The same, with the number of the first limit of a limiter.
    fn load_numbered(
        &self,
        (uses, first_limit): (&[PluginUse], usize),
        files: ComponentFiles<'_>,
        previous: Option<&PluginHost>,
    ) -> Result<PluginHost, Diagnostics> {
        let mut loaded = Vec::with_capacity(uses.len());
        let mut orders = Vec::new();
        let mut problems = Vec::new();
        for plugin_use in uses {
            match self.load_use(plugin_use, files, previous) {
                Ok((use_, order)) => {
                    match limits::shared(&use_.limits, plugin_use) {
                        Ok(sharings) => loaded.push((use_, sharings)),
                        Err(found) => problems.extend(found),
                    }
                    orders.extend(order);
                }
                Err(found) => problems.extend(found),
            }
        }
        match Diagnostics::from_problems(problems) {
            Some(diagnostics) => Err(diagnostics),
            None => {
                let used: Vec<Digest> =
                    loaded.iter().flat_map(|(use_, _)| use_.code.iter().copied()).collect();
                self.inner().code.keep_only(&used);
                let slots = loaded.iter().map(|(use_, _)| &use_.keeping.slots);
                self.inner().pool.share_out(slots);
                image::make_in_background(self, orders);
                let host = PluginHost::of(loaded, first_limit);
                block_on(first_keys(&host.fetched_keys()));
                Ok(host)
            }
        }
    }

    fn load_use(
        &self,
        plugin_use: &PluginUse,
        files: ComponentFiles<'_>,
        previous: Option<&PluginHost>,
    ) -> Result<(Arc<LoadedUse>, Option<image::Order>), Vec<Diagnostic>> {
        let at = |problem: LoadProblem| vec![problem.diagnostic(plugin_use)];
        let Found { bytes, digest, origin } =
            find(&plugin_use.plugin, files, &self.inner().builtins)
                .map_err(|problem| at(LoadProblem::Source(problem)))?;
        let consent = Consent::for_origin(&origin);
        let settings = plugin_use.settings.to_string();
        let fingerprint = fingerprint((plugin_use, &settings), &digest, consent);
        if let Some(unchanged) = previous.and_then(|host| host.by_fingerprint(&fingerprint)) {
            return Ok((unchanged, None));
        }
        let (component, surface) = self.check(&bytes, &digest).map_err(at)?;
        for role in &plugin_use.roles {
            if !surface.roles.contains(role) {
                return Err(at(LoadProblem::Role { role: *role, exported: surface.roles.clone() }));
            }
        }
        let clocks = Clocks {
            time: Source::granted(plugin_use.grants.clock),
            random: Source::granted(plugin_use.grants.random),
        };
        let (bare, prepared) = self.bare(&component, plugin_use, clocks).map_err(at)?;
        let introduction = self.introduce(&prepared, &bare, plugin_use)?;
        let mut opened = introduction
            .open(plugin_use, &surface, consent, &self.inner().issuers)
            .map_err(|found| diagnostics(found, plugin_use))?;
        opened.keyvalue = self.keyvalue(plugin_use);
        opened.credentials = self.credentials(plugin_use, &surface).map_err(at)?;
        let (name, budget) = (&plugin_use.name, plugin_use.budget);
        let shared = Arc::new(UseShared::new(name, budget, clocks, opened));
        let isolation = plugin_use.isolation.unwrap_or(match origin {
            ComponentOrigin::Builtin => Isolation::Reuse(REUSE),
            ComponentOrigin::File(_) => Isolation::Fresh,
        });
        let drawn = Drawn::by(consent);
        let is_worth_it = isolation == Isolation::Fresh || introduction.took > SLOW_CONFIGURE;
        let wants_image =
            is_worth_it && (introduction.random == Spent::No || drawn == Drawn::Harmless);
        let image = image::key(&digest, &settings);
        let loaded = Arc::new(LoadedUse {
            names: Names { name: plugin_use.name.clone(), plugin: plugin_use.plugin.clone() },
            fingerprint,
            origin,
            code: vec![digest, image],
            shared,
            settings,
            prepared: ArcSwap::new(prepared),
            image_pending: AtomicBool::new(wants_image),
            keeping: keeping(plugin_use, isolation, &self.inner().pool),
            on_fault: plugin_use.on_fault,
            cache: introduction.cache(plugin_use)?.map(ResultCache::new),
            identity_sources: plugin_use.identity_sources.clone(),
            reads: introduction.reads,
            challenge: introduction.challenge,
            answers: introduction.answers,
            limits: introduction.limits,
            metrics: UseMetrics::default(),
        });
        let order = wants_image.then(|| image::Order {
            loaded: Arc::downgrade(&loaded),
            key: image,
            bytes,
            bare,
            drawn,
        });
        Ok((loaded, order))
    }

    /// Readies a component for telling of itself: with these clocks, and with no grant.
    pub(crate) fn bare(
        &self,
        component: &Component,
        plugin_use: &PluginUse,
        clocks: Clocks,
    ) -> Result<(Arc<UseShared>, Arc<Prepared>), LoadProblem> {
        let (name, budget) = (&plugin_use.name, plugin_use.budget);
        let bare = Arc::new(UseShared::new(name, budget, clocks, Opened::default()));
        let inner = self.inner();
        let prepared =
            Prepared::link(&inner.linker, component, Configured::PerInstance, inner.clock())
                .map_err(|error| LoadProblem::Link(format!("{error:#}")))?;
        Ok((bare, prepared))
    }

    /// Opens the store of a use, which may be that of an earlier use of its name.
    fn keyvalue(&self, plugin_use: &PluginUse) -> Option<KeyValue> {
        let room = plugin_use.grants.keyvalue?;
        // A validator and a transform may have the same name.
        let kind = match plugin_use.roles.first() {
            Some(Role::Authorizer) => "authorizer",
            Some(Role::Validator) => "validator",
            Some(Role::Limiter) => "limiter",
            _ => "transform",
        };
        let store = self.inner().stores.open(format!("{kind} {}", plugin_use.name));
        Some(KeyValue { store, room })
    }

    /// Opens the operator's store to a use that wants it. Whether it may is settled.
    fn credentials(
        &self,
        plugin_use: &PluginUse,
        surface: &Surface,
    ) -> Result<Option<Arc<dyn CredentialSource>>, LoadProblem> {
        if !plugin_use.grants.credentials && !surface.imports(CREDENTIALS) {
            return Ok(None);
        }
        self.inner().credentials.clone().map(Some).ok_or(LoadProblem::NoStore)
    }

    /// Refuses what is no plugin, and compiles what is.
    pub(crate) fn check(
        &self,
        bytes: &[u8],
        digest: &Digest,
    ) -> Result<(Component, Surface), LoadProblem> {
        check_kind(bytes)?;
        let inner = self.inner();
        let component = inner
            .code
            .component(&inner.serving, digest, || Ok::<_, wasmtime::Error>(Cow::Borrowed(bytes)));
        let component = component.map_err(|error| {
            LoadProblem::Component(crate::ComponentProblem::Invalid(format!("{error:#}")))
        })?;
        let surface = surface(&component)?;
        Ok((component, surface))
    }

    /// Lets a plugin describe itself.
    pub(crate) fn describe(
        &self,
        prepared: &Arc<Prepared>,
        bare: &Arc<UseShared>,
    ) -> Result<lifecycle::Descriptor, LoadProblem> {
        within_loading_time(async {
            let mut instance = self.loading_instance(prepared, bare).await?;
            let described = instance.describe().await;
            described.map_err(|error| fault_in("describe", &instance, &error))
        })
    }

    /// Lets the plugin describe itself and take its settings.
    pub(crate) fn introduce(
        &self,
        prepared: &Arc<Prepared>,
        bare: &Arc<UseShared>,
        plugin_use: &PluginUse,
    ) -> Result<Introduction, Vec<Diagnostic>> {
        let descriptor = self
            .describe(prepared, bare)
            .map_err(|problem| vec![problem.diagnostic(plugin_use)])?;
        plan::check_settings(&descriptor.settings_schema, &plugin_use.settings)
            .map_err(|found| diagnostics(found, plugin_use))?;
        let configured = within_loading_time(async {
            let mut instance = self.loading_instance(prepared, bare).await?;
            let settings = plugin_use.settings.to_string();
            let began = Instant::now();
            let configured = instance.configure(&settings).await;
            let took = began.elapsed();
            let answer = configured.map_err(|error| fault_in("configure", &instance, &error))?;
            let refused = |refused: lifecycle::SettingsError| LoadProblem::Settings {
                pointer: refused.pointer,
                message: refused.message,
            };
            Ok((answer.map_err(refused)?, (instance.store.data().randomness(), took)))
        });
        let (plan, spent) = configured.map_err(|problem| vec![problem.diagnostic(plugin_use)])?;
        Introduction::of(plan, spent).map_err(|found| diagnostics(found, plugin_use))
    }

    async fn loading_instance(
        &self,
        prepared: &Arc<Prepared>,
        bare: &Arc<UseShared>,
    ) -> Result<Instance, LoadProblem> {
        let mut store = State::store(&self.inner().serving, bare);
        State::begin(&mut store, Moment::Loading, 0);
        Instance::start(prepared, store)
            .await
            .map_err(|error| LoadProblem::Link(format!("{error:#}")))
    }
}

fn fault_in(call: &'static str, instance: &Instance, error: &wasmtime::Error) -> LoadProblem {
    LoadProblem::Fault { call, fault: crate::call::fault(&instance.store, error) }
}

fn within_loading_time<T>(
    talk: impl Future<Output = Result<T, LoadProblem>>,
) -> Result<T, LoadProblem> {
    let outcome = block_on(async { tokio::time::timeout(LOADING_TIME, talk).await });
    outcome.unwrap_or(Err(LoadProblem::TooSlow(LOADING_TIME)))
}

fn diagnostics(problems: Vec<LoadProblem>, plugin_use: &PluginUse) -> Vec<Diagnostic> {
    problems.into_iter().map(|problem| problem.diagnostic(plugin_use)).collect()
}

fn keeping(plugin_use: &PluginUse, isolation: Isolation, pool: &Pool) -> Keeping {
    let reuse = match isolation {
        Isolation::Fresh => 1,
        Isolation::Reuse(requests) => requests.max(1),
    };
    let idle = usize::try_from(plugin_use.budget.instances.clamp(1, IDLE)).unwrap_or(1);
    let breaker = Breaker::new(
        plugin_use.budget.breaker_after,
        plugin_use.budget.breaker_pause,
        Instant::now(),
    );
    let slots = Slots::new(plugin_use.budget.instances, pool.clone());
    Keeping { reuse, idle: ArrayQueue::new(idle), slots, breaker }
}

/// A digest of everything a loaded use depends on.
fn fingerprint(
    (plugin_use, settings): (&PluginUse, &str),
    component: &Digest,
    consent: Consent,
) -> Digest {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(component);
    part(settings.as_bytes());
    // `Debug` hides the secrets' bytes, which follow by themselves.
    let PluginUse {
        name,
        plugin,
        roles,
        isolation,
        grants,
        budget,
        cache,
        identity_sources,
        on_fault,
        ..
    } = plugin_use;
    part(
        format!(
            "{name} {plugin} {roles:?} {isolation:?} {grants:?} {budget:?} {cache:?} \
             {identity_sources:?} {on_fault:?} {consent:?}"
        )
        .as_bytes(),
    );
    for granted in grants.secrets.values() {
        part(granted.secret.expose());
    }
    hash.finalize().into()
}

/// Runs a future to its end on this thread, which must not belong to a runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    match runtime {
        Ok(runtime) => runtime.block_on(future),
        // A current-thread runtime with a timer needs no resource that can be short.
        Err(problem) => unreachable!("a runtime without threads or sockets: {problem}"),
    }
}
