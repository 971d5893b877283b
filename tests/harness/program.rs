//! The built program, and commands of it that end by themselves.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::eventually::eventually_within;

/// How long a command may take where plugins have to be compiled on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Everything it said, for assertions on text wherever it stands.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// The built `portcullis`.
///
/// # Panics
///
/// Where it is not built.
pub fn program() -> PathBuf {
    let program = target().join("portcullis");
    assert!(
        program.is_file(),
        "{} is not there: run `cargo xtask test`, or build it with `cargo build --package portcullis`",
        program.display()
    );
    program
}

/// The directory of the profile this test was built in.
pub(crate) fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let deps = test.parent().expect("an executable stands in a directory");
    match deps.ends_with("deps") {
        true => deps.parent().expect("`deps` stands in a directory").to_owned(),
        false => deps.to_owned(),
    }
}

/// Runs the program in a directory until it ends.
///
/// # Panics
///
/// Where it does not end in time.
pub fn run(directory: &Path, arguments: &[&str]) -> Outcome {
    let mut child = Command::new(program())
        .args(arguments)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = child.stdout.take().expect("a pipe");
    let stderr = child.stderr.take().expect("a pipe");
    let read = |mut pipe: Box<dyn std::io::Read + Send>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is shown.
            let _partly = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let (stdout, stderr) = (read(Box::new(stdout)), read(Box::new(stderr)));
    let mut killer = Killer(child);
    let what = format!("an end of `portcullis {}`", arguments.join(" "));
    let status = eventually_within(PATIENCE, &what, || {
        killer.0.try_wait().expect("a child can be waited for")
    });
    Outcome {
        code: status.code(),
        stdout: stdout.join().expect("a reader does not panic"),
        stderr: stderr.join().expect("a reader does not panic"),
    }
}

/// Ends the child where a panic comes first.
pub(crate) struct Killer(pub(crate) std::process::Child);

impl Drop for Killer {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
