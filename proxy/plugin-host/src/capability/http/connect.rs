//! Connections to the very addresses that were checked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use portcullis_config::HttpGrant;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::Error;

use super::address::{is_one_host, is_public};
use super::connection::{Connection, Protocol};
use super::origin::{Destination, Host};

/// Why a plugin use cannot speak TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthoritiesProblem {
    /// The grant's file holds no certificate that can be used.
    #[error("the file `ca` holds no certificate that can be used")]
    Granted,
    /// The system's certificates cannot be read.
    #[error("the system's certificate authorities cannot be read ({0}); name some by `ca`")]
    System(String),
}

/// Makes connections under one grant.
pub(super) struct Connector {
    private_addresses: bool,
    tls: Option<Tls>,
}

/// TLS for each version of HTTP, which it agrees on.
struct Tls {
    http1: TlsConnector,
    http2: TlsConnector,
}

/// Why there is no connection.
pub(super) enum NoConnection {
    /// No address may be used.
    Private,
    /// The network's or the peer's fault.
    Failed(Error),
}

impl From<Error> for NoConnection {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Connector {
    /// Reads the authorities, where an origin needs them. Blocks; for loading.
    pub(super) fn new(grant: &HttpGrant) -> Result<Self, AuthoritiesProblem> {
        let needs_tls = grant.origins.iter().any(|origin| origin.https);
        let tls = needs_tls.then(|| tls(grant.authorities.as_deref())).transpose()?;
        Ok(Self { private_addresses: grant.private_addresses, tls })
    }

    /// Connects, trying each address that may be used.
    pub(super) async fn connect(
        &self,
        to: &Destination,
        until: Instant,
    ) -> Result<Connection, NoConnection> {
        let addresses = self.addresses(to).await?;
        let stream = first_that_answers(&addresses, until).await?;
        // Requests are written whole; waiting for more only delays them.
        stream.set_nodelay(true).map_err(Error::Connect)?;
        if !to.https {
            return Ok(Connection::begin(stream, to.protocol).await?);
        }
        let tls = self.tls.as_ref().ok_or(Error::ConfigurationError)?;
        let tls = match to.protocol {
            Protocol::Http1 => &tls.http1,
            Protocol::Http2 => &tls.http2,
        };
        let name = match &to.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|_| Error::DestinationNotFound)?
            }
        };
        let stream = tls.connect(name, stream).await.map_err(Error::Tls)?;
        Ok(Connection::begin(stream, to.protocol).await?)
    }

    /// The addresses of a destination that may be used. Each is checked here, and no
    /// name is resolved after this.
    async fn addresses(&self, to: &Destination) -> Result<Vec<SocketAddr>, NoConnection> {
        let name = match &to.host {
            // Named in the grant itself, so it is meant.
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, to.port)]),
            Host::Name(name) => name,
        };
        let found = tokio::net::lookup_host((name.as_str(), to.port)).await;
        let found = found.map_err(|_| Error::DnsError { rcode: None, info_code: None })?;
        let addresses: Vec<SocketAddr> =
            found.filter(|address| self.may_use(address.ip())).collect();
        if addresses.is_empty() { Err(NoConnection::Private) } else { Ok(addresses) }
    }

    fn may_use(&self, address: IpAddr) -> bool {
        is_public(address) || self.private_addresses && is_one_host(address)
    }
}

/// Connects to the first address that answers, each having its share of the time.
async fn first_that_answers(addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, Error> {
    let mut problem = Error::DestinationNotFound;
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / untried.max(1);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => problem = refused(error),
            Err(_) => problem = Error::ConnectionTimeout,
        }
    }
    Err(problem)
}

fn refused(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            Error::DestinationIpUnroutable
        }
        _ => Error::Connect(error),
    }
}

fn tls(authorities: Option<&str>) -> Result<Tls, AuthoritiesProblem> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(pem) => {
            let granted: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            for certificate in granted.map_err(|_| AuthoritiesProblem::Granted)? {
                roots.add(certificate).map_err(|_| AuthoritiesProblem::Granted)?;
            }
            if roots.is_empty() {
                return Err(AuthoritiesProblem::Granted);
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs()
                .map_err(|problem| AuthoritiesProblem::System(problem.to_string()))?;
            roots.add_parsable_certificates(system);
            if roots.is_empty() {
                return Err(AuthoritiesProblem::System("there are none".to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|problem| AuthoritiesProblem::System(problem.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut connector = |protocol: Protocol| {
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        TlsConnector::from(Arc::new(config.clone()))
    };
    Ok(Tls { http1: connector(Protocol::Http1), http2: connector(Protocol::Http2) })
}
