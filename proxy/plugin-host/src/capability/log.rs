//! `log` and the standard streams: lines attributed to their plugin, bounded in
//! length and limited in rate.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::imports::log::{Host, Level};
use crate::state::State;

/// Bytes of one line; the rest is cut.
const LINE_BYTES: usize = 1024;
/// Lines a plugin use may write in a second.
const LINES_PER_SECOND: u64 = 50;

/// Where the lines of one plugin use go.
#[derive(Debug)]
pub(crate) struct LogSink {
    plugin: String,
    window: AtomicU64,
    in_window: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
}

impl LogSink {
    /// A sink whose lines carry this name.
    pub(crate) fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            window: AtomicU64::new(0),
            in_window: AtomicU64::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Writes one line, unless this second's lines are used up.
    pub(crate) fn write(&self, level: Level, message: &str, time_ms: u64) {
        let second = time_ms / 1000;
        if self.window.swap(second, Ordering::Relaxed) != second {
            self.in_window.store(0, Ordering::Relaxed);
        }
        if self.in_window.fetch_add(1, Ordering::Relaxed) >= LINES_PER_SECOND {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.written.fetch_add(1, Ordering::Relaxed);
        let line = cut(message).escape_debug().to_string();
        let plugin = self.plugin.as_str();
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{line}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{line}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{line}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{line}"),
        }
    }

    /// Lines written and lines dropped since the start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }
}

fn cut(message: &str) -> &str {
    let mut end = message.len().min(LINE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default()
}

impl Host for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.shared.log.write(level, &message, self.time_ms());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_dropped_and_counted() {
        let sink = LogSink::new("chatty");

        for _ in 0..10_000 {
            sink.write(Level::Debug, "again", 5_000);
        }

        assert_eq!(sink.counts(), (LINES_PER_SECOND, 10_000 - LINES_PER_SECOND));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(600)).len(), 1024);
        assert_eq!(cut(&format!("a{}", "é".repeat(600))).len(), 1023);
    }
}
