//! A real Redis, and a way to it that can be cut, or be slow.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::program::Killer;

/// A Redis that runs as a child of the test and keeps nothing; killed when dropped.
pub struct Redis {
    child: Option<Killer>,
    address: SocketAddr,
    settings: Vec<String>,
    directory: TempDir,
}

impl Default for Redis {
    fn default() -> Self {
        Self::start()
    }
}

impl Redis {
    /// Starts it on a free port.
    ///
    /// # Panics
    ///
    /// Where it is not installed, or does not answer in time.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with more settings, as its command line has them.
    ///
    /// # Panics
    ///
    /// Where it is not installed, or does not answer in time.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut redis = Self {
            child: None,
            address: ([127, 0, 0, 1], free_port()).into(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        redis.start_again();
        redis
    }

    /// Starts it where it was.
    ///
    /// # Panics
    ///
    /// Where it does not answer in time.
    pub fn start_again(&mut self) {
        let port = self.address.port().to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
            .args(&self.settings)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("Debian's package `redis-server` is installed");
        self.child = Some(Killer(child));
        eventually("a Redis that answers", || answers(self.address).ok().filter(|ready| *ready));
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it something; every line of what it says.
    ///
    /// # Panics
    ///
    /// Where it says that it cannot.
    pub fn ask(&self, words: &[&str]) -> Vec<String> {
        let port = self.address.port().to_string();
        let asked = Command::new("redis-cli").args(["-p", &port]).args(words).output();
        let output = asked.expect("Debian's package `redis-tools` is installed");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// Lets it hang: connections stand, and nothing is answered.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it at once, and all that it knew.
    pub fn kill(&mut self) {
        self.child = None;
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let id = i32::try_from(child.0.id()).ok().and_then(Pid::from_raw);
        let id = id.expect("a process has an id above zero");
        kill_process(id, signal).expect("a child can be signalled");
    }
}

/// A port where nothing listens, and which the system gives to nobody who wants any: theirs
/// begin above these. So a server that ends can be started there again.
///
/// # Panics
///
/// Where every port is taken.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const PORTS: u32 = 12_000;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    // Elsewhere for each process of tests.
    let begin = std::process::id().wrapping_mul(97) % PORTS;
    let next = |_| {
        let number = (begin + ASKED.fetch_add(1, Ordering::SeqCst)) % PORTS;
        u16::try_from(FIRST + number).expect("a port")
    };
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..PORTS).map(next).find(is_free).expect("a free port")
}

/// Whether a Redis says anything: also that it wants a password.
fn answers(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 1];
    stream.read_exact(&mut answer)?;
    Ok(matches!(&answer, b"+" | b"-"))
}

/// A way to a server that can be cut and mended, and on which answers can be slow.
pub struct Way {
    address: SocketAddr,
    state: Arc<Mutex<WayState>>,
    slowness: Arc<Slowness>,
}

#[derive(Default)]
struct WayState {
    is_cut: bool,
    streams: Vec<TcpStream>,
}

/// How long an answer is under way, and word of a change.
#[derive(Default)]
struct Slowness(Mutex<Duration>, Condvar);

impl Slowness {
    fn set(&self, slowness: Duration) {
        *self.0.lock().expect("no thread panics with it") = slowness;
        self.1.notify_all();
    }

    /// Waits as long as an answer is under way that comes now.
    fn wait(&self) {
        let came = Instant::now();
        let mut slowness = self.0.lock().expect("no thread panics with it");
        while let Some(left) = slowness.checked_sub(came.elapsed()).filter(|left| !left.is_zero()) {
            let waited = self.1.wait_timeout(slowness, left);
            slowness = waited.expect("no thread panics with it").0;
        }
    }
}

impl Way {
    /// A way to a server, from a port of its own.
    ///
    /// # Panics
    ///
    /// Where no port is to be had.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (state, slowness) = (Arc::<Mutex<WayState>>::default(), Arc::<Slowness>::default());
        let (known, slow) = (Arc::clone(&state), Arc::clone(&slowness));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = known.lock().expect("no thread panics with it");
                if !state.is_cut
                    && let Ok(both) = connect(client, server, &slow)
                {
                    state.streams.extend(both);
                }
            }
        });
        Self { address, state, slowness }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection, and each that comes.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn cut(&self) {
        let mut state = self.state.lock().expect("no thread panics with it");
        state.is_cut = true;
        for stream in state.streams.drain(..) {
            // One that is closed already is cut.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets each answer of the server be under way for so long, those that are by now too.
    pub fn slow_down(&self, slowness: Duration) {
        self.slowness.set(slowness);
    }

    /// Lets connections through again.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn mend(&self) {
        self.state.lock().expect("no thread panics with it").is_cut = false;
    }
}

fn connect(
    client: TcpStream,
    server: SocketAddr,
    slowness: &Arc<Slowness>,
) -> io::Result<[TcpStream; 2]> {
    let server = TcpStream::connect(server)?;
    let (mut questions, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        // However it ends, both sides are to know.
        let _copied = io::copy(&mut questions, &mut to_server);
        let _closed = to_server.shutdown(Shutdown::Both);
    });
    let (answers, to_client) = (server.try_clone()?, client.try_clone()?);
    let slowness = Arc::clone(slowness);
    thread::spawn(move || {
        let _copied = copy_slowly(&answers, &to_client, &slowness);
        let _closed = to_client.shutdown(Shutdown::Both);
    });
    Ok([client, server])
}

fn copy_slowly(mut from: &TcpStream, mut to: &TcpStream, slowness: &Slowness) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        slowness.wait();
        to.write_all(buffer.get(..read).unwrap_or_default())?;
    }
}
