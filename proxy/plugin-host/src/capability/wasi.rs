//! The WASI that ordinary programs bring along, made inert: no environment, no
//! files, no sockets; standard streams become log lines, clocks answer the
//! request's time, randomness is a stream seeded for each instance. Whatever is granted,
//! it is noticed when randomness is drawn: an image would repeat it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng, TryRng};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx};

use crate::abi::imports::log::Level;
use crate::shared::UseShared;

/// Bytes of standard output kept while a line is not finished.
const LINE_BYTES: usize = 1024;
/// Random bytes that one call may ask for: they are drawn without a pause.
const MOST_RANDOM: u64 = 1 << 20;

/// What an instance's inert WASI shares with the host's side of it.
#[derive(Debug)]
pub(crate) struct InertWasi {
    time_ms: AtomicU64,
    random_used: AtomicBool,
    said: std::sync::Mutex<Said>,
}

/// What a guest has written to its standard streams.
#[derive(Debug, Default)]
struct Said {
    /// The line that is not finished.
    line: String,
    /// The lines before it, since the call began.
    lines: String,
}

impl Said {
    fn remember(&mut self, line: &str) {
        // What a language's runtime says to developers of a shell program.
        if line.starts_with("note: run with `RUST_BACKTRACE") || self.lines.len() > LINE_BYTES {
            return;
        }
        if !self.lines.is_empty() {
            self.lines.push(' ');
        }
        self.lines.push_str(line);
    }
}

/// Whether the clocks and the randomness are real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// The grant `clock`.
    pub(crate) time: Source,
    /// The grant `random`.
    pub(crate) random: Source,
}

/// Where a guest's time or randomness comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The request's time; a stream seeded for the instance.
    Inert,
    /// The machine.
    Real,
}

impl Source {
    /// Real where it is granted.
    #[expect(clippy::fn_params_excessive_bools, reason = "a grant is a bool in the configuration")]
    pub(crate) fn granted(granted: bool) -> Self {
        if granted { Self::Real } else { Self::Inert }
    }
}

impl InertWasi {
    /// Makes the context of one instance and the handle to steer it.
    pub(crate) fn context(shared: &Arc<UseShared>) -> (WasiCtx, Arc<Self>) {
        let inert = Arc::new(Self {
            time_ms: AtomicU64::new(0),
            random_used: AtomicBool::new(false),
            said: std::sync::Mutex::default(),
        });
        let mut builder = WasiCtx::builder();
        let lines = Lines { shared: shared.clone(), inert: inert.clone() };
        builder
            .stdout(lines.clone())
            .stderr(lines)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        if shared.clocks.time == Source::Inert {
            builder
                .wall_clock(RequestClock(inert.clone()))
                .monotonic_clock(RequestClock(inert.clone()));
        }
        let random = |stream| NoticedRandom { stream, inert: inert.clone() };
        let source = shared.clocks.random;
        builder
            .secure_random(random(Stream::of(source)))
            .insecure_random(random(Stream::of(source)))
            .max_random_size(MOST_RANDOM);
        (builder.build(), inert)
    }

    /// What the clocks answer.
    pub(crate) fn time_ms(&self) -> u64 {
        self.time_ms.load(Ordering::Relaxed)
    }

    /// Notices that the instance draws randomness.
    pub(crate) fn use_random(&self) {
        self.random_used.store(true, Ordering::Relaxed);
    }

    /// Whether the instance has drawn randomness.
    pub(crate) fn random_used(&self) -> bool {
        self.random_used.load(Ordering::Relaxed)
    }

    /// What the guest wrote to its standard streams since the call began: what a panic
    /// had to say.
    pub(crate) fn last_words(&self) -> String {
        self.said
            .lock()
            .map(|said| format!("{} {}", said.lines, said.line.trim_end()).trim().to_owned())
            .unwrap_or_default()
    }

    /// Forgets what was written before.
    pub(crate) fn begin(&self, time_ms: u64) {
        self.time_ms.store(time_ms, Ordering::Relaxed);
        if let Ok(mut said) = self.said.lock()
            && !said.lines.is_empty()
        {
            said.lines.clear();
        }
    }
}

struct RequestClock(Arc<InertWasi>);

impl HostWallClock for RequestClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.time_ms())
    }
}

impl HostMonotonicClock for RequestClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        self.0.time_ms().saturating_mul(1_000_000)
    }
}

/// Random numbers for one instance.
struct NoticedRandom {
    stream: Stream,
    inert: Arc<InertWasi>,
}

/// Where they come from.
enum Stream {
    /// Seeded by the host for one instance, when it first draws.
    Seeded(Option<Box<StdRng>>),
    /// The machine's.
    Real,
}

impl Stream {
    fn of(source: Source) -> Self {
        match source {
            Source::Inert => Self::Seeded(None),
            Source::Real => Self::Real,
        }
    }
}

impl NoticedRandom {
    fn draw<T>(&mut self, number: impl FnOnce(&mut dyn Rng) -> T) -> T {
        self.inert.use_random();
        match &mut self.stream {
            Stream::Seeded(stream) => number(
                stream.get_or_insert_with(|| Box::new(StdRng::from_rng(&mut rand::rng()))).as_mut(),
            ),
            Stream::Real => number(&mut rand::rng()),
        }
    }
}

impl TryRng for NoticedRandom {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.draw(|random| random.next_u32()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.draw(|random| random.next_u64()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.draw(|random| random.fill_bytes(bytes));
        Ok(())
    }
}

/// A standard stream whose lines go to the plugin's log.
#[derive(Clone)]
struct Lines {
    shared: Arc<UseShared>,
    inert: Arc<InertWasi>,
}

impl Lines {
    fn take(&self, bytes: &[u8]) {
        let Ok(mut said) = self.inert.said.lock() else { return };
        for piece in String::from_utf8_lossy(bytes).split_inclusive('\n') {
            said.line.push_str(piece);
            if said.line.ends_with('\n') || said.line.len() > LINE_BYTES {
                let line = std::mem::take(&mut said.line);
                let line = line.trim_end();
                if !line.is_empty() {
                    self.shared.log.write(Level::Info, line, self.inert.time_ms());
                    said.remember(line);
                }
            }
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
