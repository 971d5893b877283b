//! Replaces the running configuration: builds beside it, swaps, or reports and keeps.

mod history;

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_config::{AccessLog, Admin, Gateway, Listener};
use portcullis_plugin_host::Engine;
use tokio::runtime::Handle;

use crate::configuration::{self, BuildError, Contents};
use crate::last_good::{Keeper, Kept};
use crate::listen::{self, BoundListener};
use crate::shared::Shared;
use crate::telemetry::ReloadResult;
use crate::tls::TlsSwitch;
use crate::watch::Watchlist;
pub(crate) use history::Reloads;

/// Builds configurations and replaces the running one.
pub(crate) struct Reloader {
    pub(crate) file: PathBuf,
    /// What keeps the last good one, where there is a place for it.
    pub(crate) keeper: Option<Keeper>,
    pub(crate) engine: Engine,
    pub(crate) shared: Arc<Shared>,
    pub(crate) fixed: Fixed,
    /// Where names are resolved.
    pub(crate) background: Handle,
}

/// What a reload cannot change.
pub(crate) struct Fixed {
    listeners: Vec<LiveListener>,
    admin: Option<Admin>,
    access_log: AccessLog,
    workers: Option<usize>,
    state_directory: Option<PathBuf>,
}

/// A listener that serves.
struct LiveListener {
    spec: Listener,
    tls: Option<Arc<TlsSwitch>>,
}

impl Fixed {
    /// What this process was started with.
    pub(crate) fn of(gateway: &Gateway) -> Self {
        Self {
            listeners: Vec::new(),
            admin: gateway.admin.clone(),
            access_log: gateway.access_log.clone(),
            workers: gateway.workers,
            state_directory: gateway.state_directory.clone(),
        }
    }

    /// The same, with the listeners that serve.
    pub(crate) fn with_listeners(mut self, bound: &[BoundListener]) -> Self {
        let live = |bound: &BoundListener| LiveListener {
            spec: bound.spec.clone(),
            tls: bound.tls.clone(),
        };
        self.listeners = bound.iter().map(live).collect();
        self
    }

    /// What of a configuration waits for a restart.
    fn differences(&self, gateway: &Gateway) -> Vec<String> {
        let mut waiting = Vec::new();
        for listener in &gateway.listeners {
            match self.listeners.iter().find(|live| live.spec.name == listener.name) {
                None => waiting.push(format!("listener `{}` is new", listener.name)),
                Some(live) if !live.is_same_socket(listener) => {
                    waiting.push(format!("listener `{}` has changed", listener.name));
                }
                Some(_) => {}
            }
        }
        let is_gone = |live: &&LiveListener| {
            gateway.listeners.iter().all(|listener| listener.name != live.spec.name)
        };
        let gone = self.listeners.iter().filter(is_gone);
        waiting.extend(gone.map(|live| format!("listener `{}` is gone", live.spec.name)));
        let mut note = |differs: bool, what: &str| {
            if differs {
                waiting.push(format!("`{what}` has changed"));
            }
        };
        note(self.admin != gateway.admin, "admin");
        note(self.access_log != gateway.access_log, "access_log");
        note(self.workers != gateway.workers, "workers");
        note(self.state_directory != gateway.state_directory, "state");
        waiting
    }
}

impl LiveListener {
    fn is_same_socket(&self, other: &Listener) -> bool {
        self.spec.address == other.address
            && self.spec.redirect_to_https == other.redirect_to_https
            && self.spec.tls.is_some() == other.tls.is_some()
    }
}

impl Reloader {
    /// Reads the configuration again, and serves it if it can be served. Says which
    /// files the next look should be at.
    pub(crate) fn reload(&self) -> Watchlist {
        let written = configuration::read(&self.file);
        let mut watchlist = Watchlist { files: written.files, plugins: None };
        let replaced = written.gateway.map_err(BuildError::from).and_then(|gateway| {
            watchlist.plugins.clone_from(&gateway.plugin_directory);
            self.replace(gateway)
        });
        let telemetry = &self.shared.telemetry;
        match replaced {
            Ok(generation) => {
                tracing::info!(generation, "configuration replaced");
                telemetry.count_reload(ReloadResult::Replaced, generation);
                telemetry.files_serve();
                self.shared.reloads.replaced(generation);
                self.keep(&written.contents, &watchlist);
            }
            Err(error) => {
                let generation = self.shared.current.load().generation;
                tracing::error!(
                    generation,
                    "configuration refused, the old one goes on serving:\n{error}"
                );
                telemetry.count_reload(ReloadResult::Refused, generation);
                self.shared.reloads.refused(generation, &error);
            }
        }
        watchlist
    }

    /// Keeps what serves as the last good one.
    pub(crate) fn keep(&self, contents: &Contents, watchlist: &Watchlist) {
        let Some(keeper) = &self.keeper else { return };
        let running = self.shared.current.load();
        match keeper.keep(contents, running.pipeline.plugins(), watchlist.plugins.as_deref()) {
            Ok(Kept::Written) => self.shared.telemetry.count_last_good_kept(),
            Ok(Kept::Already) => {}
            Err(problem) => tracing::warn!(
                "the configuration serves, and is not kept as the last good one: {problem}"
            ),
        }
    }

    fn replace(&self, gateway: Gateway) -> Result<u64, BuildError> {
        let waiting = self.fixed.differences(&gateway);
        let mut handshakes = Vec::new();
        for live in &self.fixed.listeners {
            let listener =
                gateway.listeners.iter().find(|listener| listener.name == live.spec.name);
            if let (Some(switch), Some(listener)) = (&live.tls, listener)
                && let Some(acceptor) = listen::acceptor(listener)?
            {
                handshakes.push((switch, acceptor));
            }
        }
        let previous = self.shared.current.load();
        let plugins = self.engine.load(&gateway, Some(previous.pipeline.plugins()))?;
        let running = configuration::build(
            plugins,
            gateway,
            self.shared.credentials.clone(),
            Some(&previous),
            &self.shared.telemetry,
        )?;
        self.background.block_on(running.upstreams.resolve_all());
        self.background.block_on(running.pipeline.limits().start(&self.background));
        let generation = running.generation;
        self.shared.current.replace(running);
        for (switch, acceptor) in handshakes {
            switch.replace(acceptor);
        }
        for what in waiting {
            tracing::warn!("{what}: this needs a restart");
        }
        Ok(generation)
    }
}
