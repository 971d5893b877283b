//! What a plugin needs, in the words authors use.

use crate::bindings::lifecycle as wire;
use crate::bindings::lifecycle::{Issuer, LeastLength};
use crate::{BodyMode, KeySource, Limit, Role};

/// What a plugin needs under its settings.
///
/// The reads here count for every role the plugin exports, except for those that
/// [`reads_in`](Self::reads_in) gives their own.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    reads: Reads,
    reads_by_role: Vec<(Role, Reads)>,
    caching: Caching,
    challenge: Option<String>,
    secrets: Vec<String>,
    revealed: Vec<String>,
    least_lengths: Vec<LeastLength>,
    issuers: Vec<Issuer>,
    origins: Vec<String>,
    answers: Vec<String>,
    limits: Vec<Limit>,
}

/// What one role reads; the host passes exactly this.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    headers: Vec<String>,
    parameters: Vec<String>,
    attributes: Vec<String>,
    body: Option<BodyMode>,
    response_headers: Vec<String>,
    response_body: Option<BodyMode>,
}

/// Whether equal reads may be answered with an earlier grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Caching {
    #[default]
    Never,
    ByReads,
}

impl Plan {
    /// A plugin that needs nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a request header; `*` reads all of them.
    pub fn reads_header(mut self, name: impl AsRef<str>) -> Self {
        self.reads = self.reads.header(name);
        self
    }

    /// Reads a query parameter; `*` reads all of them.
    pub fn reads_parameter(mut self, name: impl Into<String>) -> Self {
        self.reads = self.reads.parameter(name);
        self
    }

    /// Reads an attribute; `identity:*` reads a whole namespace.
    pub fn reads_attribute(mut self, name: impl Into<String>) -> Self {
        self.reads = self.reads.attribute(name);
        self
    }

    /// Reads the whole request body; one longer than this is refused with 413.
    pub fn buffers_body(mut self, limit_bytes: u64) -> Self {
        self.reads = self.reads.whole_body(limit_bytes);
        self
    }

    /// Reads at most the first bytes of the request body.
    pub fn peeks_body(mut self, limit_bytes: u64) -> Self {
        self.reads = self.reads.beginning_of_body(limit_bytes);
        self
    }

    /// Reads a response header, in a response-transform; `*` reads all of them.
    pub fn reads_response_header(mut self, name: impl AsRef<str>) -> Self {
        self.reads = self.reads.response_header(name);
        self
    }

    /// Reads the whole response body, in a response-transform.
    pub fn buffers_response_body(mut self, limit_bytes: u64) -> Self {
        self.reads = self.reads.whole_response_body(limit_bytes);
        self
    }

    /// Gives one role reads of its own.
    pub fn reads_in(mut self, role: Role, reads: Reads) -> Self {
        self.reads_by_role.retain(|(other, _)| *other != role);
        self.reads_by_role.push((role, reads));
        self
    }

    /// Lets the host answer equal reads with an earlier grant: the answer depends
    /// on nothing but the reads, the settings and the secrets.
    pub fn cacheable(mut self) -> Self {
        self.caching = Caching::ByReads;
        self
    }

    /// Says how clients may identify themselves to an authorizer: one challenge of
    /// `WWW-Authenticate`, such as `Bearer`. The host says it with a 401 that has no
    /// challenge of its own, above all after [`Denial::NotMine`](crate::Denial::NotMine).
    pub fn challenges(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// Will use this secret, by the name the configuration grants it under.
    pub fn asks_secret(mut self, name: impl Into<String>) -> Self {
        self.secrets.push(name.into());
        self
    }

    /// Will make a key of this secret, which must have at least so many bytes: 32 for a
    /// key that seals, as many as its output for a hash function's HMAC. A configuration
    /// that grants a shorter one is refused.
    pub fn asks_key(mut self, name: impl Into<String>, least_bytes: u32) -> Self {
        self.least_lengths.push(LeastLength { secret: name.into(), bytes: least_bytes });
        self
    }

    /// Will ask to see this secret; its grant must say `reveal = true`.
    pub fn reveals_secret(mut self, name: impl Into<String>) -> Self {
        self.revealed.push(name.into());
        self
    }

    /// Will verify signatures with this issuer's keys, which are where the grant says.
    pub fn asks_issuer(self, name: impl Into<String>) -> Self {
        self.asks_issuer_at(name, KeySource::Granted)
    }

    /// Will verify signatures with this issuer's keys, which are there.
    pub fn asks_issuer_at(mut self, name: impl Into<String>, source: KeySource) -> Self {
        self.issuers.push(Issuer { name: name.into(), source });
        self
    }

    /// Will send requests to this origin, by `wasi:http`: `https://login.example.com`.
    pub fn calls_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Answers GET requests for this path itself, so that one of its routes must be
    /// reached by them: where a login ends, say.
    pub fn answers_path(mut self, path: impl Into<String>) -> Self {
        self.answers.push(path.into());
        self
    }

    /// Will charge requests to this limit, as a limiter.
    pub fn charges(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// What the host is told, given the roles the component exports.
    pub(crate) fn into_wire(self, roles: &[Role]) -> wire::Plan {
        let role_plan = |role: &Role| {
            let own = self.reads_by_role.iter().find(|(other, _)| other == role);
            let authorizes = *role == Role::Authorizer;
            wire::RolePlan {
                role: *role,
                reads: own.map_or(&self.reads, |(_, reads)| reads).clone().into_wire(*role),
                cacheable: authorizes && self.caching == Caching::ByReads,
                challenge: self.challenge.clone().filter(|_| authorizes),
            }
        };
        wire::Plan {
            roles: roles.iter().map(role_plan).collect(),
            secrets: self.secrets.clone(),
            revealed: self.revealed.clone(),
            least_lengths: self.least_lengths.clone(),
            issuers: self.issuers.clone(),
            origins: self.origins.clone(),
            answers: self.answers.clone(),
            limits: self.limits.clone(),
        }
    }
}

impl Reads {
    /// Reads nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a request header; `*` reads all of them.
    pub fn header(mut self, name: impl AsRef<str>) -> Self {
        self.headers.push(name.as_ref().to_ascii_lowercase());
        self
    }

    /// Reads a query parameter; `*` reads all of them.
    pub fn parameter(mut self, name: impl Into<String>) -> Self {
        self.parameters.push(name.into());
        self
    }

    /// Reads an attribute; `identity:*` reads a whole namespace.
    pub fn attribute(mut self, name: impl Into<String>) -> Self {
        self.attributes.push(name.into());
        self
    }

    /// Reads the whole request body; one longer than this is refused with 413.
    pub fn whole_body(mut self, limit_bytes: u64) -> Self {
        self.body = Some(BodyMode::Buffer(limit_bytes));
        self
    }

    /// Reads at most the first bytes of the request body.
    pub fn beginning_of_body(mut self, limit_bytes: u64) -> Self {
        self.body = Some(BodyMode::Peek(limit_bytes));
        self
    }

    /// Reads a response header, in a response-transform; `*` reads all of them.
    pub fn response_header(mut self, name: impl AsRef<str>) -> Self {
        self.response_headers.push(name.as_ref().to_ascii_lowercase());
        self
    }

    /// Reads the whole response body, in a response-transform.
    pub fn whole_response_body(mut self, limit_bytes: u64) -> Self {
        self.response_body = Some(BodyMode::Buffer(limit_bytes));
        self
    }

    fn into_wire(self, role: Role) -> wire::Reads {
        let sees_response = role == Role::ResponseTransform;
        wire::Reads {
            headers: self.headers,
            parameters: self.parameters,
            attributes: self.attributes,
            body: self.body.unwrap_or(BodyMode::None),
            response_headers: if sees_response { self.response_headers } else { Vec::new() },
            response_body: self.response_body.filter(|_| sees_response).unwrap_or(BodyMode::None),
        }
    }
}
