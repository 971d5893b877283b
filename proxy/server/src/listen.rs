//! The sockets that accept clients, and what happens to a connection before its first
//! request.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as TcpStream;
use pingora::protocols::tls::server::handshake_with_callback;
use pingora::server::{Fds, ListenFds, ShutdownWatch};
use pingora::services::listening::Service;
use portcullis_config::Listener;
use portcullis_state::now_ms;
use tokio::time::timeout;

use crate::client_certificate::{self, ReadWhenComplete};
use crate::guarded_stream::GuardedStream;
use crate::shared::Shared;
use crate::telemetry::ConnectionFault;
use crate::tls::{self, TlsProblem, TlsSwitch};

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("listener `{name}` cannot bind {address}")]
    Bind {
        /// The listener.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its TLS cannot be prepared.
    #[error("listener `{name}`: {problem}")]
    Tls {
        /// The listener.
        name: String,
        /// Why.
        #[source]
        problem: Box<TlsProblem>,
    },
}

/// A listener whose socket is bound.
pub(crate) struct BoundListener {
    /// As configured.
    pub(crate) spec: Listener,
    /// The address it really has, where port 0 was asked for.
    pub(crate) address: SocketAddr,
    /// Its TLS.
    pub(crate) tls: Option<Arc<TlsSwitch>>,
    socket: TcpListener,
}

impl BoundListener {
    /// Prepares the TLS and binds the socket.
    pub(crate) fn bind(spec: &Listener) -> Result<Self, ListenError> {
        let tls = acceptor(spec)?.map(|acceptor| Arc::new(TlsSwitch::new(acceptor)));
        let bind =
            |source| ListenError::Bind { name: spec.name.clone(), address: spec.address, source };
        let socket = TcpListener::bind(spec.address).map_err(bind)?;
        socket.set_nonblocking(true).map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        Ok(Self { spec: spec.clone(), address, tls, socket })
    }

    /// Hands the socket to a Pingora service that serves it with an app.
    pub(crate) fn serve<A>(self, app: Arc<A>, shared: Arc<Shared>) -> (Service<Front<A>>, ListenFds)
    where
        A: ServerApp + Send + Sync + 'static,
    {
        let front = Front { tls: self.tls, app, shared };
        let mut service = Service::new(self.spec.name, front);
        let address = self.address.to_string();
        service.add_tcp(&address);
        // Pingora takes a socket from here, where one is known for the address.
        let mut sockets = Fds::new();
        sockets.add(address, self.socket.into_raw_fd());
        (service, Arc::new(Mutex::new(sockets)))
    }
}

/// The TLS of a listener, read from its files.
pub(crate) fn acceptor(spec: &Listener) -> Result<Option<Acceptor>, ListenError> {
    let acceptor = spec.tls.as_ref().map(tls::acceptor).transpose();
    acceptor
        .map_err(|problem| ListenError::Tls { name: spec.name.clone(), problem: Box::new(problem) })
}

/// What a connection passes before its requests are read: TLS, and the guard that
/// times request heads.
pub(crate) struct Front<A> {
    tls: Option<Arc<TlsSwitch>>,
    app: Arc<A>,
    shared: Arc<Shared>,
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Front<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let _open = self.shared.telemetry.connection();
        let allowance = self.shared.current.load().limits.header_timeout;
        let stream = match &self.tls {
            None => stream,
            Some(tls) => match timeout(allowance, secure(stream, &tls.load())).await {
                Ok(Some(stream)) => stream,
                Ok(None) | Err(_) => {
                    self.shared.telemetry.count_connection_fault(ConnectionFault::Handshake);
                    return None;
                }
            },
        };
        let guarded = GuardedStream::new(stream, allowance, Arc::clone(&self.shared.telemetry));
        self.app.process_new(Box::new(guarded), shutdown).await
    }

    async fn cleanup(&self) {
        self.app.cleanup().await;
    }
}

/// Makes a TLS connection of a plain one.
async fn secure(stream: Stream, acceptor: &Acceptor) -> Option<Stream> {
    let tcp = stream.into_any().downcast::<TcpStream>().ok()?;
    match handshake_with_callback(acceptor, *tcp, &ReadWhenComplete).await {
        Ok(stream) => {
            let digest = stream.ssl_digest()?;
            client_certificate::holds(&digest, now_ms()).then(|| Box::new(stream) as _)
        }
        Err(error) => {
            tracing::debug!("TLS handshake: {error}");
            None
        }
    }
}
