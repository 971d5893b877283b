//! Running one step: said before, timed after.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Why a command of the project did not succeed, for the person who ran it.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where Cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The program as the development profile builds it.
pub(crate) fn portcullis() -> PathBuf {
    target_dir().join("debug").join("portcullis")
}

/// Cargo, the one that runs us.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Says what a step does, runs it, and says how long it took.
pub(crate) fn run(what: &str, command: &mut Command) -> Outcome {
    let started = Instant::now();
    eprintln!("── {what}");
    let status = command.status().map_err(|problem| format!("{what}: {problem}"))?;
    eprintln!("── {what}: {:.1} s", started.elapsed().as_secs_f32());
    if status.success() { Ok(()) } else { Err(format!("{what} failed ({status})")) }
}

/// Runs a command for its output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|problem| problem.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
