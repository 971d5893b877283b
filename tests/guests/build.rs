//! Compiles the guests here and the examples to components, and puts the
//! quickstart's plugins where its configuration looks for it.

use std::path::Path;
use std::process::ExitCode;

use portcullis_guest_build::{BuildError, crates_in, embed, install};

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
    let examples = root.join("examples");
    let mut folders = crates_in(Path::new("."), &[])?;
    folders.extend(crates_in(&examples, &[])?);
    let components = embed(&folders)?;
    for name in ["door", "claims-header"] {
        if let Some(component) = components.get(name) {
            install(name, component, &examples.join("quickstart/plugins"))?;
        }
    }
    // A new guest, another SDK or contract, other versions of what they use.
    for path in ["tests/guests", "plugin-sdk", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    Ok(())
}
