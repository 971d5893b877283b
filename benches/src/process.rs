//! A child process: what it costs, and its end.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a child may take until it listens.
const START: Duration = Duration::from_secs(10);

/// A child process; ended when dropped.
pub(crate) struct Process {
    child: Child,
}

/// Processor time that a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    /// In the program.
    pub(crate) user: Duration,
    /// In the kernel, for it.
    pub(crate) system: Duration,
}

impl Cpu {
    /// Microseconds used since `earlier`: in all, and in the program.
    pub(crate) fn micros_since(self, earlier: Self) -> (f64, f64) {
        let user = self.user.saturating_sub(earlier.user).as_secs_f64() * 1e6;
        (user + self.system.saturating_sub(earlier.system).as_secs_f64() * 1e6, user)
    }
}

/// Bytes of memory that this process has resident.
pub(crate) fn own_rss_bytes() -> Result<u64> {
    rss_bytes(&fs::read_to_string("/proc/self/statm")?)
}

/// What `/proc/PID/statm` says is resident.
fn rss_bytes(statm: &str) -> Result<u64> {
    let pages: u64 = statm.split(' ').nth(1).context("/proc/PID/statm is short")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

impl Process {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self { child: command.spawn().context(name)? })
    }

    /// Its standard output, where that is a pipe nobody has taken yet.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until it accepts connections.
    pub(crate) fn wait_until_listening(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status}) before it listened on {address}");
            }
            if Instant::now() > deadline {
                bail!("nothing listens on {address} after {} s", START.as_secs());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The processor time it has used so far, all its threads together.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let text = self.proc_file("stat")?;
        // The name, which may hold anything, ends at the last parenthesis.
        let (_, rest) = text.rsplit_once(") ").context("/proc/PID/stat has no name")?;
        let ticks = |field: usize| -> Result<Duration> {
            let ticks: u64 =
                rest.split(' ').nth(field).context("/proc/PID/stat is short")?.parse()?;
            let per_second = rustix::param::clock_ticks_per_second();
            Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
        };
        Ok(Cpu { user: ticks(11)?, system: ticks(12)? })
    }

    /// Bytes of memory it has resident.
    pub(crate) fn rss_bytes(&self) -> Result<u64> {
        rss_bytes(&self.proc_file("statm")?)
    }

    /// Stops it where it is, so that it does not disturb what is measured.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(id.context("a process has an id above zero")?, signal)?)
    }

    fn proc_file(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).context(path)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// An address nobody listens on, as far as can be known.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A program that was built together with this one.
pub(crate) fn sibling(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if !path.is_file() {
        bail!("{} is not there: run `cargo xtask bench`, which builds it", path.display());
    }
    Ok(path)
}
