//! The programs that `cargo xtask test` installs from what `tests/clients` pins: real
//! libraries of other people, to try the gateway with.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};

use crate::program::{Killer, target};

/// Where they are installed, beside the directories of Cargo's profiles.
const INSTALLED: &str = "tools/clients";

/// Node with a script, an ECMAScript module that may import every package of
/// `tests/clients/package.json`.
///
/// # Panics
///
/// Where the packages are not installed.
pub fn node(script: &str) -> Command {
    let folder = installed("node");
    let mut node = Command::new("node");
    // A module from the command line imports from the directory it runs in.
    node.args(["--input-type=module", "--eval", script, "--"])
        .current_dir(folder)
        .env("NODE_NO_WARNINGS", "1")
        .stdin(Stdio::null());
    node
}

/// Python with a script, which may import every package of
/// `tests/clients/requirements.txt`.
///
/// # Panics
///
/// Where the packages are not installed.
pub fn python(script: &str) -> Command {
    let mut python = Command::new(installed("python").join("bin/python"));
    python.args(["-c", script]).stdin(Stdio::null());
    python
}

/// A program that the packages of a kind (`node` or `python`) bring along, by its path in
/// their folder.
///
/// # Panics
///
/// Where the packages are not installed.
pub(crate) fn tool(kind: &str, path: &str) -> Command {
    let mut tool = Command::new(installed(kind).join(path));
    tool.stdin(Stdio::null());
    tool
}

/// Runs a client until it ends and gives what it wrote to standard output.
///
/// # Panics
///
/// Where it fails; the message has its last words.
pub fn said(client: &mut Command) -> String {
    let output = client.output().expect("the client starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client:?} failed\n{said}{complained}");
    said
}

fn installed(kind: &str) -> PathBuf {
    let profile = target();
    let folder = profile.parent().expect("a profile stands in a directory").join(INSTALLED);
    let folder = folder.join(kind);
    assert!(
        folder.join("installed-for").is_file(),
        "{} is not there: run `cargo xtask test`, or only `cargo xtask clients`",
        folder.display()
    );
    folder
}

/// A client that goes on running; killed when dropped.
pub struct Service {
    announced: String,
    _child: Killer,
    // Kept open: a service that cannot write ends.
    _stdout: BufReader<ChildStdout>,
}

impl Service {
    /// Starts it and waits for the first line it writes.
    ///
    /// # Panics
    ///
    /// Where it ends without one.
    pub fn start(client: &mut Command) -> Self {
        let mut child = Killer(client.stdout(Stdio::piped()).spawn().expect("the client starts"));
        let mut stdout = BufReader::new(child.0.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line of the client");
        assert!(!line.is_empty(), "{client:?} ended without a word");
        Self { announced: line.trim().to_owned(), _child: child, _stdout: stdout }
    }

    /// The first line it wrote, such as where it listens.
    pub fn announced(&self) -> &str {
        &self.announced
    }
}
