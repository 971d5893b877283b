//! Words for the operator: granted to every plugin, limited in length and rate.

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::log as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::log as host;

pub use crate::bindings::host::log::Level;

/// Writes one line.
pub fn log(level: Level, message: impl AsRef<str>) {
    host::log(level, message.as_ref());
}

/// Writes one line for whoever writes the plugin.
pub fn debug(message: impl AsRef<str>) {
    log(Level::Debug, message);
}

/// Writes one line worth knowing.
pub fn info(message: impl AsRef<str>) {
    log(Level::Info, message);
}

/// Writes one line about something to look at.
pub fn warn(message: impl AsRef<str>) {
    log(Level::Warn, message);
}

/// Writes one line about something broken.
pub fn error(message: impl AsRef<str>) {
    log(Level::Error, message);
}
