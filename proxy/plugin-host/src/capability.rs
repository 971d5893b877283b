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
pub(crate) use http::{AuthoritiesProblem, HttpClient, HttpSide, covers, is_private_address};
pub use keys::IssuerReading;
pub(crate) use keys::{
    FetchedKeys, IssuerKeySet, IssuerProblem, Issuers, KeyPlace, KeySet, KeySetProblem, KeySource,
    PrivateAddresses, first_keys,
};
pub(crate) use keyvalue::{KeyValue, Stores};
pub(crate) use log::LogSink;
pub(crate) use wasi::{Clocks, InertWasi, Source};
