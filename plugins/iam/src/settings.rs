//! What the operator writes.

use portcullis_plugin_sdk::SettingsError;
use schemars::JsonSchema;
use serde::Deserialize;

/// More than any clock is wrong.
const MOST_SKEW_SECONDS: u64 = 3600;

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The regions that signatures may be scoped to; any where empty.
    #[serde(default)]
    regions: Vec<String>,
    /// The service that signatures must be scoped to.
    #[serde(default = "default_service")]
    service: String,
    /// Seconds by which a client's clock may differ, at most 3600.
    #[serde(default = "default_skew")]
    clock_skew_seconds: u64,
    /// Whether `UNSIGNED-PAYLOAD` is accepted in the place of the body's hash.
    #[serde(default)]
    unsigned_payload: bool,
    /// Names of headers `x-amz-…` that may come unsigned, beside
    /// `x-amz-content-sha256`: those that something on the way adds.
    #[serde(default)]
    unsigned_headers: Vec<String>,
    /// How clients sign the path.
    #[serde(default)]
    path: Path,
    /// What a caller may do once known.
    #[serde(default)]
    policies: Policies,
    /// The status of a refusal: 403, as Amazon answers, or 401.
    #[serde(default = "default_status")]
    refuse_with: u16,
}

/// How clients sign the path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Path {
    /// Normalised, and percent-encoded once more: for every service but S3.
    #[default]
    Normalized,
    /// As it is sent: for S3.
    AsSent,
}

/// What a caller may do once known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Policies {
    /// What the policies allow that are attached to the access key; without one, nothing.
    #[default]
    Attached,
    /// Anything.
    None,
}

/// The status of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefuseWith {
    Unauthorized,
    Forbidden,
}

/// An authorizer by signature.
#[derive(Debug)]
pub(crate) struct Iam {
    pub(crate) regions: Vec<String>,
    pub(crate) service: String,
    pub(crate) clock_skew_seconds: u64,
    pub(crate) unsigned_payload: bool,
    pub(crate) unsigned_headers: Vec<String>,
    pub(crate) path: Path,
    pub(crate) policies: Policies,
    pub(crate) refuse_with: RefuseWith,
}

impl TryFrom<Settings> for Iam {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        if settings.clock_skew_seconds > MOST_SKEW_SECONDS {
            return Err(SettingsError::at(
                "/clock_skew_seconds",
                format!(
                    "a window this wide lets old requests in again; at most {MOST_SKEW_SECONDS}"
                ),
            ));
        }
        for (index, name) in settings.unsigned_headers.iter().enumerate() {
            if !name.to_ascii_lowercase().starts_with("x-amz-") {
                return Err(SettingsError::at(
                    format!("/unsigned_headers/{index}"),
                    "only headers named `x-amz-…` must be signed; remove it",
                ));
            }
            if name.eq_ignore_ascii_case("x-amz-date")
                || name.eq_ignore_ascii_case("x-amz-security-token")
            {
                return Err(SettingsError::at(
                    format!("/unsigned_headers/{index}"),
                    "this header is part of the signature's own terms; remove it",
                ));
            }
        }
        if settings.service.is_empty() {
            return Err(SettingsError::at("/service", "name a service, such as `execute-api`"));
        }
        let refuse_with = match settings.refuse_with {
            401 => RefuseWith::Unauthorized,
            403 => RefuseWith::Forbidden,
            _ => return Err(SettingsError::at("/refuse_with", "write 403 or 401")),
        };
        let lowered = settings.unsigned_headers.iter().map(|name| name.to_ascii_lowercase());
        Ok(Self {
            regions: settings.regions,
            service: settings.service,
            clock_skew_seconds: settings.clock_skew_seconds,
            unsigned_payload: settings.unsigned_payload,
            unsigned_headers: lowered.collect(),
            path: settings.path,
            policies: settings.policies,
            refuse_with,
        })
    }
}

fn default_service() -> String {
    "execute-api".to_owned()
}

fn default_skew() -> u64 {
    300
}

fn default_status() -> u16 {
    403
}
