//! A client that speaks HTTP/1.1 well, or as badly as a test asks it to.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::message::{Framing, Headers, Parser, Response};
use crate::wire::{self, Wire};

/// One connection of a client.
pub struct Client {
    stream: Box<dyn Wire>,
    /// The same connection, to close one way of it.
    socket: TcpStream,
    parser: Parser,
}

impl Client {
    /// Connects without TLS.
    pub fn connect(address: SocketAddr) -> Self {
        let socket = wire::connect(address);
        let stream = socket.try_clone().expect("a socket can be cloned");
        Self { stream: Box::new(stream), socket, parser: Parser::default() }
    }

    /// Connects with TLS, to the server that `name` names.
    pub fn tls(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Self {
        let socket = wire::connect(address);
        let stream = socket.try_clone().expect("a socket can be cloned");
        let stream = wire::client_tls(stream, config, name);
        Self { stream: Box::new(stream), socket, parser: Parser::default() }
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    ///
    /// Where there is no whole response.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut message = head(method, target, headers);
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            message.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        message.push_str("\r\n");
        // Whoever refuses a body may close before it is sent; the answer tells.
        let sent = self.send(message.as_bytes()).and_then(|()| self.send(body));
        let response = self.response(method);
        response.unwrap_or_else(|error| {
            panic!("no response to {method} {target}: {error} (sending: {sent:?})")
        })
    }

    /// As [`request`](Self::request), with a body in chunks of this size.
    pub fn request_chunked(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        (body, size): (&[u8], usize),
    ) -> Response {
        let head = head(method, target, headers) + "transfer-encoding: chunked\r\n\r\n";
        let chunks = || {
            self.send(head.as_bytes())?;
            body.chunks(size).try_for_each(|chunk| self.send_chunk(chunk))?;
            self.send(b"0\r\n\r\n")
        };
        let sent = { chunks }();
        let response = self.response(method);
        response.unwrap_or_else(|error| {
            panic!("no response to {method} {target}: {error} (sending: {sent:?})")
        })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends one chunk.
    pub fn send_chunk(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.send(format!("{:x}\r\n", chunk.len()).as_bytes())?;
        self.send(chunk)?;
        self.send(b"\r\n")
    }

    /// Sends this many zeros.
    pub fn pour(&mut self, bytes: u64) -> io::Result<()> {
        let piece = vec![0; 256 * 1024];
        let mut left = bytes;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            self.stream.write_all(&piece[..length])?;
            left -= length as u64;
        }
        self.stream.flush()
    }

    /// Sends no more.
    pub fn finish_sending(&mut self) {
        // An error means that the other side was faster.
        let _closed = self.socket.shutdown(Shutdown::Write);
    }

    /// Reads the response to a request of this method, passing over interim ones.
    pub fn response(&mut self, method: &str) -> io::Result<Response> {
        let (status, headers) = loop {
            let (status, headers) = self.head()?;
            if !(100..200).contains(&status) || status == 101 {
                break (status, headers);
            }
        };
        let mut body = Vec::new();
        self.body(method, status, &headers, &mut |piece| body.extend_from_slice(piece))?;
        Ok(Response { status, headers, body })
    }

    /// Reads one response head, interim or not.
    pub fn head(&mut self) -> io::Result<(u16, Headers)> {
        let head = self.parser.head(&mut self.stream)?;
        let (line, headers) = head.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status =
            status.ok_or_else(|| io::Error::other(format!("`{line}` is no status line")))?;
        Ok((status, headers))
    }

    /// Reads the body that follows this head.
    pub fn body(
        &mut self,
        method: &str,
        status: u16,
        headers: &Headers,
        sink: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        let framing = match status {
            101 => Framing::Length(0),
            _ => Framing::of_response(method, status, headers),
        };
        self.parser.body(&mut self.stream, framing, sink)
    }

    /// Reads bytes as they come; none at the end.
    pub fn piece(&mut self) -> io::Result<Vec<u8>> {
        self.parser.piece(&mut self.stream)
    }

    /// Whether the other side has closed. Waits until it has, or says something.
    pub fn is_closed(&mut self) -> bool {
        match self.piece() {
            Ok(piece) => piece.is_empty(),
            // A reset is a way to close; a timeout is none.
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
        }
    }
}

/// A request head without its empty line; `Host` is `localhost` unless it is given.
pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}
