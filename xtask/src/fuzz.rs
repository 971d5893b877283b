//! `cargo xtask fuzz`: lets libFuzzer choose the inputs of a fuzz target, by what code
//! they reach. Where it cannot be built, the target's own random inputs have to do.

use std::process::Command;

use crate::step::{Outcome, cargo, output, root, run, target_dir};

/// Each target, and the package whose test it is.
const TARGETS: &[(&str, &str)] = &[
    ("accept-encoding", "portcullis-pipeline"),
    ("address-list", "portcullis-config"),
    ("attack-growth", "portcullis-pipeline"),
    ("attacks", "portcullis-pipeline"),
    ("canonical-path", "portcullis-pipeline"),
    ("canonical-query", "iam"),
    ("chunks", "portcullis"),
    ("claims", "jwt"),
    ("client-certificate", "portcullis"),
    ("compact-form", "tokens"),
    ("configuration", "portcullis-config"),
    ("cookies", "portcullis-pipeline"),
    ("edits", "portcullis-pipeline"),
    ("json", "tokens"),
    ("json-data", "portcullis-config"),
    ("json-path", "portcullis-config"),
    ("json-place", "portcullis-pipeline"),
    ("json-strings", "portcullis-pipeline"),
    ("key-set", "portcullis-plugin-host"),
    ("openapi", "portcullis-config"),
    ("origin-pattern", "portcullis-config"),
    ("policy-document", "portcullis-policy"),
    ("policy-verdict", "portcullis-policy"),
    ("query", "portcullis-pipeline"),
    ("request-head", "portcullis"),
    ("route-pattern", "portcullis-pipeline"),
    ("sdk-cookies", "portcullis-plugin-sdk"),
    ("schema-body", "json-schema"),
    ("schema-document", "json-schema"),
    ("signature", "iam"),
    ("template", "portcullis-config"),
    ("units", "portcullis-config"),
    ("yaml-data", "portcullis-config"),
];

/// Instruments code for libFuzzer, on the stable toolchain.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "--cfg=fuzzing_libfuzzer",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// Runs one target for some minutes, or tells which there are.
pub(crate) fn fuzz(name: &str, minutes: &str) -> Outcome {
    let Some((name, package)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no target `{name}`, but: {}", names.join(", ")));
    };
    let minutes: f64 =
        minutes.parse().map_err(|_| format!("`{minutes}` is no number of minutes"))?;
    let test = format!("fuzz_{}", name.replace('-', "_"));
    if output(Command::new("c++").arg("--version")).is_err() {
        eprintln!("without a C++ compiler there is no libFuzzer: inputs are random ones");
        let mut tests = cargo();
        tests.args(["test", "--package", package, &test, "--", "--nocapture"]);
        return run(name, tests.env("PORTCULLIS_FUZZ_MINUTES", minutes.to_string()));
    }
    let found = target_dir().join("fuzz").join("corpus").join(name);
    std::fs::create_dir_all(&found).map_err(|problem| problem.to_string())?;
    let arguments = format!(
        "{} -artifact_prefix={}/ -max_total_time={:.0} -timeout=10 -rss_limit_mb=2048",
        found.display(),
        found.display(),
        minutes * 60.0
    );
    let mut tests = cargo();
    tests
        .args(["test", "--profile", "fuzz", "--package", package, "--target", &host()?])
        .arg("--target-dir")
        .arg(target_dir().join("fuzz"))
        .args([&test, "--", "--nocapture", "--test-threads=1"])
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env("BOLERO_LIBFUZZER_ARGS", arguments);
    let ran = run(&format!("{name}: libFuzzer, {minutes} minutes"), &mut tests);
    let failing = root().join("fuzz").join("corpus").join(name).join("failing");
    match failing.is_file() {
        true => Err(format!("an input fails: {}", failing.display())),
        false => ran,
    }
}

/// The machine's own target, named so that build scripts are not instrumented.
fn host() -> Outcome<String> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not name its host".to_owned())
}
