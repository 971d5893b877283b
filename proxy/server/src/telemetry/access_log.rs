//! One JSON line for each exchange, written by a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use portcullis_config::AccessLog;
use portcullis_pipeline::{Asked, CacheUse};
use portcullis_state::now_ms;
use serde::Serialize;

use super::Finished;
use crate::arrival;

/// Lines that may wait for the thread; more are dropped and counted.
const QUEUE: usize = 16 * 1024;

/// How long the thread lets lines gather before it writes them: a wake-up and a write
/// for each line would cost more than the request it tells of.
const GATHER: Duration = Duration::from_millis(5);

/// Why an access log cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogProblem {
    /// The file cannot be opened.
    #[error("the access log `{}` cannot be opened", .0.display())]
    Open(PathBuf, #[source] io::Error),
    /// The thread cannot be started.
    #[error("the access log's thread cannot be started")]
    Thread(#[source] io::Error),
}

/// Where lines are handed in.
pub(super) struct AccessLogger {
    queue: Option<SyncSender<Entry>>,
}

enum Entry {
    Line(Box<Line>),
    Reopen,
    Flush(SyncSender<()>),
}

/// What is told of an exchange.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    time: String,
    request_id: String,
    client: String,
    #[serde(flatten)]
    request: RequestPart,
    #[serde(flatten)]
    route: RoutePart,
    status: Option<u16>,
    bytes_in: usize,
    bytes_out: usize,
    duration_ms: f64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    upstream: Option<UpstreamPart>,
    #[serde(flatten)]
    decision: DecisionPart,
}

#[derive(Debug, Serialize)]
struct RequestPart {
    method: String,
    host: String,
    path: String,
}

#[derive(Debug, Serialize)]
struct RoutePart {
    api: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    route: Option<String>,
    principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer_cache: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct UpstreamPart {
    upstream_endpoint: String,
    upstream_ms: Option<f64>,
    upstream_tries: u32,
}

#[derive(Debug, Default, Serialize)]
struct DecisionPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    guard: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_plan: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    throttled_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<String>,
}

impl Line {
    /// The line of an exchange.
    pub(super) fn of(finished: &Finished<'_>) -> Self {
        let record = finished.record;
        let route = record.route.as_ref();
        let decision = record.decision.clone();
        let guard = record.guarding.iter();
        let guard = guard.map(|found| format!("{}: {}", found.rule, found.mode.as_str()));
        let skipped = record.skipped.iter().map(|(plugin, fault)| format!("{plugin}: {fault}"));
        Self {
            time: rfc3339(now_ms()),
            request_id: arrival::request_id(finished.id),
            client: finished.client.to_string(),
            request: RequestPart {
                method: finished.request.method.to_string(),
                host: finished.request.host.to_owned(),
                path: finished.request.path.to_owned(),
            },
            route: RoutePart {
                api: route.map(|route| route.api.clone()),
                stage: route.and_then(|route| route.stage_name()).map(str::to_owned),
                route: route.map(|route| route.route.key.clone()),
                principal: record.principal.clone(),
                authorizer: authorizers(&record.authorizers),
                authorizer_cache: cache_use(&record.authorizers),
            },
            status: finished.status.map(|status| status.as_u16()),
            bytes_in: finished.bytes.0,
            bytes_out: finished.bytes.1,
            duration_ms: milliseconds(finished.duration),
            upstream: finished.upstream.map(|upstream| UpstreamPart {
                upstream_endpoint: upstream.endpoint.to_string(),
                upstream_ms: upstream.first_byte.map(milliseconds),
                upstream_tries: upstream.tries,
            }),
            decision: DecisionPart {
                code: decision.as_ref().map(|decision| decision.code),
                reason: decision.as_ref().and_then(|decision| decision.reason.clone()),
                detail: decision.map(|decision| decision.detail),
                guard: guard.collect(),
                usage_plan: record.usage_plan.as_deref().map(str::to_owned),
                throttled_by: record.throttled_by.clone(),
                skipped: skipped.collect(),
            },
        }
    }
}

/// Those whose word it was; `+` cannot stand in a name.
fn authorizers(asked: &[Asked]) -> Option<String> {
    let names: Vec<&str> = asked.iter().map(|asked| asked.authorizer.as_str()).collect();
    (!names.is_empty()).then(|| names.join("+"))
}

/// `cached` where no plugin had to be called.
fn cache_use(asked: &[Asked]) -> Option<&'static str> {
    let uses = asked.iter().map(|asked| match asked.cache {
        CacheUse::Hit => "cached",
        CacheUse::Called => "called",
    });
    // `called` sorts after `cached`.
    uses.max()
}

impl AccessLogger {
    /// Keeps no log.
    #[cfg(test)]
    pub(super) fn off() -> Self {
        Self { queue: None }
    }

    /// Opens the log and starts its thread.
    pub(super) fn start(log: &AccessLog) -> Result<Self, AccessLogProblem> {
        let mut sink = match log {
            AccessLog::Off => return Ok(Self { queue: None }),
            AccessLog::Stdout => Sink::Stdout(BufWriter::new(io::stdout())),
            AccessLog::File(path) => Sink::open(path)?,
        };
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("access-log".into());
        thread
            .spawn(move || write_lines(&receiver, &mut sink))
            .map_err(AccessLogProblem::Thread)?;
        Ok(Self { queue: Some(sender) })
    }

    /// Whether lines are wanted.
    pub(super) fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands a line in; whether there was room.
    pub(super) fn write(&self, line: impl FnOnce() -> Line) -> bool {
        self.queue
            .as_ref()
            .is_none_or(|queue| queue.try_send(Entry::Line(Box::new(line()))).is_ok())
    }

    /// Opens the file anew.
    pub(super) fn reopen(&self) {
        if let Some(queue) = &self.queue {
            // A log whose thread is gone has nothing to open.
            let _gone = queue.send(Entry::Reopen);
        }
    }

    /// Waits until everything handed in is written.
    pub(super) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if let Some(queue) = &self.queue
            && queue.send(Entry::Flush(done)).is_ok()
        {
            // An error means that the thread is gone, and with it what it had.
            let _gone = wait.recv();
        }
    }
}

enum Sink {
    Stdout(BufWriter<io::Stdout>),
    File { path: PathBuf, file: BufWriter<File> },
}

impl Sink {
    fn open(path: &Path) -> Result<Self, AccessLogProblem> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|error| AccessLogProblem::Open(path.to_owned(), error))?;
        Ok(Self::File { path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stdout(out) => out,
            Self::File { file, .. } => file,
        }
    }

    fn reopen(&mut self) {
        if let Self::File { path, .. } = self {
            match Self::open(path) {
                Ok(fresh) => *self = fresh,
                Err(problem) => tracing::error!("{problem}"),
            }
        }
    }

    fn write_line(&mut self, line: &Line) -> io::Result<()> {
        let writer = self.writer();
        serde_json::to_writer(&mut *writer, line)?;
        writer.write_all(b"\n")
    }
}

/// Writes until nobody can hand anything in; flushes whenever the queue is empty.
fn write_lines(queue: &Receiver<Entry>, sink: &mut Sink) {
    loop {
        let entry = match queue.try_recv() {
            Ok(entry) => entry,
            Err(TryRecvError::Empty) => {
                report(sink.writer().flush());
                match queue.recv() {
                    Ok(Entry::Line(line)) => {
                        std::thread::sleep(GATHER);
                        Entry::Line(line)
                    }
                    Ok(entry) => entry,
                    Err(_) => return,
                }
            }
            Err(TryRecvError::Disconnected) => return report(sink.writer().flush()),
        };
        match entry {
            Entry::Line(line) => report(sink.write_line(&line)),
            Entry::Reopen => {
                report(sink.writer().flush());
                sink.reopen();
            }
            Entry::Flush(done) => {
                report(sink.writer().flush());
                // Whoever waited may have given up.
                let _gone = done.send(());
            }
        }
    }
}

fn report(written: io::Result<()>) {
    if let Err(error) = written {
        tracing::error!("the access log cannot be written: {error}");
    }
}

fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// The time as RFC 3339 writes it, in UTC.
fn rfc3339(ms: u64) -> String {
    let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian
/// calendar. Years are counted from March, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_123), "2000-02-29T00:00:00.123Z");
        assert_eq!(rfc3339(1_795_557_276_000), "2026-11-24T21:54:36.000Z");
    }
}
