//! APIs and their routes.

use std::sync::Arc;

use http::Method;

use super::respond::Respond;
use super::{
    Access, ApiResource, Compression, Cors, Guard, IdentityHeader, PluginUseId, RequestMapping,
    RequestRules, ResponseMapping, Role, RouteLimits, Scopes, Stage, Upstream, Use,
};
use crate::diagnostic::Place;
use crate::path::PathPattern;

/// A set of routes that share hosts and a base path.
#[derive(Debug)]
pub struct Api {
    /// Its name in the configuration.
    pub name: String,
    /// The stage of it that this is; `None` where it has none.
    pub stage: Option<Arc<Stage>>,
    /// The hosts it answers to; empty answers to all.
    pub hosts: Vec<HostPattern>,
    /// The prefix of every route's path, the stage's included, without its last slash; empty for none.
    pub base_path: String,
    /// What policies know it by, and its own.
    pub resource: Arc<ApiResource>,
    /// What pages of other origins may do where no route is; `None` leaves CORS alone.
    pub cors: Option<Arc<Cors>>,
    /// Rules that are looked at first, if there are any.
    pub guard: Option<Arc<Guard>>,
    /// How refusals are worded.
    pub errors: Errors,
    /// Its routes.
    pub routes: Vec<Route>,
}

impl Api {
    /// Whether every path below its base path is its own, whatever other APIs route: a path
    /// that begins with a stage is that stage's, as on AWS.
    pub fn is_apart(&self) -> bool {
        self.stage.as_ref().is_some_and(|stage| !stage.base_path.is_empty())
    }

    /// Whether requests of one host may be meant for this or for the other.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let is_any = self.hosts.is_empty() && other.hosts.is_empty();
        is_any || self.hosts.iter().any(|host| other.hosts.contains(host))
    }
}

/// How refusals and failures of an API are worded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Errors {
    /// As problem details (RFC 9457).
    #[default]
    Problem,
    /// As an HTTP API of Amazon API Gateway.
    AwsHttpApi,
    /// As a REST API of Amazon API Gateway.
    AwsRestApi,
}

/// A host an API answers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host, in lower case, without a port.
    Exact(String),
    /// Any one label before this suffix: `*.example.com` is `example.com`.
    Wildcard(String),
}

/// What to do with the requests of one method and path.
#[derive(Debug, Clone)]
pub struct Route {
    /// The key as written: `GET /orders/{id}`, `$default`.
    pub key: String,
    /// The `operationId` of an OpenAPI document.
    pub operation: Option<String>,
    /// Where it is written.
    pub place: Place,
    /// What it matches.
    pub matches: RouteMatch,
    /// Who decides whether a request may go on.
    pub access: Access,
    /// The scopes that the caller must have; `None` for none.
    pub scopes: Option<Scopes>,
    /// How much may pass.
    pub limits: RouteLimits,
    /// Plugins that say what else it is charged to, in order.
    pub limiters: Vec<Use>,
    /// Request headers that only the gateway writes, in the order written.
    pub identity_headers: Arc<[IdentityHeader]>,
    /// Checks, in order.
    pub validators: Vec<Use>,
    /// What requests must be, beside what the validators say.
    pub rules: Arc<RequestRules>,
    /// Rewrites on the way up, in order.
    pub request_transforms: Vec<Use>,
    /// Rewrites on the way down, in order.
    pub response_transforms: Vec<Use>,
    /// What pages of other origins may do; `None` leaves CORS to the upstream.
    pub cors: Option<Arc<Cors>>,
    /// Which responses are compressed; `None` for none.
    pub compression: Option<Arc<Compression>>,
    /// What is changed of requests without a plugin, if anything is.
    pub request: Option<Arc<RequestMapping>>,
    /// What is changed of responses without a plugin, if anything is.
    pub response: Option<Arc<ResponseMapping>>,
    /// Whether no body may be held, of requests or of responses.
    pub streams: bool,
    /// Who answers.
    pub integration: Integration,
    /// Bytes a request body may have.
    pub body_limit: u64,
}

impl Route {
    /// Every plugin use that has to do with its requests, and as what.
    pub fn uses(&self) -> Vec<(PluginUseId, Role)> {
        let authorizers = match &self.access {
            Access::Open => Vec::new(),
            Access::By(authorization) => authorization.uses(),
        };
        let roles = [
            (Role::Limiter, &self.limiters),
            (Role::Validator, &self.validators),
            (Role::RequestTransform, &self.request_transforms),
            (Role::ResponseTransform, &self.response_transforms),
        ];
        let others =
            roles.into_iter().flat_map(|(role, uses)| uses.iter().map(move |it| (it, role)));
        let all = authorizers.into_iter().map(|used| (used, Role::Authorizer)).chain(others);
        all.map(|(used, role)| (used.plugin, role)).collect()
    }
}

/// What a route matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteMatch {
    /// A method and a path.
    Path {
        /// The method; `None` is `ANY`.
        method: Option<Method>,
        /// The path, the API's base path included.
        pattern: PathPattern,
    },
    /// Whatever no other route of the API matches (`$default`).
    Default,
}

/// Who answers the requests of a route.
#[derive(Debug, Clone)]
pub enum Integration {
    /// An upstream.
    Proxy {
        /// Which.
        upstream: Arc<Upstream>,
        /// How the path changes on the way.
        path: PathRewrite,
    },
    /// The gateway itself.
    Respond(Respond),
}

/// How the path changes on its way to the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRewrite {
    /// Not at all: the upstream sees the path as the client sent it.
    Keep,
    /// This prefix is taken off, and the other put in its place.
    ReplacePrefix {
        /// The prefix to take off; matches whole segments.
        strip: String,
        /// The prefix to put there.
        add: String,
    },
}

impl PathRewrite {
    /// The rewrite of paths that have a prefix more, which the upstream does not see.
    pub(crate) fn below(self, prefix: &str) -> Self {
        match self {
            kept if prefix.is_empty() => kept,
            Self::Keep => Self::ReplacePrefix { strip: prefix.to_owned(), add: String::new() },
            Self::ReplacePrefix { strip, add } => {
                Self::ReplacePrefix { strip: format!("{prefix}{strip}"), add }
            }
        }
    }
}
