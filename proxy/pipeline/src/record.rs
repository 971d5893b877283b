//! What one exchange leaves for its answer, for logs and metrics, and what it holds until
//! its end.

use std::sync::Arc;

use portcullis_config::{Errors, GuardMode};
use portcullis_limits::{Permit, Receipt};

use crate::admitted::Answer;
use crate::compression::Negotiated;
use crate::cors::CorsReply;
use crate::plugins::CacheUse;
use crate::rejection::Rejection;
use crate::route_table::ServedRoute;

/// What the pipeline learnt of one exchange, filled as it went. Lives as long as it.
#[derive(Debug, Default)]
pub struct Record {
    /// The route, once found.
    pub route: Option<Arc<ServedRoute>>,
    /// The rules of the guard that found the request, in order.
    pub guarding: Vec<Guarding>,
    /// The caller, once known.
    pub principal: Option<String>,
    /// Why the gateway answered itself or gave up; `None` where the upstream answered.
    pub decision: Option<Decision>,
    /// The authorizers whose word it was: those that granted, in order, or the one that
    /// denied. Nobody where several were asked and none knew the credential.
    pub authorizers: Vec<Asked>,
    /// Plugins that faulted and were skipped by policy: use name and fault code.
    pub skipped: Vec<(String, &'static str)>,
    /// The usage plan of the caller's API key, where the route looks at plans.
    pub usage_plan: Option<Arc<str>>,
    /// The limits that refused the request, narrowest first.
    pub throttled_by: Vec<String>,
    /// Its places in flight, free again when the record is dropped.
    pub permits: Vec<Permit>,
    /// What it took of limits, and gives back where a later phase refuses it.
    pub taken: Vec<Receipt>,
    /// How a refusal is worded.
    pub errors: Errors,
    /// What CORS adds to whatever the client receives.
    pub cors: Option<CorsReply>,
    /// Whether and how what the client receives is compressed.
    pub compression: Option<Negotiated>,
}

impl Record {
    /// What the client receives for a rejection of this exchange.
    pub fn refusal(&self, rejection: &Rejection, request_id: &str) -> Answer {
        self.completed(match self.errors {
            Errors::Problem => rejection.answer(request_id),
            Errors::AwsHttpApi => rejection.answer_of_http_api(request_id),
            Errors::AwsRestApi => rejection.answer_of_rest_api(request_id),
        })
    }

    /// An answer of the gateway's own with what all answers of this exchange carry.
    pub(crate) fn completed(&self, mut answer: Answer) -> Answer {
        if let Some(cors) = &self.cors {
            cors.apply(&mut answer.headers);
        }
        answer
    }
}

/// A rule of a guard that found a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarding {
    /// Its name.
    pub rule: Arc<str>,
    /// What happened to the request.
    pub mode: GuardMode,
}

/// An authorizer that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The name of the plugin use.
    pub authorizer: String,
    /// Whether it was called or an earlier answer served.
    pub cache: CacheUse,
}

/// Why the gateway answered a request itself, or gave it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What became of the request.
    pub kind: DecisionKind,
    /// The stable code: `no-such-route`, `denied`, `plugin-fault`, …
    pub code: &'static str,
    /// The plugin's own reason code, where one gave it.
    pub reason: Option<String>,
    /// What happened, for the operator.
    pub detail: String,
}

/// What became of a request that was decided about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionKind {
    /// It went to the upstream, and its client left before the end of the response.
    Forwarded,
    /// It was answered in the gateway, as the configuration or a plugin wants it.
    Answered,
    /// It was refused, or failed.
    Refused,
}
