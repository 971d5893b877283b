//! A client that sends one request after another over one connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::site::KEY;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    address: SocketAddr,
}

/// An answer.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: String,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address })
    }

    /// Sends a request and receives its answer.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(path)?;
        self.receive()
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, path: &str) -> Result<()> {
        let host = self.address;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {KEY}\r\n\r\n");
        Ok(self.stream.write_all(head.as_bytes())?)
    }

    /// Receives an answer, which must say how long it is.
    pub(crate) fn receive(&mut self) -> Result<Answer> {
        let mut received = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&received);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() >= length(head)?
            {
                let status = head.split(' ').nth(1).context("an answer without a status")?;
                return Ok(Answer { status: status.parse()?, body: body.to_owned() });
            }
            let read = self.stream.read(&mut piece)?;
            if read == 0 {
                bail!("the connection was closed within an answer: {text}");
            }
            received.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
    }
}

fn length(head: &str) -> Result<usize> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.with_context(|| format!("an answer without its length: {head}"))?;
    Ok(length.trim().parse()?)
}
