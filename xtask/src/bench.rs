//! `cargo xtask bench`: runs the measurements of `benches/`.

use crate::setup;
use crate::step::{Outcome, cargo, run};

/// Runs the named measurements, or all.
pub(crate) fn bench(names: &[&str]) -> Outcome {
    setup::wasm_target()?;
    setup::debian(&[("wrk", "wrk"), ("nginx", "nginx-light")])?;
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
