//! What an author implements.

use std::convert::Infallible;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    Charge, Denial, Grant, JsonError, Plan, Request, RequestOutcome, Response, ResponseOutcome,
    SettingsError, Violation,
};

/// A plugin: a type made from its settings, once, when a configuration is loaded.
///
/// A plugin that is its settings says `type Settings = Self`. One that prepares
/// something of them (compiles a pattern, refuses a combination) implements
/// `TryFrom<TheSettings, Error = SettingsError>`.
///
/// Making it may call [`log`](crate::log) and nothing else of the host.
pub trait Plugin:
    TryFrom<Self::Settings, Error: Into<SettingsError>> + Send + Sync + 'static
{
    /// The settings. Their JSON Schema is shown to operators and checked before
    /// the plugin sees them; add `#[serde(deny_unknown_fields)]`.
    type Settings: DeserializeOwned + JsonSchema;

    /// Says what the plugin needs under these settings.
    fn plan(&self) -> Plan;
}

/// Decides who the caller is and whether the request may go on.
pub trait Authorizer: Plugin {
    /// Who is it, and may they?
    fn authorize(&self, request: &Request) -> Result<Grant, Denial>;
}

/// Decides whether a message is what the route promises its upstream.
pub trait Validator: Plugin {
    /// Lists everything wrong; empty lets the request go on.
    fn validate(&self, request: &Request) -> Vec<Violation>;
}

/// Says which limits of its plan a request is charged to.
pub trait Limiter: Plugin {
    /// Lists what the request takes; empty lets it pass freely.
    fn limit(&self, request: &Request) -> Vec<Charge>;
}

/// Rewrites a request on its way to the upstream, or answers it.
pub trait RequestTransform: Plugin {
    /// Transforms one request.
    fn transform_request(&self, request: &Request) -> RequestOutcome;
}

/// Rewrites a response on its way to the client.
pub trait ResponseTransform: Plugin {
    /// Transforms the response to one request.
    fn transform_response(&self, request: &Request, response: &Response) -> ResponseOutcome;
}

/// Makes a plugin of its settings, a JSON text.
pub(crate) fn configure<P: Plugin>(settings: &str) -> Result<P, SettingsError> {
    let settings: P::Settings = crate::json::from_slice(settings.as_bytes())?;
    P::try_from(settings).map_err(Into::into)
}

impl SettingsError {
    /// Refuses the settings as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self::at("", message)
    }

    /// Refuses the member a JSON Pointer names, such as `/tokens/alice`.
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl From<JsonError> for SettingsError {
    fn from(error: JsonError) -> Self {
        Self { pointer: error.pointer, message: error.message }
    }
}

/// A plugin that is its settings cannot refuse them.
impl From<Infallible> for SettingsError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
