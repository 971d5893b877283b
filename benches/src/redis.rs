//! Redis, as Debian has it.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::Result;
use tempfile::TempDir;

use crate::process::{Process, free_address};

/// A Redis that keeps nothing, with a directory of its own.
pub(crate) struct Redis {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Redis {
    /// Starts one.
    pub(crate) fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut process = Process::start(&mut command)?;
        process.wait_until_listening(address)?;
        Ok(Self { address, _process: process, _directory: directory })
    }
}
