//! A client connection that must deliver each request head in time, and bodies that
//! can be read in one way only.
//!
//! Pingora times single reads; a client that sends one byte a minute would hold a
//! connection for hours. This wraps the connection and gives every HTTP/1 head one
//! deadline, counted from its first byte (from the connection's start for the
//! first). [`head_arrived`] and [`head_expected`] tell it where one exchange ends and
//! the next begins. Connections that turn out to speak HTTP/2 are left alone.

mod head_clock;
mod unseen;
mod wire;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use pingora::protocols::http::ServerSession;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use self::head_clock::{HeadClock, Late, Speaks};
use self::unseen::{Unseen, written_status};
use self::wire::{BodyFraming, Wire};
use crate::arrival;
use crate::failure;
use crate::respond;
use crate::strict_head::HeadFault;
use crate::telemetry::{ConnectionFault, Telemetry};

pub(crate) use self::wire::Ambiguity;

/// What an HTTP/2 client sends first (RFC 9113 §3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client connection with a deadline for each request head.
pub(crate) struct GuardedStream {
    inner: Stream,
    /// Bytes looked at before anybody read them.
    peeked: BytesMut,
    head: HeadClock,
    /// What the client sends; callbacks tell it how bodies are framed.
    wire: Mutex<Wire>,
    /// Whether bytes were written that may still wait in a buffer.
    unflushed: bool,
    /// The peer's address as headers carry it, written at the first request.
    address: OnceLock<HeaderValue>,
    /// What Pingora answers to a head that the pipeline does not see.
    refused: Option<(StatusCode, usize)>,
    telemetry: Arc<Telemetry>,
}

/// Notes that the head of an exchange is complete.
pub(crate) fn head_arrived(session: &ServerSession) {
    if let Some(GuardedStream { head, .. }) = guarded(session) {
        head.arrived();
    }
}

/// Checks that the head is what the client sent, and lets the body be followed. To be
/// called once the head is known to frame its body in one way.
pub(crate) fn follow_body(session: &ServerSession) -> Result<(), Ambiguity> {
    let (Some(GuardedStream { wire, .. }), Some(http1)) = (guarded(session), session.as_http1())
    else {
        return Ok(());
    };
    wire.lock().head_parsed(&http1.get_headers_raw_bytes(), framing(session))
}

fn framing(session: &ServerSession) -> BodyFraming {
    let headers = &session.req_header().headers;
    if session.is_upgrade_req() {
        return BodyFraming::Upgrade;
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return BodyFraming::Chunked;
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    BodyFraming::Length(length.and_then(|length| length.trim().parse().ok()).unwrap_or(0))
}

/// Notes that an exchange is over, and by when the next head must have begun.
pub(crate) fn head_expected(session: &ServerSession, until: Instant) {
    if let Some(GuardedStream { head, .. }) = guarded(session) {
        head.expect(until);
    }
}

/// The peer's address as headers carry it; written once for a connection.
pub(crate) fn address_text(session: &ServerSession, peer: IpAddr) -> HeaderValue {
    let written = || {
        // An address has no character that a header cannot have.
        HeaderValue::try_from(peer.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
    };
    match guarded(session) {
        Some(stream) => stream.address.get_or_init(written).clone(),
        None => written(),
    }
}

fn guarded(session: &ServerSession) -> Option<&GuardedStream> {
    session.stream()?.as_any().downcast_ref::<GuardedStream>()
}

impl GuardedStream {
    /// Wraps a connection whose first head is due within the allowance.
    pub(crate) fn new(inner: Stream, allowance: Duration, telemetry: Arc<Telemetry>) -> Self {
        let awaits_heads = !matches!(inner.selected_alpn_proto(), Some(ALPN::H2));
        let mut head = HeadClock::new(allowance);
        let mut wire = Wire::new();
        if !awaits_heads {
            head.ignore();
            wire.ignore();
        }
        Self {
            inner,
            peeked: BytesMut::new(),
            head,
            wire: Mutex::new(wire),
            unflushed: false,
            address: OnceLock::new(),
            refused: None,
            telemetry,
        }
    }

    /// Looks at bytes that somebody has read; an error means that nobody may have them.
    fn look(&mut self, fresh: &[u8]) -> io::Result<()> {
        if fresh.is_empty() {
            return Ok(());
        }
        let wire = self.wire.get_mut();
        if self.head.is_awaited() && self.head.saw(fresh) == Speaks::Http2 {
            wire.ignore();
        }
        wire.receive(fresh)
            .map_err(|ambiguity| io::Error::new(io::ErrorKind::InvalidData, ambiguity))
    }
}

impl GuardedStream {
    /// Sends what waits in buffers when there is nothing to do but wait: Pingora flushes
    /// a response of known length only at its end, however slowly it comes.
    fn flush_while_waiting(&mut self, context: &mut Context<'_>) {
        if self.unflushed {
            // An error shows again at the next write.
            self.unflushed = Pin::new(&mut self.inner).poll_flush(context).is_pending();
        }
    }
}

impl GuardedStream {
    /// Answers a client that is too slow with its head, as far as it takes the answer at
    /// once: nobody waits for it any longer.
    fn refuse_late(&mut self, context: &mut Context<'_>) {
        let id: u128 = rand::random();
        let text = arrival::request_id(id);
        let answer = failure::head_answer(HeadFault::Late, &text);
        let bytes = respond::last_words(&answer, &text);
        let mut rest = bytes.as_slice();
        while let Poll::Ready(Ok(written @ 1..)) =
            Pin::new(&mut self.inner).poll_write(context, rest)
        {
            rest = rest.get(written..).unwrap_or_default();
        }
        let is_sent = rest.is_empty() && Pin::new(&mut self.inner).poll_flush(context).is_ready();
        let unseen = Unseen {
            head: self.wire.get_mut().head(),
            id,
            answer: is_sent.then_some((answer.status, answer.body.len())),
            duration: self.head.taken(),
            decision: failure::head_decision(HeadFault::Late),
        };
        unseen.record(&self.inner, &self.telemetry);
    }

    /// Notes what is written while no head is complete: Pingora's refusal.
    fn note_refusal(&mut self, bytes: &[u8]) {
        if self.refused.is_none() && self.head.is_within_head() {
            self.refused = written_status(bytes).map(|status| (status, 0));
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.peeked.is_empty() {
            let peeked = this.peeked.split_to(this.peeked.len().min(buf.remaining()));
            buf.put_slice(&peeked);
            return Poll::Ready(this.look(&peeked));
        }
        this.head.catch_up();
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, buf) {
            Poll::Ready(Ok(())) => {
                let looked = this.look(buf.filled().get(before..).unwrap_or_default());
                if looked.is_err() {
                    buf.set_filled(before);
                }
                Poll::Ready(looked)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if !this.head.is_awaited() => {
                this.flush_while_waiting(context);
                Poll::Pending
            }
            Poll::Pending => {
                let late = std::task::ready!(this.head.poll_late(context));
                if late != Late::Idle {
                    this.telemetry.count_connection_fault(ConnectionFault::SlowHead);
                }
                if late == Late::WithinHead {
                    this.refuse_late(context);
                }
                this.head.rest();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        self.note_refusal(buf);
        Pin::new(&mut self.inner).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.unflushed &= flushed.is_pending();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        self.note_refusal(bufs.first().map(|first| &**first).unwrap_or_default());
        Pin::new(&mut self.inner).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl Peek for GuardedStream {
    /// Looks for the HTTP/2 preface. Stops at the first byte that differs, so that a
    /// request shorter than the preface is not waited for in vain.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let deadline = Instant::now() + self.head.allowance();
        while self.peeked.len() < H2_PREFACE.len() && H2_PREFACE.starts_with(&self.peeked) {
            let read = self.inner.read_buf(&mut self.peeked);
            match tokio::time::timeout_at(deadline, read).await {
                Ok(Ok(0)) => break,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    self.telemetry.count_connection_fault(ConnectionFault::SlowHead);
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        buf.fill(0);
        let length = self.peeked.len().min(buf.len());
        if let (Some(target), Some(source)) = (buf.get_mut(..length), self.peeked.get(..length)) {
            target.copy_from_slice(source);
        }
        // What was peeked is looked at when it is read.
        Ok(true)
    }
}

impl Drop for GuardedStream {
    /// A connection that ends within a head was refused by Pingora's parser or left
    /// by its client; neither reaches the pipeline.
    fn drop(&mut self) {
        if !self.head.is_within_head() {
            return;
        }
        self.telemetry.count_connection_fault(ConnectionFault::BrokenHead);
        let unseen = Unseen {
            head: self.wire.get_mut().head(),
            id: rand::random(),
            answer: self.refused,
            duration: self.head.taken(),
            decision: failure::unseen_head(self.refused.map(|(status, _)| status)),
        };
        unseen.record(&self.inner, &self.telemetry);
    }
}

impl fmt::Debug for GuardedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedStream").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for GuardedStream {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

impl UniqueID for GuardedStream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for GuardedStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for GuardedStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for GuardedStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for GuardedStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

#[cfg(test)]
mod tests;
