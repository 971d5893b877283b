//! What the process does beside serving: tell operators, log, bound, stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// The listener for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The address it binds.
    pub address: SocketAddr,
    /// Host names that operators reach it by, beside addresses and `localhost`; in lower case.
    pub hosts: Vec<String>,
    /// The bearer token that reads and changes state; `None` lets nobody.
    pub token: Option<Secret>,
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// One JSON object a line, to standard output.
    Stdout,
    /// One JSON object a line, appended to this file.
    File(PathBuf),
}

/// Bounds on what clients may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head.
    pub header_bytes: usize,
    /// Header fields of a request.
    pub header_count: usize,
    /// Bytes of a request target.
    pub target_bytes: usize,
    /// How long a whole request head may take.
    pub header_timeout: Duration,
    /// How long a client may pause within a body.
    pub body_timeout: Duration,
    /// How long an idle client connection is kept.
    pub keep_alive: Duration,
    /// Requests bodies that may be held in memory at once, in bytes.
    pub held_body_bytes: u64,
}

/// How the process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long requests under way may take to finish.
    pub grace: Duration,
}
