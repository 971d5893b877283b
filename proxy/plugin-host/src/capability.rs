//! What a plugin can reach beyond its own memory: one file for each capability.

mod credentials;
mod crypto;
mod http;
mod keys;
pub(crate) mod keyvalue;
mod log;
mod secrets;
mod wasi;

#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub use crypto::Key;
pub(crate) use http::{AuthoritiesProblem, HttpClient, HttpSide, covers};
pub(crate) use keys::{IssuerKeySet, KeySetProblem};
pub(crate) use keyvalue::{KeyValue, Stores};
pub(crate) use log::LogSink;
pub(crate) use wasi::{Clocks, InertWasi, Source};
