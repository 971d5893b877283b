//! The gateway beside other proxies: the same requests to the same upstream.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::Effort;
use crate::nginx::Nginx;
use crate::process::{Process, free_address, sibling};
use crate::side_by_side::{self, Plugin, Runs, Subject};
use crate::site::{Config, door};
use crate::wrk::Request;

const BARE: &str = "bare Pingora";
const OPEN: &str = "Portcullis, no plugin";
const LOGGED: &str = "… with an access log";
const REUSED: &str = "… header authorizer, reused";
const IMAGE: &str = "… header authorizer, fresh";
const CONFIGURED: &str = "… a smaller authorizer, fresh without image";

/// What is added, by what, to what.
const ADDED: [(&str, &str, &str); 4] = [
    ("a header authorizer, reused (goal: at most 2 µs)", REUSED, OPEN),
    ("a header authorizer, fresh from its image (goal: at most 13 µs)", IMAGE, OPEN),
    ("a smaller authorizer, fresh, configured for each request", CONFIGURED, OPEN),
    ("an access log", LOGGED, OPEN),
];

/// Measures every proxy.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let upstream = Nginx::upstream()?;
    side_by_side::measure(subjects(upstream.address)?, effort, |measured| {
        println!("{}", side_by_side::absolute(measured));
        println!("{}", side_by_side::relative(measured, BARE)?);
        println!("{}", side_by_side::added(measured, &ADDED)?);
        Ok(())
    })
}

/// Everything that is measured. The gateways run one authorizer each, or none.
fn subjects(upstream: SocketAddr) -> Result<Vec<Subject>> {
    let config = || Config::new(upstream, 1);
    let off = || config().access_log("\"off\"");
    // Not beside the configuration, whose directory is watched.
    let logged = config().access_log("{ file = \"logs/access.log\" }");
    let reused = off().authorizer("door", &door("{ reuse = 1_000_000 }"));
    let image = off().authorizer("door", &door("\"fresh\""));
    // Randomness drawn in `configure` keeps the host from making an image.
    let configured =
        off().authorizer("random", "plugin = \"random-in-configure\"\nisolation = \"fresh\"");
    let portcullis = |name, path, plugin, config: &Config| {
        let guests = ["door", "random-in-configure"];
        Subject::portcullis(name, Request::with_key(path), plugin, (config, &guests))
    };
    Ok(vec![
        nginx(upstream)?,
        bare(upstream)?,
        portcullis(OPEN, "/open", Plugin::Asleep, &off())?,
        portcullis(LOGGED, "/open", Plugin::Asleep, &logged)?,
        portcullis(REUSED, "/door", Plugin::Reused, &reused)?,
        portcullis(IMAGE, "/door", Plugin::FromImage, &image)?,
        portcullis(CONFIGURED, "/random", Plugin::Configured, &configured)?,
    ])
}

fn nginx(upstream: SocketAddr) -> Result<Subject> {
    let nginx = Nginx::proxy(upstream)?;
    let runs = (nginx.address, Runs::Nginx(nginx));
    Ok(Subject::other("nginx", Request::with_key("/open"), runs))
}

fn bare(upstream: SocketAddr) -> Result<Subject> {
    let address = free_address()?;
    let mut process = Process::start(
        Command::new(sibling("bare-pingora")?)
            .args([address.to_string(), upstream.to_string()])
            .stdin(Stdio::null()),
    )?;
    process.wait_until_listening(address)?;
    Ok(Subject::other(BARE, Request::with_key("/open"), (address, Runs::Bare(process))))
}
