//! Compiles every plugin beside this crate to a component.

use std::path::Path;
use std::process::ExitCode;

use portcullis_guest_build::{BuildError, crates_in, embed};

/// The siblings that are no plugins.
const TOOLS: [&str; 3] = ["build", "builtin", "tokens"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BuildError> {
    let root = Path::new("../..");
    embed(&crates_in(&root.join("plugins"), &TOOLS)?)?;
    // A new sibling, another SDK or contract, other versions of what they use.
    for path in ["plugins", "plugin-sdk", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    Ok(())
}
