//! What a fresh machine lacks: the WebAssembly target, cargo-deny, Debian packages.

use std::path::PathBuf;
use std::process::Command;

use crate::step::{Outcome, cargo, output, run, target_dir};

const TARGET: &str = "wasm32-wasip2";
const CARGO_DENY: &str = "0.20.2";

/// Installs what the crates that build C need, and the target that components are built for.
pub(crate) fn build_tools() -> Outcome {
    debian(&[("cc", "gcc"), ("make", "make"), ("cmake", "cmake")])?;
    wasm_target()
}

/// Installs the target that components are built for.
fn wasm_target() -> Outcome {
    let libraries =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    if libraries.is_ok_and(|path| PathBuf::from(path.trim()).is_dir()) {
        return Ok(());
    }
    run(
        &format!("installing the Rust target {TARGET}"),
        Command::new("rustup").args(["target", "add", TARGET]),
    )
}

/// Installs cargo-deny beside what Cargo builds; gives its path.
pub(crate) fn cargo_deny() -> Outcome<PathBuf> {
    let root = target_dir().join("tools");
    let program = root.join("bin").join("cargo-deny");
    let installed = output(Command::new(&program).arg("--version"));
    if installed.is_ok_and(|version| version.contains(CARGO_DENY)) {
        return Ok(program);
    }
    let what = format!("building cargo-deny {CARGO_DENY}, once (a few minutes)");
    let mut install = cargo();
    install
        .args(["install", "--locked", "--version", CARGO_DENY, "--quiet", "cargo-deny", "--root"])
        .arg(&root);
    run(&what, &mut install)?;
    Ok(program)
}

/// Installs Debian packages that are missing, where we may; says so where not.
pub(crate) fn debian(packages: &[(&str, &str)]) -> Outcome {
    let present = |program: &str| output(Command::new("which").arg(program)).is_ok();
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(program, _)| !present(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let ours = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !ours {
        return Err(format!(
            "missing: {0}; install them: sudo apt-get install {0}",
            missing.join(" ")
        ));
    }
    run("reading Debian's package lists", Command::new("apt-get").args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-y", "-qq"]).args(&missing);
    run(&format!("installing {}", missing.join(", ")), &mut install)
}
