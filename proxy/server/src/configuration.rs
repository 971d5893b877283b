//! From a configuration file to what serves.

mod watched;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_config::{
    Api, Diagnostic, Diagnostics, Gateway, Listener, Place, PluginUse, Surroundings,
};
use portcullis_pipeline::{Pipeline, Unreached};
use portcullis_plugin_host::{CredentialSource, Engine, EngineError, EngineSettings, PluginHost};
use portcullis_state::{CredentialStore, StateError};

use crate::credentials;
use crate::current::Running;
use crate::limiting::GatewayLimits;
use crate::listen::{self, ListenError};
use crate::telemetry::Telemetry;
use crate::upstream::{UpstreamBuildError, Upstreams};
pub(crate) use watched::Contents;
use watched::Watched;

/// Why a configuration cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The text, or a plugin, is at fault: shown at its place.
    #[error("{0}")]
    Diagnosed(#[from] Diagnostics),
    /// An upstream cannot be reached this way.
    #[error("{0}")]
    Upstream(Box<dyn std::error::Error + Send + Sync>),
    /// Shared limits cannot be counted this way.
    #[error("`shared_limits`: {0}")]
    SharedLimits(#[from] redis::RedisError),
    /// A listener cannot serve this way.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl From<UpstreamBuildError> for BuildError {
    fn from(error: UpstreamBuildError) -> Self {
        Self::Upstream(Box::new(error))
    }
}

/// A configuration as read, and what it was read from.
pub(crate) struct Written {
    /// The configuration, checked.
    pub(crate) gateway: Result<Gateway, Diagnostics>,
    /// Every file that was looked at.
    pub(crate) files: BTreeSet<PathBuf>,
    /// What was read of them.
    pub(crate) contents: Contents,
}

/// Reads and checks a configuration file.
pub(crate) fn read(file: &Path) -> Written {
    let watched = Watched::default();
    let text = watched.read(file).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    let gateway = match text {
        Ok(text) => parse(&text, file, &watched),
        Err(error) => Err(unreadable(file, &error)),
    };
    let (mut files, contents) = watched.into_parts();
    if let Ok(gateway) = &gateway {
        files.extend(files_of(gateway));
    }
    Written { gateway, files, contents }
}

/// Checks the text of a configuration file within its surroundings.
pub(crate) fn parse(
    text: &str,
    file: &Path,
    surroundings: &dyn Surroundings,
) -> Result<Gateway, Diagnostics> {
    let directory = file.parent().unwrap_or(Path::new(""));
    portcullis_config::parse_within(text, &file.display().to_string(), directory, surroundings)
}

/// Starts the engine that a configuration's plugins run on.
pub(crate) fn engine(
    gateway: &Gateway,
    credentials: Option<Arc<dyn CredentialSource>>,
) -> Result<Engine, EngineError> {
    let cache_directory = gateway.state_directory.clone();
    Engine::start(EngineSettings {
        cache_directory,
        builtins: portcullis_builtin_plugins::components().to_vec(),
        credentials,
    })
}

/// Builds what serves a configuration with its plugins, which are loaded.
pub(crate) fn build(
    plugins: PluginHost,
    gateway: Gateway,
    credentials: Option<Arc<CredentialStore>>,
    previous: Option<&Running>,
    telemetry: &Telemetry,
) -> Result<Running, BuildError> {
    let upstreams = Upstreams::build(&gateway, previous.map(|running| running.upstreams.as_ref()))?;
    let known = previous.map(|running| running.pipeline.limits());
    let limits = GatewayLimits::new((&gateway, &plugins), credentials, known)?;
    let pipeline = pipeline(gateway.apis, (plugins, limits), &gateway.plugin_uses)?;
    let route_metrics = telemetry.route_metrics(pipeline.routes().routes());
    Ok(Running {
        pipeline,
        upstreams: Arc::new(upstreams),
        limits: gateway.limits,
        plans: gateway.plans,
        trusted_proxies: gateway.trusted_proxies,
        route_metrics: Arc::new(route_metrics),
        generation: previous.map_or(1, |running| running.generation + 1),
        living: telemetry.generation(),
    })
}

/// Puts routes and plugins together.
fn pipeline(
    apis: Vec<Api>,
    (plugins, limits): (PluginHost, GatewayLimits),
    uses: &[PluginUse],
) -> Result<Pipeline<PluginHost, GatewayLimits>, Diagnostics> {
    let pipeline = Pipeline::new(apis, plugins, limits);
    let problem = |Unreached { plugin, path }: Unreached| {
        let used = uses.get(plugin.0)?;
        let message = format!(
            "plugin `{}`: it answers `{path}` itself, and no GET request for it comes to a route of `{}`",
            used.plugin, used.name,
        );
        let help = format!(
            "let an API have such a route: `\"GET {path}\" = {{ authorizer = \"{}\" }}`, without the API's base path",
            used.name,
        );
        Some(Diagnostic::at(&used.plugin_place, message).with_help(help))
    };
    let problems = pipeline.unreached().into_iter().filter_map(problem).collect();
    match Diagnostics::from_problems(problems) {
        Some(diagnostics) => Err(diagnostics),
        None => Ok(pipeline),
    }
}

/// Checks everything about a configuration short of serving it.
pub fn check(file: &Path) -> Result<Checked, CheckError> {
    let gateway = read(file).gateway.map_err(BuildError::from)?;
    for listener in &gateway.listeners {
        listen::acceptor(listener).map_err(BuildError::from)?;
    }
    let directory = gateway.state_directory.as_deref();
    let credentials = directory.map(credentials::source_to_check).transpose()?;
    let engine = engine(&gateway, credentials)?;
    let plugins = engine.load(&gateway, None).map_err(BuildError::from)?;
    Upstreams::build(&gateway, None).map_err(BuildError::from)?;
    let checked = Checked {
        listeners: gateway.listeners.len(),
        routes: gateway.apis.iter().map(|api| api.routes.len()).sum(),
        plugins: gateway.plugin_uses.len(),
    };
    let limits = GatewayLimits::new((&gateway, &plugins), None, None).map_err(BuildError::from)?;
    pipeline(gateway.apis, (plugins, limits), &gateway.plugin_uses).map_err(BuildError::from)?;
    Ok(checked)
}

/// What a usable configuration holds.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    /// Listeners.
    pub listeners: usize,
    /// Routes.
    pub routes: usize,
    /// Uses of plugins.
    pub plugins: usize,
}

/// Why a configuration could not be found usable.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is not.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Plugins cannot be run here at all.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The credentials cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

fn unreadable(file: &Path, error: &io::Error) -> Diagnostics {
    // `load` makes the same diagnostic; it is asked for, so that both read alike.
    match portcullis_config::load(file) {
        Err(diagnostics) => diagnostics,
        Ok(_) => {
            Diagnostic::at(&Place::synthetic(), format!("this file cannot be read: {error}")).into()
        }
    }
}

/// The files that only those who serve look at.
fn files_of(gateway: &Gateway) -> BTreeSet<PathBuf> {
    let listeners =
        gateway.listeners.iter().filter_map(|listener: &Listener| listener.tls.as_ref());
    let listeners = listeners.flat_map(|tls| {
        let pairs = tls.certificates.iter().flat_map(|files| [&files.certificate, &files.key]);
        pairs.chain(&tls.client_ca).chain(&tls.client_crl)
    });
    let upstreams = gateway.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref());
    let upstreams = upstreams.flat_map(|tls| {
        let pairs =
            tls.client_certificate.iter().flat_map(|files| [&files.certificate, &files.key]);
        pairs.chain(&tls.ca)
    });
    listeners.chain(upstreams).cloned().collect()
}
