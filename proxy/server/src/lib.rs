//! The process: sockets, Pingora, reload, telemetry. The only crate that knows Pingora.
//!
//! ```text
//! listen ─▶ guarded_stream ─▶ Pingora ─▶ proxy ─▶ admission ─▶ pipeline
//!   TLS       head deadline                          │
//!                                         exchange ─▶ forwarding ─▶ upstream
//!                                            └──▶ held_session (held bodies, response transforms)
//! configuration ─▶ reload ─▶ current ◀── one load for each exchange
//! ```
//!
//! Decides nothing about requests: what a client may do is the pipeline's to say.

mod admin;
mod admission;
mod arrival;
mod client_certificate;
mod compression;
pub mod configuration;
mod credentials;
mod current;
mod exchange;
mod failure;
mod forwarding;
mod guarded_stream;
mod held_bytes;
mod held_session;
mod last_good;
mod limiting;
mod listen;
mod proxy;
mod received;
mod redirect;
mod reload;
mod respond;
mod shared;
pub mod start;
mod stop;
mod strict_head;
mod telemetry;
mod tls;
mod upstream;
pub mod usage;
mod watch;

pub use last_good::{CopyProblem, LastGoodProblem};
pub use listen::ListenError;
pub use telemetry::AccessLogProblem;
pub use tls::TlsProblem;
