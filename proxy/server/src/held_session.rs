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

use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::{Error, ErrorType, Result};
use portcullis_pipeline::{Answered, Forward, HeldBody, Record, Rejection};
use tokio::time::Instant;

pub(crate) use self::collector::Collector;
use self::collector::{Ready, Taken};
use crate::current::Running;
use crate::held_bytes::Room;
use crate::received::Seen;
use crate::respond::{self, Connection};

/// The error that ends an exchange which took longer than its upstream allows.
pub(crate) const TOTAL_TIMEOUT: ErrorType = ErrorType::Custom("TotalTimeout");

/// A client session that replays a held body and lets transforms see the response.
pub(crate) struct HeldSession {
    original: Box<ServerSession>,
    body: ReplayedBody,
    responses: Option<ResponseJudge>,
    deadline: Option<Instant>,
    room: Room,
    returns: Arc<Returns>,
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
    /// The configuration the exchange began with.
    pub(crate) running: Arc<Running>,
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
    /// When the exchange has to be over.
    pub(crate) deadline: Option<Instant>,
    /// The room that held bytes take.
    pub(crate) room: Room,
}

/// Puts a held session in the place of the client's.
pub(crate) fn install(place: &mut Box<ServerSession>, holding: Holding) -> Arc<Returns> {
    let original = std::mem::replace(place, vacant());
    let returns = Arc::new(Returns::default());
    let Holding { body, responses, deadline, room } = holding;
    let held =
        HeldSession { original, body, responses, deadline, room, returns: Arc::clone(&returns) };
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
        let Some(judge) = &mut self.responses else {
            return self.original.response_duplex_vec(tasks).await;
        };
        let method = self.original.req_header().method.clone();
        let mut passing = Vec::with_capacity(tasks.len() + 1);
        for task in tasks {
            match judge.collector.take(task, &method, &mut self.room) {
                Ok(Taken::Held) => {}
                Ok(Taken::Pass(task)) => passing.push(task),
                Ok(Taken::Ready(ready)) => {
                    let head = self.original.req_header().as_ref();
                    match judge.judge(ready, head).await? {
                        Judged::Tasks(tasks) => passing.extend(tasks),
                        Judged::Answer(answer) => return self.answer(&answer).await,
                    }
                }
                Err(rejection) => {
                    let answer = judge.reject(&rejection);
                    return self.answer(&answer).await;
                }
            }
        }
        if passing.is_empty() {
            Ok(false)
        } else {
            self.original.response_duplex_vec(passing).await
        }
    }

    /// Answers in the upstream's place; what it goes on sending is not read.
    async fn answer(&mut self, answer: &portcullis_pipeline::Answer) -> Result<bool> {
        let id = self.responses.as_ref().map_or("", |judge| judge.forward.arrival.id.as_str());
        respond::respond(&mut self.original, answer, id, Connection::Keep).await?;
        Ok(true)
    }

    /// Waits for the client, but no longer than the exchange may take.
    async fn read_in_time(&mut self, until: ReadUntil) -> Result<Option<Bytes>> {
        let deadline = self.deadline.filter(|_| !self.original.was_upgraded());
        let reading = self.original.read_body_or_idle(until == ReadUntil::Gone);
        match deadline {
            None => reading.await,
            Some(deadline) => {
                tokio::time::timeout_at(deadline, reading).await.unwrap_or_else(|_| {
                    Err(Error::explain(TOTAL_TIMEOUT, "the exchange took too long"))
                })
            }
        }
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

impl ResponseJudge {
    async fn judge(&mut self, ready: Ready, request_head: &http::request::Parts) -> Result<Judged> {
        let Self { running, forward, held, record, .. } = self;
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

    fn reject(&mut self, rejection: &Rejection) -> portcullis_pipeline::Answer {
        self.record.decision = Some(rejection.decision());
        rejection.answer(&self.forward.arrival.id)
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
