//! A file of cases: requests in, expected decisions out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use portcullis_config::Role;
use serde::Deserialize;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    /// The plugin's settings.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, toml::Value>,
    /// Secrets the plugin is granted, in the clear: use made-up ones.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
    /// What the plugin may do beyond that, as a configuration writes it; read by
    /// `portcullis_config::grants`.
    #[serde(default, rename = "grants")]
    pub(super) _grants: serde::de::IgnoredAny,
    /// What services answer, for every case.
    #[serde(default)]
    pub(super) answer: Vec<CaseAnswer>,
    /// The cases.
    #[serde(default)]
    pub(super) case: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// The promise it shows.
    pub(super) name: String,
    /// The role that is called; may be left out where the plugin plays one only.
    pub(super) role: Option<CaseRole>,
    /// The argument of the use.
    pub(super) argument: Option<String>,
    /// The request.
    pub(super) request: CaseRequest,
    /// The response, for a response-transform.
    pub(super) response: Option<CaseResponse>,
    /// What services answer in this case, before what they answer in every one.
    #[serde(default)]
    pub(super) answer: Vec<CaseAnswer>,
    /// What must come of it.
    pub(super) expect: Expected,
    /// Microseconds the call may take, the median of several.
    pub(super) within_us: Option<u64>,
}

/// A role, as the contract writes it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CaseRole {
    Authorizer,
    Validator,
    RequestTransform,
    ResponseTransform,
    Limiter,
}

impl From<CaseRole> for Role {
    fn from(role: CaseRole) -> Self {
        match role {
            CaseRole::Authorizer => Self::Authorizer,
            CaseRole::Validator => Self::Validator,
            CaseRole::RequestTransform => Self::RequestTransform,
            CaseRole::ResponseTransform => Self::ResponseTransform,
            CaseRole::Limiter => Self::Limiter,
        }
    }
}

/// A request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseRequest {
    /// The method.
    #[serde(default = "get")]
    pub(super) method: String,
    /// The path, with its query where there is one.
    #[serde(default = "root")]
    pub(super) target: String,
    /// The host.
    #[serde(default = "host")]
    pub(super) host: String,
    /// The headers; a list of values stands for repeated ones.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, OneOrMany>,
    /// The body.
    #[serde(default)]
    pub(super) body: String,
    /// The client's address.
    #[serde(default = "client")]
    pub(super) client: std::net::IpAddr,
    /// When it arrived, in milliseconds since 1970-01-01T00:00:00Z.
    #[serde(default)]
    pub(super) time_ms: u64,
    /// The route's path parameters: `path:<name>`.
    #[serde(default)]
    pub(super) path_parameters: BTreeMap<String, String>,
    /// The values of the stage: `stage:<name>`.
    #[serde(default)]
    pub(super) stage_values: BTreeMap<String, String>,
    /// Who the caller is, for a role after authorization.
    pub(super) identity: Option<CaseIdentity>,
}

/// Who the caller is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseIdentity {
    /// `identity:principal`.
    pub(super) principal: String,
    /// `identity:<name>`.
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
}

/// A response of the upstream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseResponse {
    /// The status.
    #[serde(default = "ok")]
    pub(super) status: u16,
    /// The headers.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, OneOrMany>,
    /// The body.
    #[serde(default)]
    pub(super) body: String,
}

/// What a service answers, at the origin that `{answers}` in the settings stands for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseAnswer {
    /// The method it is an answer to; any where absent.
    pub(super) method: Option<String>,
    /// The path it is an answer to, whatever the query; or path and query.
    pub(super) path: String,
    /// The status.
    #[serde(default = "ok")]
    pub(super) status: u16,
    /// The headers.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, OneOrMany>,
    /// The body.
    #[serde(default)]
    pub(super) body: String,
}

/// One value or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl CaseFile {
    /// Reads a file of cases.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| name.to_string())?;
        toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            anyhow::anyhow!("{name}:{line}:{column}: {}", error.message())
        })
    }
}

impl OneOrMany {
    pub(super) fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// What must come of a case. What is left out may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) enum Expected {
    /// The authorizer lets it go on.
    Allow {
        /// The caller's name.
        principal: Option<String>,
        /// Attributes the identity must have.
        #[serde(default)]
        attributes: BTreeMap<String, String>,
    },
    /// The authorizer refuses it.
    Deny {
        /// `not-mine`, `unauthenticated` or `forbidden`.
        kind: Option<String>,
        /// The reason code.
        code: Option<String>,
    },
    /// The validator finds violations at exactly these places; none is valid.
    Violations(Vec<String>),
    /// The transform edits the message so that it has this.
    Edited {
        /// Headers it must have afterwards.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Headers it must not have afterwards.
        #[serde(default)]
        absent: Vec<String>,
        /// The path afterwards.
        path: Option<String>,
        /// The status afterwards.
        status: Option<u16>,
        /// The body afterwards.
        body: Option<String>,
    },
    /// The transform answers in the place of the upstream.
    Answered {
        /// The status.
        status: u16,
    },
    /// The limiter charges the request to exactly these limits, so much to each.
    Charges(BTreeMap<String, u64>),
    /// The call faults with this code.
    Fault(String),
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn host() -> String {
    "example.com".to_owned()
}

fn client() -> std::net::IpAddr {
    std::net::Ipv4Addr::LOCALHOST.into()
}

fn ok() -> u16 {
    200
}
