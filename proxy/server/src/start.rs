//! Starts the process: configuration, plugins, pipeline, sockets, in this order.

mod opening;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use pingora::apps::HttpServerOptions;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use pingora_runtime::Runtime;
use portcullis_config::{Gateway, Listener};
use portcullis_plugin_host::EngineError;
use portcullis_state::{CredentialStore, StateError};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::admin::{self, Admin};
use crate::configuration::BuildError;
use crate::current::{Current, Running};
use crate::held_bytes::HeldBytes;
use crate::last_good::{Keeper, LastGoodProblem};
use crate::listen::{BoundListener, ListenError};
use crate::proxy::Proxy;
use crate::redirect::Redirect;
use crate::reload::{Reloader, Reloads};
use crate::shared::Shared;
use crate::stop::{self, Signals};
use crate::telemetry::{AccessLogProblem, ReloadResult, Telemetry};
use crate::upstream;
use crate::watch::{self as files, Look, Wake, Watchlist};
pub use opening::Fallback;
use opening::{Opening, Prepared, ServedFrom};

/// Idle connections to upstreams that are kept, in all.
const POOLED_CONNECTIONS: usize = 4096;
/// Requests that one HTTP/2 client may have under way.
const CONCURRENT_STREAMS: u32 = 128;
/// Tries after which Pingora gives up by itself; upstreams allow fewer.
const MOST_TRIES: usize = 64;
/// Threads for what goes on beside requests.
const BACKGROUND_THREADS: usize = 2;

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot serve.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A socket cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Plugins cannot be run here.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The access log cannot be kept.
    #[error(transparent)]
    AccessLog(#[from] AccessLogProblem),
    /// The credentials cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The admin listener's address cannot be bound.
    #[error("the admin listener cannot bind {address}")]
    Admin {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The last good configuration is asked for, and nothing says where it is kept.
    #[error(
        "`--or-last-good` wants `state`, the directory that keeps the last good configuration; \
         set it, or where the configuration is too broken to say it, name it: \
         `--or-last-good=DIRECTORY`"
    )]
    NoState,
    /// The last good configuration cannot be had.
    #[error(transparent)]
    LastGood(#[from] LastGoodProblem),
    /// Neither the configuration nor the last good one can serve.
    #[error("{error}\nthe last good configuration cannot serve in its place: {problem}")]
    Unsaved {
        /// Why the configuration cannot.
        error: Box<StartError>,
        /// Why the last good one cannot.
        problem: Box<StartError>,
    },
    /// Threads or signals are not to be had.
    #[error("the process cannot be set up")]
    Process(#[from] io::Error),
}

/// Serves a configuration until the process is told to stop.
pub fn run(file: &Path, fallback: &Fallback) -> Result<(), StartError> {
    let Opening { prepared, watched, served_from } = opening::open(file, fallback)?;
    let Prepared { telemetry, credentials, engine, setup, fixed, listeners, running } = prepared;
    let background = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .thread_name("background")
        .enable_all()
        .build()?;
    background.block_on(running.upstreams.resolve_all());
    background.block_on(running.pipeline.limits().start(background.handle()));
    let shared = share(running, (telemetry, credentials), &served_from);
    // Before anybody can know that it serves: what ends it then ends it gracefully.
    let signals = background.block_on(async { Signals::heed() })?;
    let bound = bind(&listeners)?;
    let reloader = Reloader {
        file: file.to_owned(),
        keeper: setup.state_directory.as_deref().map(|state| Keeper::new(state, file)),
        engine,
        shared: Arc::clone(&shared),
        fixed: fixed.with_listeners(&bound),
        background: background.handle().clone(),
    };
    let wake = watch_files(reloader, watched, served_from)?;
    let serving = Serving::start(bound, &setup, &shared);
    let admin = Admin::new(Arc::clone(&shared), admin_api(&setup, &shared));
    background.block_on(open_admin(&admin, setup.admin.as_ref()))?;
    maintain_upstreams(background.handle(), &shared, serving.stopping.subscribe());
    announce("ready");
    background.block_on(stop::wait(signals, (&serving, &admin), &shared, &wake, setup.grace));
    // A watcher that is gone has stopped already.
    let _gone = wake.send(Wake::Stop);
    serving.runtime.shutdown_timeout(Duration::from_millis(100));
    // Nobody asks any more: what was taken ahead goes back.
    let running = shared.current.load();
    background.block_on(running.pipeline.limits().stop());
    background.shutdown_timeout(Duration::from_millis(100));
    if let Some(credentials) = &shared.credentials {
        credentials.write_usage();
    }
    shared.telemetry.flush();
    Ok(())
}

fn bind(listeners: &[Listener]) -> Result<Vec<BoundListener>, ListenError> {
    for listener in listeners {
        let is_plain = listener.tls.is_none() && listener.redirect_to_https.is_none();
        if is_plain && !listener.address.ip().is_loopback() {
            let (name, address) = (&listener.name, listener.address);
            tracing::warn!(
                "listener `{name}` serves plain HTTP on {address}: anybody on the way can read and change it"
            );
        }
    }
    listeners.iter().map(BoundListener::bind).collect()
}

/// What is needed of a configuration to set the process up.
struct Setup {
    threads: usize,
    grace: Duration,
    keep_alive: Duration,
    header_bytes: usize,
    admin: Option<portcullis_config::Admin>,
    state_directory: Option<PathBuf>,
}

impl Setup {
    fn of(gateway: &Gateway) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            threads: gateway.workers.unwrap_or(cores),
            grace: gateway.shutdown.grace,
            keep_alive: gateway.limits.keep_alive,
            header_bytes: gateway.limits.header_bytes,
            admin: gateway.admin.clone(),
            state_directory: gateway.state_directory.clone(),
        }
    }
}

fn share(
    running: Running,
    (telemetry, credentials): (Arc<Telemetry>, Option<Arc<CredentialStore>>),
    served_from: &ServedFrom,
) -> Arc<Shared> {
    let reloads = match served_from {
        ServedFrom::Files(_) => {
            telemetry.count_reload(ReloadResult::Replaced, running.generation);
            Reloads::started(running.generation)
        }
        ServedFrom::LastGood { time_ms, instead_of } => {
            telemetry.count_reload(ReloadResult::Refused, running.generation);
            telemetry.last_good_serves();
            Reloads::started_from_last_good(running.generation, *time_ms, instead_of)
        }
    };
    Arc::new(Shared {
        current: Current::new(running),
        held_bytes: HeldBytes::default(),
        credentials,
        reloads,
        telemetry,
    })
}

/// The threads that serve clients.
pub(crate) struct Serving {
    runtime: Runtime,
    /// Turns true when no more connections are wanted.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Serving {
    /// Serves every listener, all of them over one pool of upstream connections.
    fn start(bound: Vec<BoundListener>, setup: &Setup, shared: &Arc<Shared>) -> Self {
        let runtime = Runtime::new_no_steal(setup.threads, "serving");
        let (stopping, _) = watch::channel(false);
        let proxy = Arc::new(proxy(setup, shared));
        for listener in bound {
            announce(&format!("listening {} {}", listener.spec.name, listener.address));
            match listener.spec.redirect_to_https {
                Some(port) => {
                    let app = Arc::new(Redirect::new(Arc::clone(shared), port));
                    let (service, sockets) = listener.serve(app, Arc::clone(shared));
                    spawn(&runtime, service, sockets, stopping.subscribe());
                }
                None => {
                    let (service, sockets) = listener.serve(Arc::clone(&proxy), Arc::clone(shared));
                    spawn(&runtime, service, sockets, stopping.subscribe());
                }
            }
        }
        Self { runtime, stopping }
    }
}

fn spawn(
    runtime: &Runtime,
    mut service: impl Service + 'static,
    sockets: ListenFds,
    stopping: ShutdownWatch,
) {
    runtime
        .get_handle()
        .spawn(async move { service.start_service(Some(sockets), stopping, 1).await });
}

/// Pingora's proxy with our callbacks.
fn proxy(setup: &Setup, shared: &Arc<Shared>) -> HttpProxy<Proxy> {
    let conf = ServerConf {
        threads: setup.threads,
        work_stealing: false,
        max_retries: MOST_TRIES,
        upstream_keepalive_pool_size: POOLED_CONNECTIONS,
        ..ServerConf::default()
    };
    let mut proxy = http_proxy(&Arc::new(conf), Proxy::new(Arc::clone(shared)));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(setup.keep_alive);
    proxy.server_options = Some(options);
    proxy.h2_options = Some(h2_options(setup));
    proxy
}

fn h2_options(setup: &Setup) -> H2Options {
    let mut options = default_h2_options();
    options.max_header_list_size(u32::try_from(setup.header_bytes).unwrap_or(u32::MAX));
    options.max_concurrent_streams(CONCURRENT_STREAMS);
    options
}

fn watch_files(
    reloader: Reloader,
    watched: (Watchlist, Vec<Look>),
    served_from: ServedFrom,
) -> io::Result<Sender<Wake>> {
    let (wake, notices) = channel();
    let own = wake.clone();
    let thread = std::thread::Builder::new().name("reload".into());
    let begin = move |reloader: &Reloader, watchlist: &Watchlist| {
        if let ServedFrom::Files(contents) = served_from {
            reloader.keep(&contents, watchlist);
        }
    };
    thread.spawn(move || files::run(&reloader, watched, begin, (&notices, &own)))?;
    Ok(wake)
}

/// What operators with the token reach; nothing where there is none.
fn admin_api(setup: &Setup, shared: &Shared) -> Option<admin::Api> {
    let admin = setup.admin.as_ref()?;
    let state = setup.state_directory.clone().zip(shared.credentials.clone());
    Some(admin::Api::new(admin.token.as_ref()?, &admin.hosts, state))
}

async fn open_admin(
    admin: &Admin,
    configured: Option<&portcullis_config::Admin>,
) -> Result<(), StartError> {
    let Some(&portcullis_config::Admin { address, .. }) = configured else { return Ok(()) };
    let bound =
        admin.listen(address).await.map_err(|source| StartError::Admin { address, source })?;
    announce(&format!("listening admin {bound}"));
    Ok(())
}

fn maintain_upstreams(background: &Handle, shared: &Arc<Shared>, mut stopping: ShutdownWatch) {
    let shared = Arc::clone(shared);
    let current = move || Arc::clone(&shared.current.load().upstreams);
    background.spawn(upstream::maintain(current, async move {
        // An error means that nobody can say it any more: also a reason to stop.
        let _stopped = stopping.wait_for(|stopping| *stopping).await;
    }));
}

/// Tells whoever started the process how it is coming along.
fn announce(line: &str) {
    // A closed standard output is no reason not to serve.
    let _closed = writeln!(io::stdout(), "{line}");
}
