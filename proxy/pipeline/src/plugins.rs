//! The port behind which plugins run, in the pipeline's own words.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_config::{Limit, PluginUseId, Role, Use};
use portcullis_policy::Policy;

use crate::edit::{RequestEdit, ResponseEdit};
use crate::view::View;

/// Runs plugins.
///
/// The outer result of each call is whether the plugin did its job, the inner one
/// (or the value) is its answer.
pub trait Plugins: Send + Sync {
    /// What a use reads in a role. Known since load.
    fn reads(&self, plugin: PluginUseId, role: Role) -> &Reads;

    /// What the operator calls a use. The host knows the configured name.
    fn name(&self, plugin: PluginUseId) -> String {
        format!("plugin-use-{}", plugin.0)
    }

    /// How clients may identify themselves to an authorizer, if by a scheme of HTTP.
    fn challenge(&self, plugin: PluginUseId) -> Option<&HeaderValue>;

    /// Paths that a use answers GET requests for itself.
    fn answers(&self, plugin: PluginUseId) -> &[String];

    /// Whether faults of this use let the request go on. Never asked of authorizers.
    fn skips_faults(&self, plugin: PluginUseId) -> bool;

    /// What a request lacks for an authorizer to be asked about it, by its head alone: for
    /// what this refuses, no body is held.
    fn lacking(&self, call: Call<'_>) -> Option<Unidentified>;

    /// Asks an authorizer.
    fn authorize(&self, call: Call<'_>) -> impl Future<Output = AuthorizerAnswer> + Send;

    /// Asks a validator.
    fn validate(
        &self,
        call: Call<'_>,
    ) -> impl Future<Output = Result<Vec<Violation>, PluginFault>> + Send;

    /// The limits that a limiter's plan names, in its order. Known since load.
    fn limits(&self, plugin: PluginUseId) -> &[LimiterLimit];

    /// Asks a limiter.
    fn charge(
        &self,
        call: Call<'_>,
    ) -> impl Future<Output = Result<Vec<LimiterCharge>, PluginFault>> + Send;

    /// Asks a request-transform.
    fn transform_request(
        &self,
        call: Call<'_>,
    ) -> impl Future<Output = Result<RequestOutcome, PluginFault>> + Send;

    /// Asks a response-transform.
    fn transform_response(
        &self,
        call: ResponseCall<'_>,
    ) -> impl Future<Output = Result<ResponseOutcome, PluginFault>> + Send;
}

/// One call of a plugin about a request.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The plugin use and its argument.
    pub target: &'a Use,
    /// The request; the host passes on what the plugin declared.
    pub view: View<'a>,
}

/// One call of a plugin about a response.
#[derive(Debug, Clone, Copy)]
pub struct ResponseCall<'a> {
    /// The plugin use, its argument and the request.
    pub request: Call<'a>,
    /// The response's status.
    pub status: http::StatusCode,
    /// The response's headers.
    pub headers: &'a http::HeaderMap,
    /// The response's body, as far as the plugin declared it.
    pub body: Option<&'a crate::HeldBody>,
}

/// What a role reads.
#[expect(clippy::struct_excessive_bools, reason = "each stands beside the list that it overrides")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Every header, in the place of `headers`.
    pub all_headers: bool,
    /// Request headers by name.
    pub headers: Vec<HeaderName>,
    /// Every query parameter, in the place of `parameters`.
    pub all_parameters: bool,
    /// Query parameters by name.
    pub parameters: Vec<String>,
    /// Attributes by name; a trailing `*` takes a namespace.
    pub attributes: Vec<String>,
    /// The request's body.
    pub body: BodyMode,
    /// Every response header, in the place of `response_headers`.
    pub all_response_headers: bool,
    /// Response headers by name.
    pub response_headers: Vec<HeaderName>,
    /// The response's body.
    pub response_body: BodyMode,
}

/// How much of a body a role reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyMode {
    /// Nothing.
    #[default]
    None,
    /// At most this many bytes from its beginning.
    Peek(u64),
    /// All of it, if it has at most this many bytes.
    Buffer(u64),
}

/// A fact with a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Several texts.
    Texts(Vec<String>),
    /// Bytes that are not text.
    Bytes(Vec<u8>),
}

/// An authorizer's answer: `Err` is a fault.
pub type AuthorizerAnswer = Result<(Result<Grant, Denial>, CacheUse), PluginFault>;

/// Where an authorizer's answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUse {
    /// The plugin was called.
    Called,
    /// An earlier answer to equal reads.
    Hit,
}

/// Who the caller is, as an authorizer established.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The caller's stable name.
    pub principal: String,
    /// What else is known of the caller.
    pub attributes: Vec<(String, Value)>,
    /// The key usage plans count by.
    pub usage_key: Option<String>,
}

/// Leave to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The caller, shared with the cache that keeps the grant.
    pub identity: Arc<Identity>,
    /// When the answer stops being true, in milliseconds since the epoch.
    pub expires_at_ms: Option<u64>,
    /// Headers for the response.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
    /// Policies evaluated for each request, each of which must allow it; empty
    /// restricts nothing.
    pub policies: Vec<Arc<Policy>>,
}

/// What a refusal says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    /// A stable code for logs.
    pub code: String,
    /// The words the client may read.
    pub public_text: Option<String>,
    /// Headers for the response.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// An authorizer's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No credential of the kind the authorizer knows.
    NotMine,
    /// The request has not what the configuration wants before the authorizer is asked.
    Unidentified(Unidentified),
    /// A credential that does not hold.
    Unauthenticated(Reason),
    /// A known caller who may not do this.
    Forbidden(Reason),
    /// No; and the client receives this, such as a redirect to a login.
    Respond(Box<crate::Answer>),
}

impl Denial {
    /// Whether another authorizer may know the caller.
    pub fn is_not_mine(&self) -> bool {
        matches!(self, Self::NotMine | Self::Unidentified(_))
    }
}

/// What a request lacks of what an authorizer is to learn an identity from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unidentified {
    /// One of the parts is absent or empty.
    Missing,
    /// One of the parts has another form than the configuration says.
    Malformed,
}

impl Unidentified {
    /// A stable code for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing-identity",
            Self::Malformed => "malformed-identity",
        }
    }
}

/// What a validator found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where: a JSON Pointer, or `header:<name>`, `query:<name>`, `path:<name>`.
    pub location: String,
    /// What, in words the client may read.
    pub message: String,
}

/// A limit of a limiter's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimiterLimit {
    /// The limit.
    pub limit: Arc<Limit>,
    /// Whether a request that is refused later gives back what it took.
    pub gives_back: GivesBack,
}

/// Whether what a request took of a limit is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivesBack {
    /// It stays taken.
    Never,
    /// It is, where a later phase refuses the request.
    IfRefused,
}

/// What a limiter charges a request to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimiterCharge {
    /// The place of the limit among those of the limiter's plan.
    pub limit: usize,
    /// Whose share.
    pub key: Vec<u8>,
    /// How much.
    pub cost: u64,
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum RequestOutcome {
    /// It goes on, so edited.
    Edit(Vec<RequestEdit>),
    /// The client receives this.
    Respond(crate::Answer),
}

/// What becomes of a response.
#[derive(Debug, Clone)]
pub enum ResponseOutcome {
    /// It goes on, so edited.
    Edit(Vec<ResponseEdit>),
    /// The client receives this in its place.
    Replace(crate::Answer),
}

/// A plugin failed to do its job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginFault {
    /// The guest trapped, panicked or exited.
    #[error("trapped: {0}")]
    Trap(String),
    /// The call took longer than its wall time.
    #[error("took longer than its wall time")]
    WallTime,
    /// The guest computed for longer than its CPU time.
    #[error("computed longer than its CPU time")]
    CpuTime,
    /// The guest wanted more memory than its budget.
    #[error("wanted more memory than its budget")]
    Memory,
    /// The answer is larger than the output budget.
    #[error("answered with more than its output budget of {limit} bytes")]
    Output {
        /// The budget, in bytes.
        limit: usize,
    },
    /// The answer breaks the contract.
    #[error("answered out of contract: {0}")]
    BadAnswer(String),
    /// What its answer depends on is out of reach: its own code for it.
    #[error("could not decide: {0}")]
    Unavailable(String),
    /// No instance came free in time.
    #[error("all its instances are busy")]
    Busy,
    /// The breaker is open after repeated faults.
    #[error("its breaker is open")]
    BreakerOpen,
    /// The instance could not be made.
    #[error("could not be started: {0}")]
    Start(String),
}

impl PluginFault {
    /// A stable code for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::WallTime => "wall-time",
            Self::CpuTime => "cpu-time",
            Self::Memory => "memory",
            Self::Output { .. } => "output",
            Self::BadAnswer(_) => "bad-answer",
            Self::Unavailable(_) => "unavailable",
            Self::Busy => "busy",
            Self::BreakerOpen => "breaker-open",
            Self::Start(_) => "start",
        }
    }
}
