//! The pipeline's port to a request, over Pingora's session: reads and holds bodies.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use portcullis_pipeline::{BodyFault, HeldBody, Incoming};

use crate::held_bytes::Room;

/// Bytes of a held body that give it another second to arrive in.
const BYTES_A_SECOND: u64 = 64 * 1024;

/// A request whose head has been read.
pub(crate) struct Received<'a> {
    session: &'a mut ServerSession,
    held: HeldBody,
    declared: Option<u64>,
    room: Room,
    pause: Duration,
    waited: Duration,
    asks_to_continue: bool,
}

/// A request as it was received, once nothing more will be read of it.
pub(crate) struct Seen<'a> {
    /// The head.
    pub(crate) head: &'a Parts,
    /// The body, as far as it was held.
    pub(crate) held: &'a HeldBody,
}

impl<'a> Received<'a> {
    /// A request with nothing of its body read yet.
    pub(crate) fn new(session: &'a mut ServerSession, room: Room, pause: Duration) -> Self {
        let complete = session.is_body_empty();
        let head = session.req_header();
        let declared = if complete { Some(0) } else { declared_length(head) };
        let asks_to_continue = !complete && asks_to_continue(head);
        Self {
            session,
            held: HeldBody { bytes: Bytes::new(), complete },
            declared,
            room,
            pause,
            waited: Duration::ZERO,
            asks_to_continue,
        }
    }

    /// What was held, and the room it takes.
    pub(crate) fn into_held(self) -> (HeldBody, Room) {
        (self.held, self.room)
    }

    /// Tells a client that waits for it to send its body (RFC 9110 §10.1.1).
    async fn invite(&mut self) -> Result<(), BodyFault> {
        if !self.asks_to_continue {
            return Ok(());
        }
        self.asks_to_continue = false;
        // Without this, Pingora takes the interim response for a final one before the
        // body's end, and gives the connection up.
        self.session.set_close_on_response_before_downstream_finish(false);
        let invited = self.session.write_continue_response().await;
        self.session.set_close_on_response_before_downstream_finish(true);
        invited.map_err(|_| BodyFault::Broken)
    }

    /// How long the next piece may take: a pause, where the body did not take too long
    /// before. Otherwise a few bytes now and then would keep what is held for ever.
    fn patience(&self) -> Duration {
        let earned = Duration::from_secs(self.held.bytes.len() as u64 / BYTES_A_SECOND);
        (self.pause + earned).saturating_sub(self.waited).min(self.pause)
    }

    async fn read_more(&mut self) -> Result<(), BodyFault> {
        // Where there was none for the last piece, no other is read.
        self.account()?;
        let (began, patience) = (Instant::now(), self.patience());
        let read = tokio::time::timeout(patience, self.session.read_request_body()).await;
        self.waited += began.elapsed();
        let chunk = read.map_err(|_| BodyFault::TimedOut)?.map_err(|error| fault(&error))?;
        match chunk {
            Some(chunk) => {
                self.held.bytes = joined(std::mem::take(&mut self.held.bytes), chunk);
                self.held.complete = self.session.is_body_done();
            }
            None => self.held.complete = true,
        }
        self.account()
    }

    /// Takes room for what is held. A piece that has been read is held even where there is
    /// none: whoever goes on without looking at the body sends it on whole.
    fn account(&mut self) -> Result<(), BodyFault> {
        let held = self.held.bytes.len() as u64;
        let missing = held.saturating_sub(self.room.bytes());
        if missing == 0 {
            return Ok(());
        }
        self.room.take(missing).map_err(|_| BodyFault::NoRoom)
    }
}

impl Incoming for Received<'_> {
    fn head(&self) -> &Parts {
        self.session.req_header().as_ref()
    }

    fn held(&self) -> &HeldBody {
        &self.held
    }

    fn declared_length(&self) -> Option<u64> {
        self.declared
    }

    async fn fill(&mut self, until: u64) -> Result<(), BodyFault> {
        while !self.held.complete && (self.held.bytes.len() as u64) < until {
            self.invite().await?;
            self.read_more().await?;
        }
        Ok(())
    }
}

impl Incoming for Seen<'_> {
    fn head(&self) -> &Parts {
        self.head
    }

    fn held(&self) -> &HeldBody {
        self.held
    }

    fn declared_length(&self) -> Option<u64> {
        None
    }

    async fn fill(&mut self, _until: u64) -> Result<(), BodyFault> {
        Ok(())
    }
}

/// Whether the client waits for an interim response before it sends its body.
pub(crate) fn asks_to_continue(head: &RequestHeader) -> bool {
    let expect = head.headers.get(http::header::EXPECT);
    expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Appends without copying what is held, where nobody else looks at it.
pub(crate) fn joined(held: Bytes, chunk: Bytes) -> Bytes {
    if held.is_empty() {
        return chunk;
    }
    let mut buffer = held.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
    buffer.extend_from_slice(&chunk);
    buffer.freeze()
}

fn declared_length(head: &RequestHeader) -> Option<u64> {
    let length = head.headers.get(http::header::CONTENT_LENGTH)?;
    length.to_str().ok()?.trim().parse().ok()
}

fn fault(error: &pingora::Error) -> BodyFault {
    match error.etype() {
        pingora::ErrorType::ReadTimedout => BodyFault::TimedOut,
        _ => BodyFault::Broken,
    }
}

#[cfg(test)]
mod tests {
    use pingora::protocols::http::v1::server::HttpSession;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::held_bytes::HeldBytes;

    const PAUSE: Duration = Duration::from_secs(1);

    async fn session(head: &str) -> (DuplexStream, ServerSession) {
        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(head.as_bytes()).await.unwrap();
        let mut session = HttpSession::new(Box::new(server));
        session.read_request().await.unwrap();
        (client, ServerSession::H1(session))
    }

    #[tokio::test]
    async fn a_body_is_read_as_far_as_asked() {
        let (_client, mut session) =
            session("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody").await;
        let mut received = Received::new(&mut session, HeldBytes::default().room(100), PAUSE);
        assert_eq!(received.declared_length(), Some(4));
        received.fill(u64::MAX).await.unwrap();
        let (held, _room) = received.into_held();
        assert!(held.complete);
        assert_eq!(held.bytes, "body");
    }

    #[tokio::test]
    async fn a_client_that_waits_is_told_to_go_on() {
        let head =
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
        let (mut client, mut session) = session(head).await;
        let mut received = Received::new(&mut session, HeldBytes::default().room(100), PAUSE);
        let sending = async {
            let mut interim = [0; 12];
            client.read_exact(&mut interim).await.unwrap();
            assert_eq!(&interim, b"HTTP/1.1 100");
            client.write_all(b"ok").await.unwrap();
        };
        let (filled, ()) = tokio::join!(received.fill(2), sending);
        assert_eq!(filled, Ok(()));
        assert_eq!(received.held().bytes, "ok");
    }

    #[tokio::test]
    async fn the_process_holds_no_more_than_its_limit() {
        let (_client, mut session) =
            session("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody").await;
        let mut received = Received::new(&mut session, HeldBytes::default().room(3), PAUSE);
        assert_eq!(received.fill(4).await, Err(BodyFault::NoRoom));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_pauses_is_given_up() {
        let (_client, mut session) =
            session("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo").await;
        let mut received = Received::new(&mut session, HeldBytes::default().room(9), PAUSE);
        assert_eq!(received.fill(4).await, Err(BodyFault::TimedOut));
    }
}
