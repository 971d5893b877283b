//! Why a plugin use cannot be loaded, and where in the configuration to mend it.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_config::{Diagnostic, Origin, Place, PluginUse, Role};
use portcullis_pipeline::PluginFault;

use crate::capability::{AuthoritiesProblem, IssuerProblem, KeySetProblem};
use crate::component_source::SourceProblem;
use crate::inspect::{CREDENTIALS, ComponentProblem, HTTP, KEYVALUE};

/// Why a plugin use cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadProblem {
    #[error(transparent)]
    Source(#[from] SourceProblem),
    #[error("{0}")]
    Component(#[from] ComponentProblem),
    #[error("the component cannot be linked: {0}")]
    Link(String),
    #[error("it is used as {}, and exports {}", role.as_str(), list(exported))]
    Role { role: Role, exported: Vec<Role> },
    #[error("its `{call}` failed: it {fault}")]
    Fault { call: &'static str, fault: PluginFault },
    #[error("it took longer than {} s to describe or configure itself", .0.as_secs())]
    TooSlow(Duration),
    #[error("its settings schema is broken: {0}")]
    Schema(String),
    #[error("{message}")]
    Settings { pointer: String, message: String },
    #[error("its plan says nothing of the role {}", .0.as_str())]
    NoPlan(Role),
    #[error("it wants to read a response as {}, which has none", .0.as_str())]
    ReadsResponse(Role),
    #[error("the limit `{name}` of its plan: {why}")]
    Limit { name: String, why: String },
    #[error("its plan reads `{0}`, which is no header name")]
    Header(String),
    #[error("its plan challenges clients with `{}`: {why}", text.escape_debug())]
    Challenge { text: String, why: &'static str },
    #[error("it asks to see the secret `{name}`, and the grant allows only its use")]
    Unrevealed { name: String },
    #[error("it makes a key of the secret `{name}`, which has {bytes} bytes and must have {least}")]
    ShortSecret { name: String, bytes: usize, least: usize },
    #[error("it asks for the {what} `{name}`, which is not granted")]
    Ungranted { what: &'static str, table: &'static str, name: String },
    #[error("it imports `{capability}`, and nothing of the kind is granted")]
    Capability { capability: String },
    #[error("it uses credentials, and there is no store of them")]
    NoStore,
    #[error("{0}")]
    Authorities(#[from] AuthoritiesProblem),
    #[error("its answers may not be cached")]
    NotCacheable,
    #[error("the keys of `{issuer}` in {path}: {problem}")]
    Keys { issuer: String, path: PathBuf, problem: KeySetProblem },
    #[error("its plan calls `{text}`, which is no origin: {why}")]
    Origin { text: String, why: &'static str },
    #[error("the keys that its settings give for `{issuer}`: {problem}")]
    PlannedKeys { issuer: String, problem: KeySetProblem },
    #[error("neither its settings nor a grant say where the keys of `{issuer}` are")]
    KeysNowhere { issuer: String },
    #[error("it asks for the keys of `{issuer}` at `{url}`: {problem}")]
    PlannedUrl { issuer: String, url: String, problem: &'static str },
    #[error("the keys of `{issuer}` cannot be fetched: {problem}")]
    KeysUnfetched { issuer: String, problem: IssuerProblem },
}

impl LoadProblem {
    /// An origin that the plan calls and nothing grants.
    pub(crate) fn ungranted_origin(origin: &Origin) -> Self {
        Self::Ungranted { what: "origin", table: "http", name: origin.to_string() }
    }

    /// The problem at its place, with what to do about it.
    pub(crate) fn diagnostic(self, plugin_use: &PluginUse) -> Diagnostic {
        let place = match &self {
            Self::Settings { pointer, .. } => settings_place(plugin_use, pointer),
            Self::Unrevealed { name } | Self::ShortSecret { name, .. } => {
                plugin_use.secret_places.get(name).unwrap_or(&plugin_use.plugin_place)
            }
            _ => &plugin_use.plugin_place,
        };
        let diagnostic = Diagnostic::at(place, format!("plugin `{}`: {self}", plugin_use.plugin));
        match self.help() {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Source(SourceProblem::Unknown { known, .. }) if known.is_empty() => {
                Some("there are none; set `plugins` to the directory that holds them".to_owned())
            }
            Self::Source(SourceProblem::Unknown { known, .. }) => {
                let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("known: {}", quoted.join(", ")))
            }
            Self::Ungranted { table, name, .. } => Some(match *table {
                "http" => format!("grant it: grants.http = {{ origins = [\"{name}\"] }}"),
                "secrets" => format!("grant it: grants.secrets.{name} = {{ env = \"…\" }}"),
                _ => format!("grant it: grants.issuers.\"{name}\" = {{ jwks = \"…\" }}"),
            }),
            Self::Capability { capability } => Some(match capability.as_str() {
                "secrets" => "grant what it may use under `grants.secrets`".to_owned(),
                CREDENTIALS => "grant it: grants.credentials = true".to_owned(),
                HTTP => "grant it: grants.http = { origins = [\"https://…\"] }".to_owned(),
                KEYVALUE => "grant it: grants.keyvalue = { size = \"16MiB\" }".to_owned(),
                _ => "grant whose keys it may use under `grants.issuers`".to_owned(),
            }),
            Self::Unrevealed { .. } => Some("if it may, say it: `reveal = true`".to_owned()),
            Self::ShortSecret { least, .. } => {
                Some(format!("make one that nobody can guess: openssl rand -hex {least}"))
            }
            Self::KeysNowhere { issuer } => {
                Some(format!("say it: grants.issuers.\"{issuer}\" = {{ discovery = true }}"))
            }
            Self::NoStore => {
                Some("set `state` to the directory that is to keep the store".to_owned())
            }
            Self::NotCacheable => Some("remove `cache`".to_owned()),
            _ => None,
        }
    }
}

/// The place of the settings' member, or of the nearest one around it.
fn settings_place<'a>(plugin_use: &'a PluginUse, pointer: &str) -> &'a Place {
    let mut pointer = pointer;
    loop {
        if let Some(place) = plugin_use.settings_places.get(pointer) {
            return place;
        }
        match pointer.rfind('/') {
            Some(end) => pointer = pointer.get(..end).unwrap_or_default(),
            None => return &plugin_use.plugin_place,
        }
    }
}

fn list(roles: &[Role]) -> String {
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    names.join(", ")
}
