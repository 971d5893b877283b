//! A server behind the gateway that speaks HTTP/2 without TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// An HTTP/2 server on loopback; gone when dropped.
pub struct H2Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<H2Seen>>>,
    /// Dropped in the background, so that no test waits for its connections.
    runtime: Option<Runtime>,
}

/// A request as the upstream saw it.
#[derive(Debug, Clone)]
pub struct H2Seen {
    /// The method.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers, where there were any.
    pub trailers: Option<HeaderMap>,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct H2Reply {
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, in the pieces it is sent in.
    pub pieces: Vec<Bytes>,
    /// The trailers, where there are to be any.
    pub trailers: Option<HeaderMap>,
}

type Script = dyn Fn(&H2Seen) -> H2Reply + Send + Sync;

impl H2Upstream {
    /// A server that answers 200 as the script says.
    pub fn answering(script: impl Fn(&H2Seen) -> H2Reply + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        runtime.spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
                }
            }
        });
        Self { address, seen, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests it has seen whole.
    pub fn seen(&self) -> Vec<H2Seen> {
        self.seen.lock().expect("no server task panics").clone()
    }
}

impl Drop for H2Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<H2Seen>>>,
) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        // The gateway may give a stream up.
        tokio::spawn(answer(request, respond, Arc::clone(&script), Arc::clone(&seen)));
    }
    Ok(())
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<H2Seen>>>,
) -> Result<(), h2::Error> {
    let (parts, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await?;
    let one = H2Seen {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers,
        body,
        trailers,
    };
    let reply = script(&one);
    seen.lock().expect("no server task panics").push(one);
    let mut head = Response::new(());
    *head.headers_mut() = reply.headers;
    let mut sending = respond.send_response(head, false)?;
    let mut pieces = reply.pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        let is_last = pieces.peek().is_none() && reply.trailers.is_none();
        sending.send_data(piece, is_last)?;
    }
    match reply.trailers {
        Some(trailers) => sending.send_trailers(trailers),
        None => Ok(()),
    }
}
