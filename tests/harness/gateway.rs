//! A running gateway, seen from outside.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::Client;
use crate::eventually::{eventually, eventually_within};
use crate::message::Response;
use crate::metrics::Metrics;
use crate::program::{Killer, program};
use crate::site::Site;

/// How long a start may take where everything has to be compiled on a busy machine.
const START: Duration = Duration::from_secs(300);

/// What the listener for operators is called in what the program prints.
const ADMIN: &str = "admin";

/// A gateway that runs as a child of the test; killed when dropped.
pub struct Gateway {
    child: Killer,
    addresses: BTreeMap<String, SocketAddr>,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    site: Site,
}

impl Gateway {
    /// Starts a gateway with the guests that the configuration names. Directories, logs
    /// and a listener `public` are added to it where it has none of its own.
    ///
    /// # Panics
    ///
    /// Where it does not say in time that it listens; the message has its last words.
    pub fn start(config: &str) -> Self {
        Site::new().start(config)
    }

    pub(crate) fn run(site: Site) -> Self {
        Self::run_with(site, &program(), &[])
    }

    pub(crate) fn run_with(site: Site, program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(["run", "--config"])
            .arg(site.config())
            .args(arguments)
            .current_dir(site.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (announce, announced) = channel();
        let stdout = keep(child.stdout.take().expect("a pipe"), Some(announce));
        let stderr = keep(child.stderr.take().expect("a pipe"), None);
        let mut gateway =
            Self { child: Killer(child), addresses: BTreeMap::new(), stdout, stderr, site };
        gateway.wait_for_listeners(&announced);
        gateway
    }

    fn wait_for_listeners(&mut self, announced: &Receiver<(String, SocketAddr)>) {
        let mut awaited = self.listener_names();
        let deadline = Instant::now() + START;
        while !awaited.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            match announced.recv_timeout(left) {
                Ok((name, address)) => {
                    awaited.retain(|other| *other != name);
                    self.addresses.insert(name, address);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.give_up(&format!("it never said that it listens as {awaited:?}"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.0.wait();
                    self.give_up(&format!("it ended ({status:?}) before it listened"))
                }
            }
        }
    }

    fn listener_names(&self) -> Vec<String> {
        let config = fs::read_to_string(self.site.config()).expect("the configuration");
        let tables = config.lines().filter_map(|line| line.trim().strip_prefix("[listeners."));
        let names = tables.filter_map(|rest| rest.split([']', '.']).next()).map(str::to_owned);
        let mut names: Vec<String> = names.collect();
        if !config.contains("admin = \"off\"") {
            names.push(ADMIN.to_owned());
        }
        names.dedup();
        names
    }

    fn give_up(&self, why: &str) -> ! {
        // What the readers have not handed over yet would be missed.
        thread::sleep(Duration::from_millis(200));
        panic!(
            "the gateway is no good: {why}\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout(),
            self.stderr()
        )
    }

    /// Where a listener of this name accepts clients.
    pub fn address(&self, listener: &str) -> SocketAddr {
        let address = self.addresses.get(listener);
        *address.unwrap_or_else(|| panic!("no listener `{listener}` in {:?}", self.addresses))
    }

    /// Where metrics and health are.
    pub fn admin(&self) -> SocketAddr {
        self.address(ADMIN)
    }

    /// The directory it runs in.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Where its plugins are.
    pub fn plugins_dir(&self) -> PathBuf {
        self.site.plugins_dir()
    }

    /// Installs a plugin as tools should: written beside, then renamed.
    pub fn install(&self, name: &str, bytes: &[u8]) {
        self.site.install(name, bytes);
    }

    /// Writes another configuration; the gateway is to notice it.
    pub fn reload_config(&self, config: &str) {
        self.site.configure(config);
    }

    /// Connects to the listener `public`.
    pub fn connect(&self) -> Client {
        Client::connect(self.address("public"))
    }

    /// Sends one request over a connection of its own.
    pub fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.connect().request(method, target, headers, body)
    }

    /// Sends one GET over a connection of its own.
    pub fn get(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        self.request("GET", target, headers, b"")
    }

    /// Sends one POST over a connection of its own.
    pub fn post(&self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.request("POST", target, headers, body)
    }

    /// Reads the metrics.
    pub fn metrics(&self) -> Metrics {
        let response = Client::connect(self.admin()).request("GET", "/metrics", &[], b"");
        assert_eq!(response.status, 200, "metrics: {response:?}");
        Metrics::parse(&response.text())
    }

    /// The sum of a metric's samples with these labels; zero where there are none.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().sum(name, labels)
    }

    /// The sum of a metric's samples for one plugin use.
    pub fn use_metric(&self, name: &str, plugin_use: &str) -> f64 {
        self.metric(name, &[("use", plugin_use)])
    }

    /// How often a plugin use has faulted with this code.
    pub fn faults(&self, plugin_use: &str, fault: &str) -> f64 {
        let labels = [("use", plugin_use), ("fault", fault)];
        self.metric("portcullis_plugin_faults_total", &labels)
    }

    /// Waits until the metrics are as wanted.
    pub fn wait_for_metric(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        eventually(what, || Some(self.metrics()).filter(|metrics| wanted(metrics)))
    }

    /// Waits until fresh instances of a plugin use start from its image, which has to be
    /// compiled first.
    pub fn wait_for_image(&self, plugin_use: &str) {
        let name = "portcullis_plugin_image_ready";
        eventually_within(START, &format!("an image of {plugin_use}"), || {
            (self.use_metric(name, plugin_use) == 1.0).then_some(())
        });
    }

    /// Waits until no image is being made, which takes time and memory.
    pub fn wait_for_images(&self) {
        let name = "portcullis_plugin_image_pending";
        eventually_within(START, "an end of making images", || {
            (self.metrics().sum(name, &[]) == 0.0).then_some(())
        });
    }

    /// How many attempts to replace the configuration ended so: `Replaced`, `Refused`.
    pub fn reloads(&self, result: &str) -> f64 {
        let metrics = self.metrics();
        let name = "portcullis_reloads_total";
        [result.to_owned(), result.to_lowercase()]
            .iter()
            .map(|result| metrics.sum(name, &[("result", result)]))
            .sum()
    }

    /// Bytes of memory the process has resident.
    pub fn rss_bytes(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.child.0.id());
        let text = fs::read_to_string(path).expect("the process has a memory map");
        let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.expect("the second number is the resident pages") * 4096
    }

    /// How often the process's thread of this name has gone to sleep.
    pub fn sleeps_of(&self, thread: &str) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.0.id()));
        let mut tasks = tasks.expect("the process has threads").map_while(Result::ok);
        let is_it = |path: &PathBuf| {
            fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim_end() == thread)
        };
        let task = tasks.find_map(|task| Some(task.path()).filter(is_it)).expect("such a thread");
        let status = fs::read_to_string(task.join("status")).expect("its status");
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.and_then(|count| count.trim().parse().ok()).expect("a count")
    }

    /// Every line of the access log so far.
    ///
    /// # Panics
    ///
    /// Where a whole line is no JSON.
    pub fn access_log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.site.path().join("access.log")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line| serde_json::from_str(line);
        let lines = whole.lines().filter(|line| !line.is_empty());
        lines.map(|line| parse(line).unwrap_or_else(|_| panic!("`{line}` is no JSON"))).collect()
    }

    /// Waits for the access log line of the request with this path.
    pub fn log_line(&self, path: &str) -> Value {
        self.wait_for_line(&format!("an access log line of {path}"), |line| line["path"] == path)
    }

    /// Waits for the first access log line that is as wanted. Lines are written after their
    /// answers were sent, and those of several requests in any order.
    pub fn wait_for_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.access_log().into_iter().find(|line| wanted(line)))
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> String {
        self.stdout.lock().expect("no reader panics").clone()
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no reader panics").clone()
    }

    /// Waits until it has written this.
    pub fn wait_for_output(&self, text: &str) -> String {
        eventually(&format!("`{text}` in what the gateway writes"), || {
            let written = self.stdout() + &self.stderr();
            written.contains(text).then_some(written)
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.0.id()).ok().and_then(Pid::from_raw);
        let id = id.expect("a process has an id above zero");
        kill_process(id, signal).expect("a child can be signalled");
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for its end.
    pub fn wait_exit(&mut self) -> ExitStatus {
        let child = &mut self.child.0;
        eventually("the gateway's end", || child.try_wait().expect("a child can be waited for"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.0.try_wait().expect("a child can be waited for").is_none()
    }

    /// Stops it at once, and leaves the directory that it ran in.
    pub fn kill(self) -> Site {
        let Self { child, site, .. } = self;
        drop(child);
        site
    }

    /// Waits until requests for a path are answered as wanted, by a new configuration.
    pub fn wait_for_answer(&self, what: &str, target: &str, wanted: impl Fn(&Response) -> bool) {
        eventually_within(START, what, || Some(self.get(target, &[])).filter(|it| wanted(it)));
    }
}

/// Keeps what a pipe says, and hands over the listeners it names.
fn keep(
    pipe: impl Read + Send + 'static,
    announce: Option<Sender<(String, SocketAddr)>>,
) -> Arc<Mutex<String>> {
    let kept = Arc::new(Mutex::new(String::new()));
    let keeper = Arc::clone(&kept);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let (Some(announce), Some(listener)) = (&announce, listener(&line)) {
                // Once everything listens, nobody waits for more.
                let _unheard = announce.send(listener);
            }
            let mut text = keeper.lock().expect("no reader panics");
            text.push_str(&line);
            text.push('\n');
        }
    });
    kept
}

/// The name and address in `listening NAME ADDRESS`.
fn listener(line: &str) -> Option<(String, SocketAddr)> {
    let mut words = line.strip_prefix("listening ")?.split_whitespace();
    let (name, address) = (words.next()?, words.next()?);
    Some((name.to_owned(), address.parse().ok()?))
}
