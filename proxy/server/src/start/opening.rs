//! What a process begins to serve: the configuration as it stands or, where that cannot
//! serve and it is asked for, the last good one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::{Gateway, Listener};
use portcullis_plugin_host::{ComponentFiles, Engine};
use portcullis_state::{CredentialStore, now_ms};

use super::{Setup, StartError};
use crate::configuration::{self, BuildError, Contents, Written};
use crate::credentials;
use crate::current::Running;
use crate::last_good::{self, LastGood, LastGoodProblem};
use crate::listen;
use crate::reload::Fixed;
use crate::telemetry::Telemetry;
use crate::watch::{Look, Watchlist};

/// What to do at the start with a configuration that cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// Do not start.
    Refuse,
    /// Serve the last good one, kept in this state directory or, where none is named, in
    /// the one that the configuration names as far as it can be read.
    LastGood(Option<PathBuf>),
}

/// What a process begins to serve.
pub(super) struct Opening {
    pub(super) prepared: Prepared,
    /// The files whose change matters, and how they looked before it was made of them.
    pub(super) watched: (Watchlist, Vec<Look>),
    pub(super) served_from: ServedFrom,
}

/// Where what serves was read from.
pub(super) enum ServedFrom {
    /// The files as they stand, with this content.
    Files(Contents),
    /// The copy of the last good one, kept at this time.
    LastGood {
        time_ms: u64,
        /// Why the files as they stand do not serve.
        instead_of: StartError,
    },
}

/// A configuration that can serve, before its sockets are opened.
pub(super) struct Prepared {
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) credentials: Option<Arc<CredentialStore>>,
    pub(super) engine: Engine,
    pub(super) setup: Setup,
    pub(super) fixed: Fixed,
    pub(super) listeners: Vec<Listener>,
    pub(super) running: Running,
}

impl Prepared {
    fn of(gateway: Gateway, files: ComponentFiles<'_>) -> Result<Self, StartError> {
        let telemetry = Arc::new(Telemetry::start(&gateway.access_log)?);
        let credentials = open_credentials(&gateway)?;
        let source = credentials.as_ref().map(credentials::source);
        let engine = configuration::engine(&gateway, source)?;
        for listener in &gateway.listeners {
            listen::acceptor(listener).map_err(BuildError::from)?;
        }
        let (setup, fixed) = (Setup::of(&gateway), Fixed::of(&gateway));
        let listeners = gateway.listeners.clone();
        let plugins = engine.load_from(&gateway, files, None);
        let plugins = plugins.map_err(BuildError::from)?;
        let running =
            configuration::build(plugins, gateway, credentials.clone(), None, &telemetry)?;
        Ok(Self { telemetry, credentials, engine, setup, fixed, listeners, running })
    }
}

/// Reads the store of credentials, and keeps up with it from now on.
fn open_credentials(gateway: &Gateway) -> Result<Option<Arc<CredentialStore>>, StartError> {
    let Some(directory) = &gateway.state_directory else { return Ok(None) };
    let store = CredentialStore::open(directory)?;
    store.watch()?;
    Ok(Some(store))
}

/// Finds out what to serve.
pub(super) fn open(file: &Path, fallback: &Fallback) -> Result<Opening, StartError> {
    let Written { gateway, files, contents } = configuration::read(file);
    let plugins = gateway.as_ref().ok().and_then(|gateway| gateway.plugin_directory.clone());
    let watchlist = Watchlist { files, plugins };
    let seen = watchlist.look();
    let prepared = gateway.map_err(BuildError::from).map_err(StartError::from);
    let prepared = prepared.and_then(|gateway| {
        if gateway.state_directory.is_none() && *fallback != Fallback::Refuse {
            return Err(StartError::NoState);
        }
        let directory = gateway.plugin_directory.clone();
        Prepared::of(gateway, ComponentFiles::In(directory.as_deref()))
    });
    match (prepared, fallback) {
        (Ok(prepared), _) => {
            let watched = (watchlist, seen);
            Ok(Opening { prepared, watched, served_from: ServedFrom::Files(contents) })
        }
        (
            Err(error @ (StartError::Build(_) | StartError::AccessLog(_))),
            Fallback::LastGood(state),
        ) => open_last_good(file, state.clone(), (error, watchlist)),
        (Err(error), _) => Err(error),
    }
}

fn open_last_good(
    file: &Path,
    state: Option<PathBuf>,
    (error, mut watchlist): (StartError, Watchlist),
) -> Result<Opening, StartError> {
    let state = state.or_else(|| portcullis_config::salvaged_state_directory(file));
    let Some(state) = state else {
        return Err(StartError::Unsaved {
            error: Box::new(error),
            problem: Box::new(StartError::NoState),
        });
    };
    let prepared = last_good::open(&state, file).map_err(StartError::LastGood).and_then(|copy| {
        let LastGood { gateway, components, time_ms } = copy;
        if watchlist.plugins.is_none() {
            watchlist.plugins.clone_from(&gateway.plugin_directory);
        }
        let seen = watchlist.look();
        let prepared = Prepared::of(gateway, ComponentFiles::Kept(&components));
        let prepared = prepared.map_err(|error| match error {
            StartError::Build(error) => LastGoodProblem::Refused(Box::new(error)).into(),
            error => error,
        });
        Ok((prepared?, seen, time_ms))
    });
    match prepared {
        Ok((prepared, seen, time_ms)) => {
            tracing::error!(
                "THE LAST GOOD CONFIGURATION SERVES, kept {} in `{}`, because the one in `{}` cannot; \
                 that one serves as soon as it is right:\n{error}",
                ago(time_ms),
                state.display(),
                file.display(),
            );
            let served_from = ServedFrom::LastGood { time_ms, instead_of: error };
            Ok(Opening { prepared, watched: (watchlist, seen), served_from })
        }
        Err(problem) => {
            Err(StartError::Unsaved { error: Box::new(error), problem: Box::new(problem) })
        }
    }
}

/// How long ago a time was, in words.
fn ago(time_ms: u64) -> String {
    let seconds = Duration::from_millis(now_ms().saturating_sub(time_ms)).as_secs();
    match seconds {
        0..120 => format!("{seconds} seconds ago"),
        120..7_200 => format!("{} minutes ago", seconds / 60),
        7_200..172_800 => format!("{} hours ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
