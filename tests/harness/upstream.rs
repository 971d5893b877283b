//! A server behind the gateway: it notes what it sees and answers as scripted.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustls::ServerConfig;
use tokio::net::TcpSocket;

use crate::eventually::eventually;
use crate::message::{Framing, Headers, Parser};
use crate::wire::{self, Wire};

/// Bytes of a body that are kept.
const KEPT: usize = 16 << 20;

/// An HTTP/1.1 server on loopback; gone when dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// A request as the upstream saw it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// The header fields.
    pub headers: Headers,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// Bytes of the whole body.
    pub length: u64,
    /// Whether the body came to its end.
    pub complete: bool,
    /// Which of the upstream's connections it came over, counted from 0.
    pub connection: usize,
}

/// Where a script writes its answer.
pub struct Reply<'a> {
    stream: &'a mut dyn Wire,
    parser: &'a mut Parser,
    method: String,
    keep: bool,
}

type Script = dyn Fn(&Seen, &mut Reply<'_>) -> io::Result<()> + Send + Sync;

struct Shared {
    script: Box<Script>,
    tls: Option<Arc<ServerConfig>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    bytes: AtomicU64,
    body_bytes: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

impl Upstream {
    /// A server that answers everything with 200 and `ok`.
    pub fn start() -> Self {
        Self::answering(|_, reply| reply.send(200, &[("content-type", "text/plain")], b"ok"))
    }

    /// A server that answers 200 with this body.
    pub fn saying(body: &'static str) -> Self {
        Self::answering(move |_, reply| {
            reply.send(200, &[("content-type", "text/plain")], body.as_bytes())
        })
    }

    /// A server that answers as the script does.
    pub fn answering(
        script: impl Fn(&Seen, &mut Reply<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Box::new(script), None)
    }

    /// As [`start`](Self::start), over TLS.
    pub fn tls(config: Arc<ServerConfig>) -> Self {
        let script: Box<Script> = Box::new(|_, reply| reply.send(200, &[], b"ok"));
        Self::launch(script, Some(config))
    }

    /// As [`answering`](Self::answering), over TLS.
    pub fn answering_over_tls(
        config: Arc<ServerConfig>,
        script: impl Fn(&Seen, &mut Reply<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Box::new(script), Some(config))
    }

    fn launch(script: Box<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            script,
            tls,
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests it has seen, in the order their heads came.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no server thread panics").clone()
    }

    /// The only request it has seen.
    ///
    /// # Panics
    ///
    /// Where it has seen none or several.
    pub fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "one request was expected: {seen:?}");
        seen.remove(0)
    }

    /// Waits until it has seen a request that is as wanted.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
        eventually(what, || self.seen().into_iter().find(|seen| wanted(seen)))
    }

    /// Bytes it has received.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// Bytes of bodies it has received, of those still on their way too.
    pub fn body_bytes(&self) -> u64 {
        self.shared.body_bytes.load(Ordering::SeqCst)
    }

    /// Connections it has accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Asserts that not a byte has reached it.
    pub fn assert_saw_nothing(&self) {
        assert_eq!(self.bytes(), 0, "the upstream saw {:?}", self.seen());
    }

    /// Stops accepting and closes every connection.
    pub fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the one that accepts.
        let _woken = TcpStream::connect(self.address);
        accepting.join().expect("accepting does not panic");
        for stream in self.shared.open.lock().expect("no server thread panics").drain(..) {
            // An error means that it is closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Closes a connection even where its thread panics: others hold clones of it.
struct Closing(Option<TcpStream>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            // An error means that it is closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().map_while(Result::ok) {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            wire::prepare(&stream);
            let connection = self.connections.fetch_add(1, Ordering::SeqCst);
            let mut open = self.open.lock().expect("no server thread panics");
            open.extend(stream.try_clone().ok());
            drop(open);
            let shared = Arc::clone(&self);
            thread::spawn(move || {
                let closing = Closing(stream.try_clone().ok());
                let mut stream: Box<dyn Wire> = match &shared.tls {
                    Some(config) => Box::new(wire::server_tls(stream, config)),
                    None => Box::new(stream),
                };
                // The gateway closes connections when it likes to.
                let _ended = shared.serve(&mut *stream, connection);
                drop(closing);
            });
        }
    }

    fn serve(&self, mut stream: &mut dyn Wire, connection: usize) -> io::Result<()> {
        let mut parser = Parser::default();
        let mut counted = 0;
        loop {
            let head = parser.head(&mut stream);
            self.count(&parser, &mut counted);
            let Some((line, headers)) = head? else { return Ok(()) };
            let mut words = line.split(' ').map(str::to_owned);
            let mut seen = Seen {
                method: words.next().unwrap_or_default(),
                target: words.next().unwrap_or_default(),
                headers,
                connection,
                ..Seen::default()
            };
            let index = self.note(&seen);
            if seen.headers.get("expect").is_some() {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let framing = Framing::of_request(&seen.headers);
            let read = parser.body(&mut stream, framing, &mut |piece| {
                let room = KEPT.saturating_sub(seen.body.len()).min(piece.len());
                seen.body.extend_from_slice(&piece[..room]);
                seen.length += piece.len() as u64;
                self.body_bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
            });
            self.count(&parser, &mut counted);
            seen.complete = read.is_ok();
            self.update(index, &seen);
            read?;
            let method = seen.method.clone();
            let mut reply = Reply { stream, parser: &mut parser, method, keep: true };
            (self.script)(&seen, &mut reply)?;
            if !reply.keep {
                return Ok(());
            }
        }
    }

    fn note(&self, seen: &Seen) -> usize {
        let mut all = self.seen.lock().expect("no server thread panics");
        all.push(seen.clone());
        all.len() - 1
    }

    fn update(&self, index: usize, seen: &Seen) {
        let mut all = self.seen.lock().expect("no server thread panics");
        if let Some(noted) = all.get_mut(index) {
            *noted = seen.clone();
        }
    }

    fn count(&self, parser: &Parser, counted: &mut u64) {
        self.bytes.fetch_add(parser.read - *counted, Ordering::SeqCst);
        *counted = parser.read;
    }
}

impl Reply<'_> {
    /// Writes a whole response.
    pub fn send(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        if !matches!(status, 204 | 304) {
            all.push(("content-length", &length));
        }
        self.begin(status, &all)?;
        if self.method != "HEAD" {
            self.stream.write_all(body)?;
        }
        self.stream.flush()
    }

    /// Writes a response head, with these header fields and no other.
    pub fn begin(&mut self, status: u16, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw((head + "\r\n").as_bytes())
    }

    /// Writes one chunk of a chunked body; an empty one is its end.
    pub fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.raw(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        self.raw(bytes)?;
        self.raw(b"\r\n")
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads bytes that follow the request, as they come; none at the end.
    pub fn piece(&mut self) -> io::Result<Vec<u8>> {
        self.parser.piece(&mut self.stream)
    }

    /// Closes the connection after this answer.
    pub fn close(&mut self) {
        self.keep = false;
    }
}

/// An address where nothing listens, nor will as long as the test runs.
pub fn dead_address() -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = socket.local_addr().expect("a bound socket has an address");
    // Whoever looks for a free port is not given one that is bound.
    std::mem::forget(socket);
    address
}
