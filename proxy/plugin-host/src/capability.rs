//! What a plugin can reach beyond its own memory: one file for each capability.

mod crypto;
mod keys;
mod log;
mod secrets;
mod wasi;

#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub use crypto::Key;
pub(crate) use keys::{IssuerKeySet, KeySetProblem};
pub(crate) use log::LogSink;
pub(crate) use wasi::{Clocks, InertWasi, Source};
