//! What the process does beside serving: tell operators, log, stop.

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

/// How the process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long requests under way may take to finish.
    pub grace: Duration,
}
