//! A client session of our own in the place of Pingora's, for one exchange.
//!
//! ```text
//! request_filter:  read and judge the body ─▶ install(HeldSession { original })
//! proxying:        upstream ◀── held body, again on each try
//!                  client   ◀── original ◀── transforms ◀── response tasks
//! logging:         restore(original), or the connection is not reused
//! ```
//!
//! Pingora replays at most 64 KiB of a body read early, and its response body callback
//! cannot wait. Its `custom::server::Session` can do both, and also end an exchange at
//! a deadline. The trait is marked unstable upstream: it is implemented here only.

mod collector;
mod compose;
mod session;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::{Error, ErrorType, Result};
use portcullis_pipeline::{
    Answered, BodyFault, Forward, HeldBody, Record, Rejection, UpstreamFailure,
};
use tokio::time::Instant;

pub(crate) use self::collector::Collector;
use self::collector::{Excess, Ready, Taken};
use crate::compression::Compressor;
use crate::current::Running;
use crate::held_bytes::Room;
use crate::received::Seen;
use crate::respond::{self, Connection};

/// The error that ends an exchange which takes longer than its upstream may.
pub(crate) const OVERDUE: ErrorType = ErrorType::Custom("Overdue");

/// A client session that replays a held body and lets transforms see the response.
pub(crate) struct HeldSession {
    original: Box<ServerSession>,
    body: ReplayedBody,
    responses: Option<ResponseJudge>,
    compressor: Option<Compressor>,
    due: Due,
    room: Room,
    returns: Arc<Returns>,
}

/// By when things must have happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Due {
    /// The whole exchange.
    pub(crate) end: Option<Instant>,
    /// The response's head, counted from the request's end.
    pub(crate) first_byte: Option<Duration>,
    /// Each piece of the request's body, counted from when it is waited for. Until the
    /// response's head: who converses may be silent while the other side speaks.
    pause: Option<Duration>,
    /// The response's head, once the request has ended.
    head: Option<Instant>,
}

impl Due {
    /// Nothing but these.
    pub(crate) fn by(end: Option<Instant>, first_byte: Option<Duration>) -> Self {
        Self { end, first_byte, pause: None, head: None }
    }

    /// The same, and no pause within the request's body may be longer than this.
    pub(crate) fn pausing(self, pause: Option<Duration>) -> Self {
        Self { pause, ..self }
    }

    /// Whether anything is due at all.
    pub(crate) fn is_set(&self) -> bool {
        self.end.is_some() || self.first_byte.is_some() || self.pause.is_some()
    }

    fn request_ended(&mut self) {
        if self.head.is_none() {
            self.head = self.first_byte.map(|allowance| Instant::now() + allowance);
        }
    }

    fn head_came(&mut self) {
        self.first_byte = None;
        self.pause = None;
        self.head = None;
    }

    /// The next moment that must not come.
    fn next(&self) -> Option<Instant> {
        self.end.into_iter().chain(self.head).min()
    }
}

/// The request body as the upstream will see it.
pub(crate) enum ReplayedBody {
    /// As it arrives.
    Streaming,
    /// This beginning, then the rest as it arrives.
    Prefix(Bytes),
    /// This, whole.
    Whole(Bytes),
}

/// What an exchange with a held session needs to be answered.
pub(crate) struct ResponseJudge {
    /// The configuration the exchange began with, until the response is judged or known
    /// not to be: what streams on may outlive it by days.
    pub(crate) running: Option<Arc<Running>>,
    /// The request, as admitted.
    pub(crate) forward: Arc<Forward>,
    /// Its body, as far as it was held.
    pub(crate) held: HeldBody,
    /// What is learnt on the way.
    pub(crate) record: Record,
    /// What is collected of the response.
    pub(crate) collector: Collector,
}

/// Where a held session leaves what it was given, once it is dropped.
#[derive(Default)]
pub(crate) struct Returns(Mutex<Option<Returned>>);

struct Returned {
    original: Box<ServerSession>,
    record: Option<Record>,
}

/// What a held session is made of.
pub(crate) struct Holding {
    /// The request body.
    pub(crate) body: ReplayedBody,
    /// Who judges the response, if anybody does.
    pub(crate) responses: Option<ResponseJudge>,
    /// Who compresses it, if anybody does.
    pub(crate) compressor: Option<Compressor>,
    /// By when things must have happened.
    pub(crate) due: Due,
    /// The room that held bytes take.
    pub(crate) room: Room,
}

/// Puts a held session in the place of the client's.
pub(crate) fn install(place: &mut Box<ServerSession>, holding: Holding) -> Arc<Returns> {
    let original = std::mem::replace(place, vacant());
    let returns = Arc::new(Returns::default());
    let Holding { body, responses, compressor, due, room } = holding;
    let kept = Arc::clone(&returns);
    let held = HeldSession { original, body, responses, compressor, due, room, returns: kept };
    **place = ServerSession::new_custom(Box::new(held));
    returns
}

/// Puts the client's session back, and gives what was learnt meanwhile.
pub(crate) fn restore(place: &mut Box<ServerSession>, returns: &Returns) -> Option<Record> {
    drop(std::mem::replace(place, vacant()));
    let returned = returns.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    *place = returned.original;
    returned.record
}

/// A session that stands for none while a place is changed.
fn vacant() -> Box<ServerSession> {
    Box::new(ServerSession::new_custom(Box::new(())))
}

impl Drop for HeldSession {
    fn drop(&mut self) {
        let original = std::mem::replace(&mut self.original, vacant());
        let record = self.responses.take().map(|judge| judge.record);
        let returned = Returned { original, record };
        *self.returns.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(returned);
    }
}

impl HeldSession {
    /// Whether the upstream sees no byte of the body but the held ones.
    fn replays_whole(&self) -> bool {
        matches!(self.body, ReplayedBody::Whole(_)) && !self.original.was_upgraded()
    }

    /// Writes what may go to the client of these tasks; whether the response is over.
    async fn write_tasks(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.due.head_came();
        let Some(judge) = &mut self.responses else {
            return self.pass(tasks).await;
        };
        let method = self.original.req_header().method.clone();
        let mut passing = Vec::with_capacity(tasks.len() + 1);
        for task in tasks {
            match judge.collector.take(task, &method, &mut self.room) {
                Ok(Taken::Held) => {}
                Ok(Taken::Pass(task)) => {
                    judge.let_go();
                    passing.push(task);
                }
                Ok(Taken::Ready(ready)) => {
                    let head = self.original.req_header().as_ref();
                    match judge.judge(ready, head).await? {
                        Judged::Tasks(tasks) => passing.extend(tasks),
                        Judged::Answer(answer) => return self.answer(&answer).await,
                    }
                }
                Err(excess) => {
                    let answer = judge.reject(&rejection(excess));
                    return self.answer(&answer).await;
                }
            }
        }
        self.pass(passing).await
    }

    /// Writes these tasks to the client, in the coding it takes; whether the response is over.
    async fn pass(&mut self, mut tasks: Vec<HttpTask>) -> Result<bool> {
        if let Some(compressor) = &mut self.compressor {
            tasks = compressor.take_all(tasks, &self.original.req_header().method).await?;
        }
        if tasks.is_empty() { Ok(false) } else { self.original.response_duplex_vec(tasks).await }
    }

    /// Answers in the upstream's place; what it goes on sending is not read.
    async fn answer(&mut self, answer: &portcullis_pipeline::Answer) -> Result<bool> {
        let id = self.responses.as_ref().map_or("", |judge| judge.forward.arrival.id.as_str());
        respond::respond(&mut self.original, answer, id, Connection::Keep).await?;
        Ok(true)
    }

    /// Waits for the client, but no longer than the exchange may take.
    async fn read_in_time(&mut self, until: ReadUntil) -> Result<Option<Bytes>> {
        if until == ReadUntil::Gone {
            self.due.request_ended();
        }
        let deadline = self.due.next().filter(|_| !self.original.was_upgraded());
        let pause = self.due.pause.filter(|_| until == ReadUntil::Body);
        let paused = pause.map(|pause| Instant::now() + pause);
        let reading = self.original.read_body_or_idle(until == ReadUntil::Gone);
        let Some(first) = deadline.into_iter().chain(paused).min() else { return reading.await };
        tokio::time::timeout_at(first, reading).await.unwrap_or_else(|_| {
            Err(if Some(first) == deadline {
                Error::explain(OVERDUE, "the exchange took too long")
            } else {
                Error::explain(ErrorType::ReadTimedout, "the client paused in its body").into_down()
            })
        })
    }
}

/// What is waited for of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadUntil {
    /// A piece of its body.
    Body,
    /// Its end of the connection.
    Gone,
}

/// What becomes of a response that was looked at.
enum Judged {
    /// It goes to the client like this.
    Tasks(Vec<HttpTask>),
    /// The client receives this in its place.
    Answer(portcullis_pipeline::Answer),
}

fn rejection(excess: Excess) -> Rejection {
    match excess {
        Excess::TooLarge => UpstreamFailure::ResponseTooLarge.into(),
        Excess::NoRoom => BodyFault::NoRoom.into(),
    }
}

impl ResponseJudge {
    async fn judge(&mut self, ready: Ready, request_head: &http::request::Parts) -> Result<Judged> {
        let Some(running) = self.running.take() else {
            return Error::e_explain(ErrorType::InternalError, "a response was judged twice");
        };
        let Self { forward, held, record, .. } = self;
        let incoming = Seen { head: request_head, held };
        let response = (ready.head.status, ready.head.headers.clone());
        let body = ready.body.clone();
        match running.pipeline.answer(forward, &incoming, response, body, record).await {
            Ok(Answered::Edited { status, headers, body }) => {
                let head = edited_head(&ready.head, status, &headers)?;
                Ok(Judged::Tasks(compose::tasks(head, ready, body, &request_head.method)?))
            }
            Ok(Answered::Replaced(answer)) => Ok(Judged::Answer(answer)),
            Err(rejection) => Ok(Judged::Answer(self.reject(&rejection))),
        }
    }

    /// Lets the configuration go once nothing is left to judge by it.
    fn let_go(&mut self) {
        if self.collector.is_done() {
            self.running = None;
        }
    }

    fn reject(&mut self, rejection: &Rejection) -> portcullis_pipeline::Answer {
        self.record.decision = Some(rejection.decision());
        self.record.refusal(rejection, &self.forward.arrival.id)
    }
}

fn edited_head(
    received: &ResponseHeader,
    status: http::StatusCode,
    headers: &http::HeaderMap,
) -> Result<Box<ResponseHeader>> {
    let mut head = ResponseHeader::build_no_case(status, Some(headers.len()))?;
    head.set_version(received.version);
    for (name, value) in headers {
        head.append_header(name.clone(), value.clone())?;
    }
    Ok(Box::new(head))
}

#[cfg(test)]
mod tests {
    use pingora::protocols::http::v1::server::HttpSession;
    use tokio::io::{AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::held_bytes::HeldBytes;

    async fn session(request: &str) -> (DuplexStream, Box<ServerSession>) {
        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(request.as_bytes()).await.unwrap();
        let mut session = HttpSession::new(Box::new(server));
        session.read_request().await.unwrap();
        (client, Box::new(ServerSession::H1(session)))
    }

    fn holding(body: ReplayedBody, due: Due) -> Holding {
        let room = HeldBytes::default().room(0);
        Holding { body, responses: None, compressor: None, due, room }
    }

    const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody";

    #[tokio::test]
    async fn a_whole_body_is_replayed_on_each_try() {
        let (_client, mut place) = session(POST).await;
        let body = Bytes::from(vec![b'x'; 100_000]);
        let returns =
            install(&mut place, holding(ReplayedBody::Whole(body.clone()), Due::default()));

        place.enable_retry_buffering();
        assert!(place.is_body_done() && !place.is_body_empty() && !place.retry_buffer_truncated());
        assert_eq!(place.get_retry_buffer(), Some(body.clone()));
        assert_eq!(place.read_request_body().await.unwrap(), None);
        assert_eq!(place.get_retry_buffer(), Some(body));

        restore(&mut place, &returns);
        assert!(place.as_http1().is_some());
    }

    #[tokio::test]
    async fn the_rest_of_a_body_follows_its_beginning() {
        let (_client, mut place) = session(POST).await;
        let prefix = Bytes::from_static(b"before ");
        let _returns = install(&mut place, holding(ReplayedBody::Prefix(prefix), Due::default()));

        place.enable_retry_buffering();
        assert_eq!(place.get_retry_buffer().unwrap(), "before ");
        assert_eq!(place.read_request_body().await.unwrap().unwrap(), "body");
        assert!(place.is_body_done());
        assert_eq!(place.get_retry_buffer().unwrap(), "before body");
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_ends_when_it_is_overdue() {
        let (_client, mut place) = session("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let due = Due::by(None, Some(Duration::from_secs(1)));
        let _returns = install(&mut place, holding(ReplayedBody::Streaming, due));

        let error = place.read_body_or_idle(true).await.expect_err("no response came");

        assert_eq!(*error.etype(), OVERDUE);
    }
}
