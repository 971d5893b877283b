//! Starts the process: configuration, plugins, pipeline, sockets, in this order.

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
use crate::configuration::{self, BuildError};
use crate::credentials;
use crate::current::{Current, Running};
use crate::held_bytes::HeldBytes;
use crate::listen::{BoundListener, ListenError};
use crate::proxy::Proxy;
use crate::redirect::Redirect;
use crate::reload::{Fixed, Reloader, Reloads};
use crate::shared::Shared;
use crate::stop;
use crate::telemetry::{AccessLogProblem, ReloadResult, Telemetry};
use crate::upstream;
use crate::watch::{self as files, Wake, Watchlist};

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
    /// Threads or signals are not to be had.
    #[error("the process cannot be set up")]
    Process(#[from] io::Error),
}

/// Serves a configuration until the process is told to stop.
pub fn run(file: &Path) -> Result<(), StartError> {
    let written = configuration::read(file);
    let gateway = written.gateway.map_err(BuildError::from)?;
    let watchlist = Watchlist { files: written.files, plugins: gateway.plugin_directory.clone() };
    let telemetry = Arc::new(Telemetry::start(&gateway.access_log)?);
    let credentials = open_credentials(&gateway)?;
    let engine = configuration::engine(&gateway, credentials.as_ref().map(credentials::source))?;
    let background = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .thread_name("background")
        .enable_all()
        .build()?;
    let (setup, fixed) = (Setup::of(&gateway), Fixed::of(&gateway));
    let listeners = gateway.listeners.clone();
    let running = configuration::build(&engine, gateway, None, &telemetry)?;
    background.block_on(running.upstreams.resolve_all());
    let shared = share(running, telemetry, credentials);
    let bound = bind(&listeners)?;
    let reloader = Reloader {
        file: file.to_owned(),
        engine,
        shared: Arc::clone(&shared),
        fixed: fixed.with_listeners(&bound),
        background: background.handle().clone(),
    };
    let wake = watch_files(reloader, watchlist)?;
    let serving = Serving::start(bound, &setup, &shared);
    let admin = Admin::new(Arc::clone(&shared), admin_api(&setup, &shared));
    background.block_on(open_admin(&admin, setup.admin.as_ref()))?;
    maintain_upstreams(background.handle(), &shared, serving.stopping.subscribe());
    announce("ready");
    background.block_on(stop::wait(&serving, &admin, &shared, &wake, setup.grace))?;
    // A watcher that is gone has stopped already.
    let _gone = wake.send(Wake::Stop);
    serving.runtime.shutdown_timeout(Duration::from_millis(100));
    background.shutdown_timeout(Duration::from_millis(100));
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

/// Reads the store of credentials, and keeps up with it from now on.
fn open_credentials(gateway: &Gateway) -> Result<Option<Arc<CredentialStore>>, StartError> {
    let Some(directory) = &gateway.state_directory else { return Ok(None) };
    let store = CredentialStore::open(directory)?;
    store.watch()?;
    Ok(Some(store))
}

fn share(
    running: Running,
    telemetry: Arc<Telemetry>,
    credentials: Option<Arc<CredentialStore>>,
) -> Arc<Shared> {
    telemetry.count_reload(ReloadResult::Replaced, running.generation);
    let reloads = Reloads::started(running.generation);
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

fn watch_files(reloader: Reloader, watchlist: Watchlist) -> io::Result<Sender<Wake>> {
    let (wake, notices) = channel();
    let own = wake.clone();
    let thread = std::thread::Builder::new().name("reload".into());
    thread.spawn(move || files::run(&reloader, watchlist, &notices, &own))?;
    Ok(wake)
}

/// What operators with the token reach; nothing where there is none.
fn admin_api(setup: &Setup, shared: &Shared) -> Option<admin::Api> {
    let token = setup.admin.as_ref()?.token.as_ref()?;
    let state = setup.state_directory.clone().zip(shared.credentials.clone());
    Some(admin::Api::new(token, state))
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
