//! The configuration: text to a checked model.
//!
//! ```text
//! text ─ tree::parse ─▶ Node ─ include::read ─▶ Node ─ read::read ─▶ Document ─ resolve ─▶ Gateway
//!         TOML, places       one tree of all          keys, types      untrusted  names,     usable
//!                            files                    and defaults                texts
//! ```
//!
//! Every step notes what is wrong as a [`Diagnostic`] and goes on, so that one run
//! shows all problems. A [`Gateway`] cannot hold an unresolved name or an unparsed
//! text, and keeps the [`Place`]s that those who load it need to complain.
//!
//! This crate opens no sockets and knows neither plugins nor an async runtime; it
//! reads files and the environment through [`Surroundings`].
//!
//! | module | holds |
//! |---|---|
//! | `gateway` | the configuration as proven |
//! | `document` | the configuration as typed: all keys, their defaults and descriptions |
//! | `resolve` | from the one to the other, a file for each section |
//! | `tree`, `include` | TOML with places; several files as one |
//! | `data` | JSON and YAML with places: schemas and API descriptions |
//! | `read`, `units` | the typed reader; durations and sizes |
//! | `diagnostic`, `suggest` | problems as the operator reads them |
//! | `schema` | the JSON Schema and the reference, from `document` |
//! | `path`, `secret`, `service_url` | path patterns; secrets; where documents of services are |
//! | `state` | where state is kept, for those who need nothing else |
//! | `networks`, `country` | sets of addresses; the country of one |
//! | `template`, `json_path` | texts with placeholders; places in JSON |

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod country;
mod data;
mod diagnostic;
mod document;
mod gateway;
mod include;
mod json_path;
mod networks;
mod path;
mod read;
mod resolve;
mod schema;
mod secret;
mod service_url;
mod state;
mod suggest;
mod surroundings;
mod template;
mod tree;
mod units;

pub use country::{Country, CountryDatabase};
pub use diagnostic::{Diagnostic, Diagnostics, Place};
pub use gateway::*;
pub use json_path::{JsonPath, JsonPathProblem, Step};
pub use networks::Networks;
pub use path::{PathPattern, PathProblem, Segment};
pub use schema::{reference, schema};
pub use secret::Secret;
pub use service_url::ServiceUrl;
pub use state::{salvaged_state_directory, state_directory};
pub use surroundings::{Process, Surroundings};
pub use template::{Part, Placeholder, Template, TemplateProblem};

#[cfg(test)]
mod fuzz;

use diagnostic::{Problems, Source};

/// Reads and checks a configuration file and all that it includes.
///
/// Relative paths are relative to the file they are written in.
pub fn load(file: &Path) -> Result<Gateway, Diagnostics> {
    let Source { name, directory, text } = source_of(file)?;
    parse(&text, &name, &directory)
}

fn source_of(file: &Path) -> Result<Source, Diagnostics> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Diagnostic::at(&Place::of_file(&name), format!("this file cannot be read: {error}"))
    })?;
    let directory = file.parent().unwrap_or(Path::new("")).to_owned();
    Ok(Source { name, directory, text })
}

/// Reads `grants` at the top of a file that is no configuration, as a configuration has it
/// for a plugin use. What else the file holds is not looked at; without `grants`, nothing is
/// granted.
///
/// # Errors
///
/// When the file cannot be read or is no TOML, or a grant is wrong; each with its place.
pub fn grants(file: &Path) -> Result<Grants, Diagnostics> {
    let source = Arc::new(source_of(file)?);
    let mut problems = Problems::default();
    let granted = tree::parse(&source, &mut problems).and_then(|root| {
        let tree::Value::Table(members) = root.value else { return None };
        let Some(written) = members.into_iter().find(|entry| entry.key == "grants") else {
            return Some(Grants::default());
        };
        let written = read::read::<document::Grants>(&written.value, &mut problems)?;
        Some(resolve::stated_grants(&written, &Process, &mut problems))
    });
    problems.finish(granted)
}

/// Parses a duration as configurations write it: `250ms`, `1m30s`, `90d`.
///
/// # Errors
///
/// When the text is none.
pub fn parse_duration(text: &str) -> Result<Duration, DurationProblem> {
    units::duration(text).map_err(|problem| DurationProblem(problem.to_string()))
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DurationProblem(String);

/// Checks a configuration whose text is at hand. Relative paths in it are relative to
/// `directory`.
pub fn parse(text: &str, file_name: &str, directory: &Path) -> Result<Gateway, Diagnostics> {
    parse_within(text, file_name, directory, &Process)
}

/// Like [`parse`], with other files and variables than this process's.
pub fn parse_within(
    text: &str,
    file_name: &str,
    directory: &Path,
    surroundings: &dyn Surroundings,
) -> Result<Gateway, Diagnostics> {
    let mut problems = Problems::default();
    let source = Source {
        name: file_name.to_owned(),
        directory: directory.to_owned(),
        text: text.to_owned(),
    };
    let document = include::read(source, surroundings, &mut problems)
        .and_then(|root| read::read::<document::Document>(&root, &mut problems));
    let gateway =
        document.and_then(|document| resolve::gateway(&document, surroundings, &mut problems));
    problems.finish(gateway)
}
