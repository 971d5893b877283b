//! nginx: as the upstream of all, and as a proxy to compare with, without a limit or with
//! one.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::Result;
use tempfile::TempDir;

use crate::process::{Process, free_address};

/// Passes on to the upstream of [`origin`].
const PASS: &str =
    "proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection '';";

/// An nginx of one process, with a directory of its own.
pub(crate) struct Nginx {
    /// The process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _directory: TempDir,
}

impl Nginx {
    /// Answers everything with a small JSON text.
    pub(crate) fn upstream() -> Result<Self> {
        let answer = r#"default_type application/json; return 200 '{"id":7,"state":"ready"}';"#;
        Self::start("", answer)
    }

    /// Passes everything on to `upstream`, over kept connections.
    pub(crate) fn proxy(upstream: SocketAddr) -> Result<Self> {
        Self::start(&origin(upstream), PASS)
    }

    /// Passes on what an address may ask at this rate, with so many more at once.
    pub(crate) fn with_limit(upstream: SocketAddr, (rate, burst): (&str, u32)) -> Result<Self> {
        let servers = format!(
            "{} limit_req_zone $binary_remote_addr zone=one:10m rate={rate}; \
             limit_req_status 429; limit_req_log_level info;",
            origin(upstream)
        );
        // nginx knows no burst of zero but that of not naming one.
        let burst = if burst > 0 { format!("burst={burst} nodelay") } else { String::new() };
        Self::start(&servers, &format!("limit_req zone=one {burst}; {PASS}"))
    }

    fn start(servers: &str, location: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        // One process that is its own worker: its time is the proxy's whole time.
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr error;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n\
             access_log off; keepalive_timeout 1h; keepalive_requests 1000000000;\n\
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             {servers}\n\
             server {{ listen {address}; location / {{ {location} }} }}\n\
             }}\n"
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-p"]).arg(directory.path()).arg("-c").arg(&file);
        let mut process = Process::start(command.stdin(Stdio::null()))?;
        process.wait_until_listening(address)?;
        Ok(Self { process, address, _directory: directory })
    }
}

/// An upstream, over kept connections.
fn origin(upstream: SocketAddr) -> String {
    format!(
        "upstream origin {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; \
         keepalive_timeout 1h; }}"
    )
}
