//! A client that speaks HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// How long one exchange may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// One HTTP/2 connection of a client.
pub struct H2Client {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    scheme: &'static str,
}

/// A response, read whole.
#[derive(Debug, Clone)]
pub struct H2Response {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers, where there were any.
    pub trailers: Option<HeaderMap>,
}

impl H2Response {
    /// The stable code of a refusal by the gateway; empty where it is none.
    pub fn code(&self) -> String {
        let problem = serde_json::from_slice::<serde_json::Value>(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl H2Client {
    /// Connects without TLS, knowing that the other side speaks HTTP/2.
    pub fn connect(address: SocketAddr) -> Self {
        let runtime = runtime();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("a connection");
            handshake(stream).await
        });
        Self { runtime, sender, scheme: "http" }
    }

    /// Connects with TLS.
    ///
    /// # Panics
    ///
    /// Where the other side does not choose HTTP/2.
    pub fn tls(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Self {
        let runtime = runtime();
        let name = ServerName::try_from(name.to_owned()).expect("a host name");
        let connector = TlsConnector::from(Arc::clone(config));
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("a connection");
            let stream = connector.connect(name, stream).await.expect("a TLS session");
            let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            assert_eq!(chosen.as_deref(), Some(&b"h2"[..]), "HTTP/2 was not chosen");
            handshake(stream).await
        });
        Self { runtime, sender, scheme: "https" }
    }

    /// Sends a request and reads its response.
    pub fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> H2Response {
        let response = self.try_request(method, target, headers, body);
        response.unwrap_or_else(|error| panic!("no response to {method} {target}: {error}"))
    }

    /// Sends the head and the beginning of a body that never ends, and reads the response.
    pub fn stalled_request(&self, method: &str, target: &str, begun: &[u8]) -> H2Response {
        let uri = format!("{}://localhost{target}", self.scheme);
        let request = Request::builder().method(method).uri(uri).version(http::Version::HTTP_2);
        let request = request.body(()).expect("a request");
        let begun = Bytes::copy_from_slice(begun);
        let sender = self.sender.clone();
        let exchange = async {
            let mut sender = sender.ready().await?;
            let (response, mut stream) = sender.send_request(request, false)?;
            // Whoever refuses it may do so before this is sent.
            drop(stream.send_data(begun, false));
            let received = receive(response.await?).await;
            drop(stream);
            received
        };
        let exchange = async { tokio::time::timeout(PATIENCE, exchange).await };
        let response = self.runtime.block_on(exchange);
        let response = response.unwrap_or_else(|_| panic!("{PATIENCE:?} without response"));
        response.unwrap_or_else(|error: h2::Error| panic!("no response to {target}: {error}"))
    }

    /// As [`request`](Self::request), where the other side may refuse the stream.
    pub fn try_request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<H2Response, h2::Error> {
        let uri = format!("{}://localhost{target}", self.scheme);
        let mut request = Request::builder().method(method).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let body = Bytes::copy_from_slice(body);
        let sender = self.sender.clone();
        let exchange =
            async { tokio::time::timeout(PATIENCE, exchange(sender, request, body)).await };
        self.runtime.block_on(exchange).unwrap_or_else(|_| panic!("{PATIENCE:?} without response"))
    }
}

async fn handshake<T>(stream: T) -> SendRequest<Bytes>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 20);
    let (sender, connection) = builder.handshake(stream).await.expect("an HTTP/2 connection");
    // Its end is seen by the exchanges it carried.
    tokio::spawn(connection);
    sender
}

async fn exchange(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
) -> Result<H2Response, h2::Error> {
    let mut sender = sender.ready().await?;
    let (response, stream) = sender.send_request(request, body.is_empty())?;
    let sending = tokio::spawn(send(stream, body));
    let received = receive(response.await?).await;
    sending.abort();
    received
}

async fn receive(response: http::Response<h2::RecvStream>) -> Result<H2Response, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let mut received = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        received.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await?;
    Ok(H2Response {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: received,
        trailers,
    })
}

/// Sends as fast as the other side takes it; whoever refuses the rest is let be.
async fn send(mut stream: h2::SendStream<Bytes>, mut body: Bytes) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len().min(64 * 1024));
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(Ok(room)) = room else { return };
        let piece = body.split_to(room.min(body.len()));
        if stream.send_data(piece, body.is_empty()).is_err() {
            return;
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}
