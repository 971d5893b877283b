//! Collects of a response what its transforms read.

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use pingora::http::ResponseHeader;
use pingora::protocols::http::HttpTask;
use portcullis_pipeline::{HeldBody, ResponseNeed};

use crate::held_bytes::Room;
use crate::respond;

/// How much of a response is collected, and what is so far.
pub(crate) struct Collector {
    need: ResponseNeed,
    phase: Phase,
}

enum Phase {
    AwaitingHead,
    Collecting { head: Box<ResponseHeader>, body: BytesMut },
    Passing,
}

/// Whether more of a response is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    ToCome,
    None,
}

impl Rest {
    #[expect(clippy::fn_params_excessive_bools, reason = "Pingora tells it with a bool")]
    fn of(ended: bool) -> Self {
        if ended { Self::None } else { Self::ToCome }
    }
}

/// What becomes of a task.
pub(crate) enum Taken {
    /// It goes to the client.
    Pass(HttpTask),
    /// It is kept until there is enough.
    Held,
    /// There is enough.
    Ready(Ready),
}

/// Why a response cannot be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// It is longer than its transforms take.
    TooLarge,
    /// As many bytes as may be held are held already.
    NoRoom,
}

/// A response of which as much is collected as its transforms read.
pub(crate) struct Ready {
    /// Its head.
    pub(crate) head: Box<ResponseHeader>,
    /// Its body, as far as it is collected; `None` where only the head is read.
    pub(crate) body: Option<HeldBody>,
    /// Its trailers, where they have come.
    pub(crate) trailers: Option<Box<http::HeaderMap>>,
    /// Whether nothing of it is still to come.
    pub(crate) ended: bool,
}

impl Collector {
    /// Collects what is needed.
    pub(crate) fn new(need: ResponseNeed) -> Self {
        Self { need, phase: Phase::AwaitingHead }
    }

    /// Whether nothing more is collected: all that comes passes.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Passing)
    }

    /// Takes the next task of the response.
    pub(crate) fn take(
        &mut self,
        task: HttpTask,
        method: &Method,
        room: &mut Room,
    ) -> Result<Taken, Excess> {
        match (std::mem::replace(&mut self.phase, Phase::Passing), task) {
            (Phase::AwaitingHead, HttpTask::Header(head, ended)) => {
                Ok(self.take_head(head, Rest::of(ended), method))
            }
            (Phase::Collecting { head, body }, HttpTask::Body(chunk, ended)) => {
                self.take_body((head, body), (&chunk.unwrap_or_default(), Rest::of(ended)), room)
            }
            (Phase::Collecting { head, body }, HttpTask::Trailer(trailers)) => {
                let body = Some(HeldBody { bytes: body.freeze(), complete: true });
                Ok(Taken::Ready(Ready { head, body, trailers, ended: true }))
            }
            (Phase::Collecting { head, body }, HttpTask::Done) => Ok(ready(head, body, Rest::None)),
            (phase, task) => {
                self.phase = phase;
                Ok(Taken::Pass(task))
            }
        }
    }

    fn take_head(&mut self, head: Box<ResponseHeader>, rest: Rest, method: &Method) -> Taken {
        let ended = rest == Rest::None;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Taken::Pass(HttpTask::Header(head, ended));
        }
        if head.status.is_informational() {
            self.phase = Phase::AwaitingHead;
            return Taken::Pass(HttpTask::Header(head, ended));
        }
        let has_body = !ended && respond::carries_body(head.status, method);
        match self.need {
            ResponseNeed::Nothing => Taken::Pass(HttpTask::Header(head, ended)),
            ResponseNeed::Head => Taken::Ready(Ready { head, body: None, trailers: None, ended }),
            ResponseNeed::Peek(_) | ResponseNeed::Whole(_) if has_body => {
                self.phase = Phase::Collecting { head, body: BytesMut::new() };
                Taken::Held
            }
            ResponseNeed::Peek(_) | ResponseNeed::Whole(_) => {
                let body = Some(HeldBody { bytes: Bytes::new(), complete: true });
                Taken::Ready(Ready { head, body, trailers: None, ended })
            }
        }
    }

    fn take_body(
        &mut self,
        (head, mut body): (Box<ResponseHeader>, BytesMut),
        (chunk, rest): (&[u8], Rest),
        room: &mut Room,
    ) -> Result<Taken, Excess> {
        room.take(chunk.len() as u64).map_err(|_| Excess::NoRoom)?;
        body.extend_from_slice(chunk);
        let is_enough = match self.need {
            ResponseNeed::Whole(limit) if body.len() as u64 > limit => {
                return Err(Excess::TooLarge);
            }
            ResponseNeed::Peek(bytes) => body.len() as u64 >= bytes,
            ResponseNeed::Whole(_) | ResponseNeed::Head | ResponseNeed::Nothing => false,
        };
        if rest == Rest::None || is_enough {
            return Ok(ready(head, body, rest));
        }
        self.phase = Phase::Collecting { head, body };
        Ok(Taken::Held)
    }
}

fn ready(head: Box<ResponseHeader>, body: BytesMut, rest: Rest) -> Taken {
    let ended = rest == Rest::None;
    let body = Some(HeldBody { bytes: body.freeze(), complete: ended });
    Taken::Ready(Ready { head, body, trailers: None, ended })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_bytes::HeldBytes;

    fn head(status: u16) -> HttpTask {
        HttpTask::Header(Box::new(ResponseHeader::build(status, None).unwrap()), false)
    }

    fn piece(text: &'static str) -> HttpTask {
        HttpTask::Body(Some(Bytes::from_static(text.as_bytes())), false)
    }

    fn last(text: &'static str) -> HttpTask {
        HttpTask::Body(Some(Bytes::from_static(text.as_bytes())), true)
    }

    /// One letter for each task: passed, held, ready (with its body), refused.
    fn check(need: ResponseNeed, method: Method, tasks: Vec<HttpTask>, expected: &str) {
        let mut room = HeldBytes::default().room(1000);
        let mut collector = Collector::new(need);
        let mut seen = String::new();
        for task in tasks {
            match collector.take(task, &method, &mut room) {
                Ok(Taken::Pass(_)) => seen.push_str("p "),
                Ok(Taken::Held) => seen.push_str("h "),
                Ok(Taken::Ready(ready)) => match ready.body {
                    Some(body) => {
                        seen.push_str(&format!("r({}) ", String::from_utf8_lossy(&body.bytes)))
                    }
                    None => seen.push_str("r "),
                },
                Err(excess) => seen.push_str(&format!("{excess:?} ")),
            }
        }
        assert_eq!(seen.trim_end(), expected);
    }

    #[test]
    fn as_much_is_collected_as_is_read() {
        let tasks = || vec![head(200), piece("ab"), last("cd"), HttpTask::Done];
        check(ResponseNeed::Head, Method::GET, tasks(), "r p p p");
        check(ResponseNeed::Peek(1), Method::GET, tasks(), "h r(ab) p p");
        check(ResponseNeed::Peek(9), Method::GET, tasks(), "h h r(abcd) p");
        check(ResponseNeed::Whole(4), Method::GET, tasks(), "h h r(abcd) p");
        check(ResponseNeed::Whole(3), Method::GET, tasks(), "h h TooLarge p");
    }

    #[test]
    fn responses_without_a_body_are_ready_at_once() {
        check(ResponseNeed::Whole(4), Method::HEAD, vec![head(200), HttpTask::Done], "r() p");
        check(ResponseNeed::Whole(4), Method::GET, vec![head(304), HttpTask::Done], "r() p");
        check(ResponseNeed::Whole(4), Method::GET, vec![head(103), head(204)], "p r()");
        check(ResponseNeed::Whole(4), Method::GET, vec![head(101), piece("ws")], "p p");
        check(ResponseNeed::Whole(4), Method::GET, vec![head(200), HttpTask::Done], "h r()");
    }
}
