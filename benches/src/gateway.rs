//! A running Portcullis.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::client::Client;
use crate::process::{Process, sibling};
use crate::site::Site;

/// How long a start may take where everything has to be compiled on a busy machine.
const START: Duration = Duration::from_secs(180);

/// A running gateway; ended when dropped.
pub(crate) struct Gateway {
    /// The process.
    pub(crate) process: Process,
    /// Where it accepts clients.
    pub(crate) address: SocketAddr,
    /// From its start until it listened.
    pub(crate) listening_after: Duration,
    admin: SocketAddr,
    started: Instant,
}

impl Gateway {
    /// Starts the gateway on a site's configuration, and waits until it is ready.
    pub(crate) fn start(site: &Site) -> Result<Self> {
        let log = site.path().join("stderr");
        let started = Instant::now();
        let mut process = Process::start(
            Command::new(sibling("portcullis")?)
                .args(["run", "--config"])
                .arg(site.config())
                .current_dir(site.path())
                .env("NO_COLOR", "1")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(File::create(&log)?),
        )?;
        let lines = lines(&mut process)?;
        let (mut public, mut admin) = (None, None);
        loop {
            let Ok((line, at)) = lines.recv_timeout(START) else {
                bail!("the gateway is not ready:\n{}", fs::read_to_string(log)?);
            };
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["listening", "public", address] => public = Some((address.parse()?, at - started)),
                ["listening", "admin", address] => admin = Some(address.parse()?),
                ["ready"] => break,
                _ => {}
            }
        }
        let (address, listening_after) = public.context("the gateway listens nowhere")?;
        let admin = admin.context("the gateway has no admin listener")?;
        Ok(Self { process, address, listening_after, admin, started })
    }

    /// Waits until this many authorizers start fresh instances from their image; gives
    /// the time since the start.
    pub(crate) fn wait_for_images(&self, images: usize) -> Result<Duration> {
        while self.metric("portcullis_plugin_image_ready", "")? < images as f64 {
            ensure!(self.started.elapsed() < START, "the images are not ready");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(self.started.elapsed())
    }

    /// The sum of a metric's samples whose line holds `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let answer = Client::connect(self.admin)?.get("/metrics")?;
        ensure!(answer.status == 200, "the metrics answer with {}", answer.status);
        let values = answer.body.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_wanted = series.split('{').next() == Some(name) && series.contains(label);
            if is_wanted { value.parse::<f64>().ok() } else { None }
        });
        Ok(values.fold(0.0, |sum, value| sum + value))
    }

    /// Instances started from an image, and from a component and then configured.
    pub(crate) fn instances_started(&self) -> Result<(f64, f64)> {
        let name = "portcullis_plugin_instances_started_total";
        Ok((
            self.metric(name, "configured=\"image\"")?,
            self.metric(name, "configured=\"instance\"")?,
        ))
    }
}

/// What a process says, each line with the time it came.
fn lines(process: &mut Process) -> Result<Receiver<(String, Instant)>> {
    let stdout = process.stdout().context("the gateway has no standard output")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Once it is ready nobody listens, but the pipe must not fill up.
            let _unheard = sender.send((line, Instant::now()));
        }
    });
    Ok(receiver)
}
