//! Where a configuration keeps state, for those who need nothing else of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostics, Problems};
use crate::surroundings::Process;
use crate::{document, include, read, resolve, source_of};

/// Files that are looked at for `state`: more includes than anybody writes.
const MOST_FILES: usize = 1000;

/// Where a configuration keeps state. Names, files and secrets it refers to are not looked
/// at.
///
/// # Errors
///
/// When the file cannot be read, or its keys or their types are wrong.
pub fn state_directory(file: &Path) -> Result<Option<PathBuf>, Diagnostics> {
    let source = source_of(file)?;
    let mut problems = Problems::default();
    let document = include::read(source, &Process, &mut problems)
        .and_then(|root| read::read::<document::Document>(&root, &mut problems));
    problems.finish(document.map(|document| resolve::state_directory(&document)))
}

/// Where a configuration that is wrong says that it keeps state, as far as it can be read.
pub fn salvaged_state_directory(file: &Path) -> Option<PathBuf> {
    let mut waiting = vec![file.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(file) = waiting.pop() {
        if seen.len() == MOST_FILES || !seen.insert(file.clone()) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let directory = file.parent().unwrap_or(Path::new(""));
        let said = said(&text);
        if let Some(state) = said.state {
            return Some(directory.join(state));
        }
        waiting.extend(said.include.iter().map(|path| directory.join(path)));
    }
    None
}

/// What a text says outside of tables that matters here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    state: Option<String>,
    include: Vec<String>,
}

fn said(text: &str) -> Said {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut said = Said::default();
    for (key, value) in table.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("state", DeValue::String(state)) => said.state = Some(state.to_string()),
            ("include", DeValue::Array(paths)) => {
                said.include = paths
                    .iter()
                    .filter_map(|path| match path.get_ref() {
                        DeValue::String(path) => Some(path.to_string()),
                        _ => None,
                    })
                    .collect();
            }
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_found_in_what_is_no_toml() {
        let state = |text| said(text).state;
        let kept = Some("state".to_owned());

        assert_eq!(state("state = \"state\"\n[apis"), kept);
        assert_eq!(state("state = \"state\"\nlimits = \nx = = 1\n[a]\nb = \"c"), kept);
        assert_eq!(state("plugins = [\nstate = \"state\"\n"), None);
        assert_eq!(state("[a]\nstate = \"state\""), None);
        assert_eq!(state("state = 7"), None);
    }

    #[test]
    fn state_is_found_in_included_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("portcullis.toml");
        std::fs::write(&file, "include = [\"more.toml\", 1]\nx = =").unwrap();
        std::fs::write(
            directory.path().join("more.toml"),
            "state = \"kept\"\ninclude = [\"portcullis.toml\"]",
        )
        .unwrap();

        assert_eq!(salvaged_state_directory(&file), Some(directory.path().join("kept")));
        assert_eq!(salvaged_state_directory(Path::new("absent.toml")), None);
    }
}
