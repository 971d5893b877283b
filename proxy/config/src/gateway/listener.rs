//! The sockets that accept clients.

use std::net::SocketAddr;

use super::ListenerTls;

/// A socket that accepts clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: String,
    /// The address it binds.
    pub address: SocketAddr,
    /// TLS, or plain HTTP where `None`.
    pub tls: Option<ListenerTls>,
    /// Answer every request with a redirect to this HTTPS port.
    pub redirect_to_https: Option<u16>,
}
