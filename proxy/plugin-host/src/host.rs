//! Every plugin use of one configuration, behind the pipeline's port.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_config::{Limit, OnFault, PluginUseId, Role};
use portcullis_limits::{Keyed, PolicySharing, Spec};
use portcullis_pipeline::{
    AuthorizerAnswer, Call, LimiterCharge, LimiterLimit, PluginFault, Plugins, Reads,
    RequestOutcome, ResponseCall, ResponseOutcome, Unidentified, Violation,
};

use crate::capability::{FetchedKeys, IssuerReading};
use crate::code_cache::Digest;
use crate::component_source::ComponentOrigin;
use crate::load::PlannedLimit;
use crate::metrics::UseReading;
use crate::plugin_use::LoadedUse;

/// A component that a plugin use was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadedComponent<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// The SHA-256 of its bytes.
    pub sha256: &'a [u8; 32],
}

/// Every plugin use of one configuration, loaded.
pub struct PluginHost {
    uses: Vec<Arc<LoadedUse>>,
    /// By use, in the order of their plans.
    limits: Vec<Vec<LimiterLimit>>,
}

impl PluginHost {
    /// Of these uses; limits of limiters are numbered from this on.
    pub(crate) fn of(
        loaded: Vec<(Arc<LoadedUse>, Vec<Option<PolicySharing>>)>,
        first_limit: usize,
    ) -> Self {
        let mut numbers = first_limit..;
        let (mut uses, mut limits) = (Vec::new(), Vec::new());
        for (use_, sharings) in loaded {
            let planned = use_.limits.iter().zip(sharings).zip(&mut numbers);
            let limit = |((planned, sharing), index)| {
                limiter_limit(&use_.names.name, (planned, sharing), index)
            };
            limits.push(planned.map(limit).collect());
            uses.push(use_);
        }
        Self { limits, uses }
    }

    /// The limits of all limiters, in the order of their numbers.
    pub fn limits(&self) -> impl Iterator<Item = &Arc<Limit>> {
        self.limits.iter().flatten().map(|limit| &limit.limit)
    }

    /// Reads the counters of every issuer whose keys are fetched, by name.
    pub fn issuer_readings(&self) -> Vec<IssuerReading> {
        let mut readings: BTreeMap<String, IssuerReading> = BTreeMap::new();
        for keys in self.fetched_keys() {
            let reading = keys.reading();
            match readings.entry(reading.issuer.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(reading)),
                Entry::Occupied(mut entry) => entry.get_mut().add(&reading),
            }
        }
        readings.into_values().collect()
    }

    /// What is fetched for these uses, each once.
    pub(crate) fn fetched_keys(&self) -> Vec<Arc<FetchedKeys>> {
        let mut all: Vec<Arc<FetchedKeys>> = Vec::new();
        for keys in self.uses.iter().flat_map(|use_| use_.shared.issuers()) {
            if let Some(keys) = keys.fetched()
                && !all.iter().any(|known| Arc::ptr_eq(known, keys))
            {
                all.push(Arc::clone(keys));
            }
        }
        all
    }

    /// Reads the counters of every use, without touching a request's path.
    pub fn readings(&self) -> Vec<UseReading> {
        self.uses.iter().map(|use_| use_.reading()).collect()
    }

    /// The components that were read from files, once for each use.
    pub fn components_of_files(&self) -> impl Iterator<Item = LoadedComponent<'_>> {
        self.uses.iter().filter_map(|use_| match (&use_.origin, use_.code.first()) {
            (ComponentOrigin::File(_), Some(sha256)) => {
                Some(LoadedComponent { plugin: &use_.names.plugin, sha256 })
            }
            _ => None,
        })
    }

    pub(crate) fn by_fingerprint(&self, fingerprint: &Digest) -> Option<Arc<LoadedUse>> {
        self.uses.iter().find(|use_| use_.fingerprint == *fingerprint).cloned()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "ids come from the configuration that this host was loaded from"
    )]
    fn find(&self, plugin: PluginUseId) -> &LoadedUse {
        &self.uses[plugin.0]
    }
}

fn limiter_limit(
    limiter: &str,
    (planned, sharing): (&PlannedLimit, Option<PolicySharing>),
    index: usize,
) -> LimiterLimit {
    let spec = Spec {
        scope: format!("limiters.{limiter}"),
        name: planned.name.clone(),
        policy: planned.policy,
        keyed: Keyed::PerKey("as the limiter says".to_owned()),
    };
    let limit = Arc::new(Limit { index, spec, per: None, sharing });
    LimiterLimit { limit, gives_back: planned.gives_back }
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.uses.iter().map(|use_| &use_.names)).finish()
    }
}

// Calls are boxed: what runs a guest is a future of kilobytes, and a request that asks no
// plugin would have it moved along all the same.
impl Plugins for PluginHost {
    fn reads(&self, plugin: PluginUseId, role: Role) -> &Reads {
        self.find(plugin).reads(role)
    }

    fn name(&self, plugin: PluginUseId) -> String {
        self.find(plugin).names.name.clone()
    }

    fn challenge(&self, plugin: PluginUseId) -> Option<&HeaderValue> {
        self.find(plugin).challenge.as_ref()
    }

    fn answers(&self, plugin: PluginUseId) -> &[String] {
        &self.find(plugin).answers
    }

    fn skips_faults(&self, plugin: PluginUseId) -> bool {
        self.find(plugin).on_fault == OnFault::Skip
    }

    fn lacking(&self, call: Call<'_>) -> Option<Unidentified> {
        self.find(call.target.plugin).lacking(call)
    }

    async fn authorize(&self, call: Call<'_>) -> AuthorizerAnswer {
        Box::pin(self.find(call.target.plugin).authorize(call)).await
    }

    async fn validate(&self, call: Call<'_>) -> Result<Vec<Violation>, PluginFault> {
        Box::pin(self.find(call.target.plugin).validate(call)).await
    }

    fn limits(&self, plugin: PluginUseId) -> &[LimiterLimit] {
        self.limits.get(plugin.0).map_or(&[], Vec::as_slice)
    }

    async fn charge(&self, call: Call<'_>) -> Result<Vec<LimiterCharge>, PluginFault> {
        Box::pin(self.find(call.target.plugin).charge(call)).await
    }

    async fn transform_request(&self, call: Call<'_>) -> Result<RequestOutcome, PluginFault> {
        Box::pin(self.find(call.target.plugin).transform_request(call)).await
    }

    async fn transform_response(
        &self,
        call: ResponseCall<'_>,
    ) -> Result<ResponseOutcome, PluginFault> {
        Box::pin(self.find(call.request.target.plugin).transform_response(call)).await
    }
}
