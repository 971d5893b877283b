//! Plugins that say what a test tells them to.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use http::HeaderValue;
use portcullis_config::{PluginUseId, Role};
use portcullis_pipeline::{
    AuthorizerAnswer, BodyMode, CacheUse, Call, Denial, Grant, Identity, LimiterCharge,
    LimiterLimit, PluginFault, Plugins, Reads, RequestOutcome, ResponseCall, ResponseOutcome,
    Unidentified, View, Violation,
};

type Authorize = Box<dyn Fn(View<'_>) -> AuthorizerAnswer + Send + Sync>;
type Validate = Box<dyn Fn(View<'_>) -> Result<Vec<Violation>, PluginFault> + Send + Sync>;
type OnRequest = Box<dyn Fn(View<'_>) -> Result<RequestOutcome, PluginFault> + Send + Sync>;
type OnLimit = Box<dyn Fn(View<'_>) -> Result<Vec<LimiterCharge>, PluginFault> + Send + Sync>;
type OnResponse =
    Box<dyn Fn(ResponseCall<'_>) -> Result<ResponseOutcome, PluginFault> + Send + Sync>;

/// By plugin use id. A plugin that was not told anything must not be asked.
#[derive(Default)]
pub(crate) struct Scripted {
    reads: HashMap<(usize, Role), Reads>,
    nothing: Reads,
    challenges: HashMap<usize, HeaderValue>,
    answers: HashMap<usize, Vec<String>>,
    skips: HashSet<usize>,
    lacking: HashMap<usize, Unidentified>,
    authorizers: HashMap<usize, Authorize>,
    validators: HashMap<usize, Validate>,
    request_transforms: HashMap<usize, OnRequest>,
    response_transforms: HashMap<usize, OnResponse>,
    limiters: HashMap<usize, OnLimit>,
    limits: HashMap<usize, Vec<LimiterLimit>>,
    asked: Mutex<Vec<usize>>,
}

impl Scripted {
    pub(crate) fn authorizer(
        mut self,
        id: usize,
        says: impl Fn(View<'_>) -> AuthorizerAnswer + Send + Sync + 'static,
    ) -> Self {
        self.authorizers.insert(id, Box::new(says));
        self
    }

    pub(crate) fn validator(
        mut self,
        id: usize,
        says: impl Fn(View<'_>) -> Result<Vec<Violation>, PluginFault> + Send + Sync + 'static,
    ) -> Self {
        self.validators.insert(id, Box::new(says));
        self
    }

    pub(crate) fn limiter(
        mut self,
        id: usize,
        limits: Vec<LimiterLimit>,
        says: impl Fn(View<'_>) -> Result<Vec<LimiterCharge>, PluginFault> + Send + Sync + 'static,
    ) -> Self {
        self.limits.insert(id, limits);
        self.limiters.insert(id, Box::new(says));
        self
    }

    pub(crate) fn request_transform(
        mut self,
        id: usize,
        says: impl Fn(View<'_>) -> Result<RequestOutcome, PluginFault> + Send + Sync + 'static,
    ) -> Self {
        self.request_transforms.insert(id, Box::new(says));
        self
    }

    pub(crate) fn response_transform(
        mut self,
        id: usize,
        says: impl Fn(ResponseCall<'_>) -> Result<ResponseOutcome, PluginFault> + Send + Sync + 'static,
    ) -> Self {
        self.response_transforms.insert(id, Box::new(says));
        self
    }

    pub(crate) fn reads(mut self, id: usize, role: Role, reads: Reads) -> Self {
        self.reads.insert((id, role), reads);
        self
    }

    pub(crate) fn body(self, id: usize, role: Role, body: BodyMode) -> Self {
        self.reads(id, role, Reads { body, ..Reads::default() })
    }

    pub(crate) fn response_body(self, id: usize, response_body: BodyMode) -> Self {
        self.reads(id, Role::ResponseTransform, Reads { response_body, ..Reads::default() })
    }

    pub(crate) fn challenge(mut self, id: usize, challenge: &'static str) -> Self {
        self.challenges.insert(id, HeaderValue::from_static(challenge));
        self
    }

    pub(crate) fn answers(mut self, id: usize, path: &str) -> Self {
        self.answers.entry(id).or_default().push(path.into());
        self
    }

    pub(crate) fn skips(mut self, id: usize) -> Self {
        self.skips.insert(id);
        self
    }

    pub(crate) fn lacking(mut self, id: usize, lacking: Unidentified) -> Self {
        self.lacking.insert(id, lacking);
        self
    }

    /// The plugins that were asked, in order.
    pub(crate) fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }

    fn ask(&self, plugin: PluginUseId) -> usize {
        self.asked.lock().unwrap().push(plugin.0);
        plugin.0
    }
}

impl Plugins for Scripted {
    fn reads(&self, plugin: PluginUseId, role: Role) -> &Reads {
        self.reads.get(&(plugin.0, role)).unwrap_or(&self.nothing)
    }

    fn name(&self, plugin: PluginUseId) -> String {
        format!("p{}", plugin.0)
    }

    fn challenge(&self, plugin: PluginUseId) -> Option<&HeaderValue> {
        self.challenges.get(&plugin.0)
    }

    fn answers(&self, plugin: PluginUseId) -> &[String] {
        self.answers.get(&plugin.0).map(Vec::as_slice).unwrap_or_default()
    }

    fn skips_faults(&self, plugin: PluginUseId) -> bool {
        self.skips.contains(&plugin.0)
    }

    fn lacking(&self, call: Call<'_>) -> Option<Unidentified> {
        self.lacking.get(&call.target.plugin.0).copied()
    }

    async fn authorize(&self, call: Call<'_>) -> AuthorizerAnswer {
        self.authorizers[&self.ask(call.target.plugin)](call.view)
    }

    async fn validate(&self, call: Call<'_>) -> Result<Vec<Violation>, PluginFault> {
        self.validators[&self.ask(call.target.plugin)](call.view)
    }

    fn limits(&self, plugin: PluginUseId) -> &[LimiterLimit] {
        self.limits.get(&plugin.0).map_or(&[], Vec::as_slice)
    }

    async fn charge(&self, call: Call<'_>) -> Result<Vec<LimiterCharge>, PluginFault> {
        self.limiters[&self.ask(call.target.plugin)](call.view)
    }

    async fn transform_request(&self, call: Call<'_>) -> Result<RequestOutcome, PluginFault> {
        self.request_transforms[&self.ask(call.target.plugin)](call.view)
    }

    async fn transform_response(
        &self,
        call: ResponseCall<'_>,
    ) -> Result<ResponseOutcome, PluginFault> {
        self.response_transforms[&self.ask(call.request.target.plugin)](call)
    }
}

pub(crate) fn grant_to(principal: &str) -> Grant {
    Grant {
        identity: Identity { principal: principal.into(), ..Identity::default() }.into(),
        ..Grant::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of an authorizer's answer")]
pub(crate) fn granted(grant: Grant) -> AuthorizerAnswer {
    Ok((Ok(grant), CacheUse::Called))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of an authorizer's answer")]
pub(crate) fn denied(denial: Denial) -> AuthorizerAnswer {
    Ok((Err(denial), CacheUse::Called))
}

pub(crate) fn violation(location: &str) -> Violation {
    Violation { location: location.into(), message: "is odd".into() }
}
