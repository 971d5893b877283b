//! `portcullis plugin`: for whoever writes plugins.

mod answers;
mod audit;
mod build;
mod case;
mod inspect;
mod new;
mod test;

use std::path::PathBuf;

use clap::Subcommand;
use portcullis_config::{Budget, Grants, OnFault, Place, PluginUse, Role, SettingsPlaces};
use portcullis_plugin_host::{Engine, EngineError, EngineSettings};

/// What can be done with a plugin.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Start a plugin project that builds and whose tests pass.
    New(new::New),
    /// Build a plugin project to a component.
    Build(build::Build),
    /// Run a plugin's cases against the very component that ships.
    Test(test::Test),
    /// Show what a component exports, imports, reads and asks for.
    Inspect(inspect::Inspect),
    /// Compare what a component asks for with what a configuration grants it.
    Audit(audit::Audit),
}

impl PluginCommand {
    /// Runs the command; the process ends with the code it gives.
    pub(crate) fn run(self) -> anyhow::Result<std::process::ExitCode> {
        match self {
            Self::New(command) => command.run(),
            Self::Build(command) => command.run(),
            Self::Test(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Audit(command) => command.run(),
        }
    }
}

/// An engine that keeps no compiled code.
fn engine() -> Result<Engine, EngineError> {
    Engine::start(EngineSettings::default())
}

/// A use of a plugin that stands in no configuration.
fn standalone(plugin: &str, roles: Vec<Role>, settings: serde_json::Value) -> PluginUse {
    PluginUse {
        name: plugin.to_owned(),
        roles,
        plugin: plugin.to_owned(),
        plugin_place: Place::synthetic(),
        settings,
        settings_places: SettingsPlaces::default(),
        isolation: None,
        grants: Grants::default(),
        secret_places: std::collections::BTreeMap::new(),
        budget: Budget::default(),
        cache: None,
        cache_by_places: Vec::new(),
        identity_sources: Vec::new(),
        on_fault: OnFault::Deny,
        limit_sharing: None,
    }
}

/// The directory and the plugin name that a component file stands for.
fn directory_and_name(file: &std::path::Path) -> anyhow::Result<(PathBuf, String)> {
    use anyhow::Context as _;
    let stem = file.file_stem().with_context(|| format!("{}: no file", file.display()))?;
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok((directory, stem.to_string_lossy().into_owned()))
}
