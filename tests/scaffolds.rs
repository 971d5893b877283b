//! `portcullis plugin new` makes projects that build, whose own tests pass and whose cases hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis_tests::{Site, program};

/// What every project of the tests is built in, so that their dependencies are built once.
fn shared_target() -> PathBuf {
    program().with_file_name("scaffolds")
}

fn succeed(command: &mut Command, project: &Path) -> String {
    let run = command
        .current_dir(project)
        .env("CARGO_TARGET_DIR", shared_target())
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let Output { status, stdout, stderr } = run.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{command:?}: {}{}", text(&stdout), text(&stderr));
    text(&stdout)
}

#[test]
fn a_new_project_of_every_role_builds_and_its_cases_hold() {
    let site = Site::new();
    for role in ["authorizer", "limiter", "validator", "request-transform", "response-transform"] {
        let name = format!("my-{role}");
        let made = site.run(&["plugin", "new", &name, "--role", role]);
        assert_eq!(made.code, Some(0), "{}", made.text());
        let project = site.path().join(&name);
        // The versions that the gateway is built with: they are here already.
        fs::copy(Path::new("../Cargo.lock"), project.join("Cargo.lock")).unwrap();

        let built = succeed(Command::new(program()).args(["plugin", "build", "."]), &project);

        let tested =
            site.run(&["plugin", "test", built.trim(), "--cases", &format!("{name}/cases.toml")]);
        assert_eq!(tested.code, Some(0), "{role}: {}", tested.text());
    }
    let again = site.run(&["plugin", "new", "my-limiter"]);
    assert!(again.text().contains("my-limiter exists already"), "{}", again.text());
}
