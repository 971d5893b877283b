//! How long a client may take for a request head, and between two of them.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long the head now under way may still take.
pub(super) struct HeadClock {
    /// Whether a head is awaited. Callbacks change this, `arrived` and `idle_until` only.
    awaited: AtomicBool,
    /// How many heads are complete.
    arrived: AtomicU32,
    /// By when the next head must have begun, in milliseconds since `base`; 0 for never.
    idle_until: AtomicU64,
    base: Instant,
    /// How many complete heads the rest of this clock knows of.
    known: u32,
    allowance: Duration,
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    begun: bool,
}

/// What the client speaks, as far as the first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/1.
    Http1,
    /// HTTP/2, whose heads are not timed here.
    Http2,
}

/// How a client was late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// It had begun a head.
    WithinHead,
    /// It has never said anything.
    Silent,
    /// It had nothing more to ask.
    Idle,
}

impl HeadClock {
    /// The clock of a connection whose first head is due within the allowance.
    pub(super) fn new(allowance: Duration) -> Self {
        let base = Instant::now();
        Self {
            awaited: AtomicBool::new(true),
            arrived: AtomicU32::new(0),
            idle_until: AtomicU64::new(0),
            base,
            known: 0,
            allowance,
            deadline: Some(base + allowance),
            timer: None,
            begun: false,
        }
    }

    /// Times nothing: the client speaks HTTP/2.
    pub(super) fn ignore(&mut self) {
        self.awaited.store(false, Ordering::Relaxed);
        self.rest();
    }

    /// What one head may take.
    pub(super) fn allowance(&self) -> Duration {
        self.allowance
    }

    /// Notes that a head is complete.
    pub(super) fn arrived(&self) {
        self.awaited.store(false, Ordering::Relaxed);
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the next head may come, and by when it must have begun.
    pub(super) fn expect(&self, until: Instant) {
        let until = until.saturating_duration_since(self.base).as_millis();
        self.idle_until.store(u64::try_from(until).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        self.awaited.store(true, Ordering::Relaxed);
    }

    /// Whether a head is awaited.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    /// Looks at bytes that arrived while a head was awaited.
    pub(super) fn saw(&mut self, bytes: &[u8]) -> Speaks {
        if !self.begun && bytes.starts_with(b"PRI * HTTP/2") {
            self.awaited.store(false, Ordering::Relaxed);
            return Speaks::Http2;
        }
        self.begun = true;
        if self.deadline.is_none() {
            self.deadline = Some(Instant::now() + self.allowance);
        }
        Speaks::Http1
    }

    /// Forgets a head that is complete.
    pub(super) fn catch_up(&mut self) {
        let arrived = self.arrived.load(Ordering::Relaxed);
        if arrived != self.known {
            self.known = arrived;
            self.rest();
        }
    }

    /// Whether a head has begun and is not complete.
    pub(super) fn is_within_head(&self) -> bool {
        self.begun && self.is_awaited() && self.arrived.load(Ordering::Relaxed) == self.known
    }

    /// How long the head under way has taken so far.
    pub(super) fn taken(&self) -> Duration {
        let left = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        self.allowance.saturating_sub(left.unwrap_or_default())
    }

    /// Times nothing until the next head begins.
    pub(super) fn rest(&mut self) {
        self.deadline = None;
        self.begun = false;
    }

    /// Resolves once the client is late.
    pub(super) fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Late> {
        let idle_until = self.idle_until.load(Ordering::Relaxed);
        let (deadline, late) = match self.deadline {
            Some(deadline) if self.begun => (deadline, Late::WithinHead),
            Some(deadline) => (deadline, Late::Silent),
            None if idle_until > 0 => (self.base + Duration::from_millis(idle_until), Late::Idle),
            None => return Poll::Pending,
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // A timer that is early is moved when it goes off: moving it for each request
        // would cost more.
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            std::task::ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                return Poll::Ready(late);
            }
            timer.as_mut().reset(deadline);
        }
    }
}
