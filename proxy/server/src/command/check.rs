//! `portcullis check`: whether a configuration can serve.

use std::path::Path;
use std::process::ExitCode;

use portcullis_server::configuration::{self, BuildError, CheckError};
use serde_json::json;

use super::{INTERNAL, Output, REFUSED};

/// Checks a configuration and tells what is wrong with it.
pub(crate) fn run(file: &Path, output: Output) -> ExitCode {
    let error = match configuration::check(file) {
        Ok(checked) => {
            match output {
                Output::Text => println!(
                    "{}: {} listeners, {} routes, {} plugin uses",
                    file.display(),
                    checked.listeners,
                    checked.routes,
                    checked.plugins
                ),
                Output::Json => println!("[]"),
            }
            return ExitCode::SUCCESS;
        }
        Err(error) => error,
    };
    match output {
        Output::Text => eprintln!("{error}"),
        Output::Json => println!("{}", as_json(&error)),
    }
    match error {
        CheckError::Build(_) | CheckError::State(_) => ExitCode::from(REFUSED),
        CheckError::Engine(_) => ExitCode::from(INTERNAL),
    }
}

/// Diagnostics as they are; anything else as one without a place.
fn as_json(error: &CheckError) -> serde_json::Value {
    match error {
        CheckError::Build(BuildError::Diagnosed(problems)) => problems.to_json(),
        CheckError::Build(_) | CheckError::Engine(_) | CheckError::State(_) => {
            json!([{ "message": error.to_string() }])
        }
    }
}
