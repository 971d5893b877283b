//! The clock that interrupts guests. It ticks only while one runs.
//!
//! A thousand wake-ups a second would cost a gateway without plugins more than its
//! routing does. So the clock's thread parks once no guest has run for a while, and
//! whoever runs the next one wakes it:
//!
//! ```text
//! guest:  entered += 1 ─▶ parked? unpark      clock:  parked = true ─▶ idle? park
//! ```
//!
//! Both sides write before they look, in one total order, so at least one of them sees
//! the other: a guest never runs without ticks.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often a running guest is looked at.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a guest after which the thread parks: waking it costs a system call,
/// which a gateway with some traffic should not pay for each request.
const IDLE_TICKS: u32 = 100;

/// Counts the guests that run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<Shared>);

/// The thread that ticks; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticker(Clock);

/// A guest runs for as long as this lives.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Shared);

#[derive(Debug, Default)]
struct Shared {
    /// Guests that have begun to run.
    entered: AtomicU64,
    /// Guests that have stopped. Never ahead of `entered`.
    left: AtomicU64,
    parked: AtomicBool,
    stopped: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Clock {
    /// Notes that a guest runs, until the guard is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        let shared = self.0.as_ref();
        shared.entered.fetch_add(1, Ordering::SeqCst);
        if shared.parked.load(Ordering::SeqCst) {
            shared.wake();
        }
        Running(shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Ordering::SeqCst);
    }
}

impl Ticker {
    /// Starts a thread that calls `tick` each millisecond while guests run.
    pub(crate) fn start(tick: impl FnMut() + Send + 'static) -> io::Result<Self> {
        Self::start_with(IDLE_TICKS, tick)
    }

    fn start_with(idle_ticks: u32, tick: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let clock = Clock::default();
        let shared = Arc::clone(&clock.0);
        let thread = thread::Builder::new().name("epochs".into());
        let handle = thread.spawn(move || shared.tick(idle_ticks, tick))?;
        // Nobody else sets it: the clock is not handed out before.
        let _first = clock.0.thread.set(handle.thread().clone());
        Ok(Self(clock))
    }

    /// What counts the guests.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        let shared = &self.0.0;
        shared.stopped.store(true, Ordering::SeqCst);
        shared.wake();
    }
}

impl Shared {
    fn tick(&self, idle_ticks: u32, mut tick: impl FnMut()) {
        let (mut seen, mut idle) = (0, 0);
        while !self.stopped.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            tick();
            if self.is_idle_since(seen) {
                idle += 1;
            } else {
                seen = self.entered.load(Ordering::SeqCst);
                idle = 0;
            }
            if idle >= idle_ticks {
                self.park(seen);
                idle = 0;
            }
        }
    }

    /// Whether no guest runs, and none has since `seen` had been counted.
    fn is_idle_since(&self, seen: u64) -> bool {
        // In this order: all that had entered have left, and nobody has entered since.
        self.left.load(Ordering::SeqCst) == seen && self.entered.load(Ordering::SeqCst) == seen
    }

    /// Parks unless a guest has come meanwhile. May return early; then it ticks on for
    /// a while.
    fn park(&self, seen: u64) {
        self.parked.store(true, Ordering::SeqCst);
        if self.is_idle_since(seen) && !self.stopped.load(Ordering::SeqCst) {
            thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }

    #[cold]
    fn wake(&self) {
        self.parked.store(false, Ordering::SeqCst);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    struct Watched {
        ticker: Ticker,
        ticks: Arc<AtomicU64>,
    }

    impl Watched {
        fn start(idle_ticks: u32) -> Self {
            let ticks = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&ticks);
            let tick = move || {
                counted.fetch_add(1, Ordering::SeqCst);
            };
            Self { ticker: Ticker::start_with(idle_ticks, tick).unwrap(), ticks }
        }

        fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
            let started = Instant::now();
            while !is_so(self) {
                assert!(started.elapsed() < PATIENCE, "{what}");
                thread::yield_now();
            }
        }

        fn wait_until_parked(&self) {
            self.wait_until("it parks", |this| this.ticker.0.0.parked.load(Ordering::SeqCst));
        }

        fn wait_for_ticks(&self, more: u64) {
            let before = self.ticks.load(Ordering::SeqCst);
            self.wait_until("it ticks", |this| this.ticks.load(Ordering::SeqCst) >= before + more);
        }
    }

    #[test]
    fn it_ticks_for_as_long_as_a_guest_runs() {
        let watched = Watched::start(3);
        watched.wait_until_parked();

        let running = watched.ticker.clock().run();
        watched.wait_for_ticks(20);
        drop(running);

        // Parking may end early, once: then it ticks on for a while.
        watched.wait_until("a parked clock ticks", |this| {
            let before = this.ticks.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            this.ticks.load(Ordering::SeqCst) <= before + 1
        });
        watched.wait_until_parked();
    }

    #[test]
    fn no_guest_runs_without_ticks_however_it_meets_the_parking() {
        let watched = Watched::start(1);
        let clock = watched.ticker.clock().clone();
        thread::scope(|scope| {
            for turn in 0..2 {
                let (watched, clock) = (&watched, clock.clone());
                scope.spawn(move || {
                    for round in 0..200_u32 {
                        // Into the moment at which it parks, from both sides.
                        let until = Instant::now() + Duration::from_micros(900 + u64::from(round));
                        while Instant::now() < until && turn == 0 {
                            std::hint::spin_loop();
                        }
                        let _running = clock.run();
                        watched.wait_for_ticks(1);
                    }
                });
            }
        });
    }

    #[test]
    fn its_thread_ends_with_it() {
        let watched = Watched::start(1);
        watched.wait_until_parked();
        let Watched { ticker, ticks } = watched;
        drop(ticker);
        let started = Instant::now();
        while Arc::strong_count(&ticks) > 1 {
            assert!(started.elapsed() < PATIENCE, "the thread goes on");
            thread::yield_now();
        }
    }
}
