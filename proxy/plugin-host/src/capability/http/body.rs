//! Bodies on their way, each within its limit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use super::connection::Connection;
use super::origin::Destination;
use super::pool::Pool;

/// How many more bytes a body may have.
struct Allowance {
    limit: usize,
    left: usize,
}

impl Allowance {
    fn of(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// Takes in a frame; an error is the limit that it exceeds.
    fn take<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>) -> Result<(), u64> {
        let data = frame.and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
        self.left = self.left.checked_sub(data.map_or(0, Bytes::len)).ok_or(self.limit as u64)?;
        Ok(())
    }
}

/// The body of a guest's request.
pub(super) struct Question {
    body: WasiBody,
    allowance: Allowance,
}

impl Question {
    /// At most so many bytes of a body.
    pub(super) fn new(body: WasiBody, limit: usize) -> Self {
        Self { body, allowance: Allowance::of(limit) }
    }
}

impl Body for Question {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match self.allowance.take(frame.as_ref()) {
            Ok(()) => frame,
            Err(limit) => Some(Err(Error::HttpRequestBodySize(Some(limit)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a service's answer; at its end the connection goes back to the pool.
pub(super) struct Answer {
    body: Incoming,
    allowance: Allowance,
    until: Pin<Box<Sleep>>,
    back: Option<Return>,
}

/// Where a connection goes when its answer has been read.
pub(super) struct Return {
    pub(super) pool: Arc<Pool>,
    pub(super) to: Destination,
    pub(super) connection: Connection,
}

impl Answer {
    /// At most so many bytes of a body, until then; a connection that exchanges share
    /// needs no way back.
    pub(super) fn new(body: Incoming, limit: usize, until: Instant, back: Option<Return>) -> Self {
        let until = Box::pin(tokio::time::sleep_until(until));
        let mut answer = Self { body, allowance: Allowance::of(limit), until, back };
        answer.give_back_at_the_end();
        answer
    }

    fn give_back_at_the_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(back) = self.back.take()
        {
            back.pool.keep(&back.to, back.connection);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            ready!(self.until.as_mut().poll(context));
            self.back = None;
            return Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        };
        if let Err(limit) = self.allowance.take(frame.as_ref()) {
            // The rest is still to come, so the connection is of no more use.
            self.back = None;
            return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(limit)))));
        }
        match frame {
            Some(Err(error)) => {
                self.back = None;
                Poll::Ready(Some(Err(Error::Hyper(error))))
            }
            Some(Ok(frame)) => {
                self.give_back_at_the_end();
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.give_back_at_the_end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
