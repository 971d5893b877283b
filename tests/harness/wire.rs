//! A connection, plain or within TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

/// How long one read or write may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes both ways.
pub trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// Connects to a loopback address.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE);
    let stream = stream.unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
    prepare(&stream);
    stream
}

/// Bounds how long a connection may make the test wait.
pub(crate) fn prepare(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("delays can be turned off");
}

/// Wraps the client's end of a connection into TLS.
pub(crate) fn client_tls(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
    name: &str,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(name.to_owned()).expect("a host name");
    let session = ClientConnection::new(Arc::clone(config), name).expect("a TLS client");
    StreamOwned::new(session, stream)
}

/// Wraps the server's end of a connection into TLS.
pub(crate) fn server_tls(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
) -> StreamOwned<ServerConnection, TcpStream> {
    let session = ServerConnection::new(Arc::clone(config)).expect("a TLS server");
    StreamOwned::new(session, stream)
}
