//! Several files as one: the tables of included files are added to the including one's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place, Problems, Source};
use crate::surroundings::Surroundings;
use crate::tree::{self, Entry, Node, Table, Value};

/// Tables whose members may be spread over files.
const SECTIONS: [&str; 6] =
    ["listeners", "upstreams", "authorizers", "validators", "transforms", "apis"];

/// Reads a configuration and all that it includes into one tree.
pub(crate) fn read(
    source: Source,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<Node> {
    let file = source.directory.join(Path::new(&source.name).file_name().unwrap_or_default());
    let mut reader = Reader { surroundings, read: BTreeSet::from([plain(&file)]), broken: false };
    let root = reader.source(source, problems);
    if reader.broken { None } else { root }
}

struct Reader<'s> {
    surroundings: &'s dyn Surroundings,
    read: BTreeSet<PathBuf>,
    /// Whether some file could not be read, so that names may seem to be missing.
    broken: bool,
}

impl Reader<'_> {
    fn source(&mut self, source: Source, problems: &mut Problems) -> Option<Node> {
        let Some(mut root) = tree::parse(&Arc::new(source), problems) else {
            self.broken = true;
            return None;
        };
        let Value::Table(entries) = &mut root.value else { return Some(root) };
        for (path, place) in included(entries) {
            if let Some(Node { value: Value::Table(more), .. }) = self.file(&path, &place, problems)
            {
                merge(entries, more, problems);
            }
        }
        Some(root)
    }

    fn file(&mut self, path: &str, place: &Place, problems: &mut Problems) -> Option<Node> {
        let file = place.directory().join(path);
        if !self.read.insert(plain(&file)) {
            problems.add(Diagnostic::at(place, format!("`{path}` is included twice")));
            return None;
        }
        let bytes = self.surroundings.read(&file).map_err(|error| error.to_string());
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|e| e.to_string()));
        let text = match text {
            Ok(text) => text,
            Err(cause) => {
                self.broken = true;
                let message = format!("`{}` cannot be read: {cause}", file.display());
                problems.add(Diagnostic::at(place, message));
                return None;
            }
        };
        let directory = file.parent().map(Path::to_owned).unwrap_or_default();
        let shown = Path::new(place.file()).parent().unwrap_or(Path::new("")).join(path);
        let name = shown.display().to_string();
        self.source(Source { name, directory, text }, problems)
    }
}

/// The files a table includes. What is no list of texts is for the reader to say.
fn included(entries: &Table) -> Vec<(String, Place)> {
    let include = entries.iter().find(|entry| entry.key == "include");
    let Some(Node { value: Value::Array(items), .. }) = include.map(|entry| &entry.value) else {
        return Vec::new();
    };
    let path = |item: &Node| match &item.value {
        Value::String(path) => Some((path.clone(), item.place.clone())),
        _ => None,
    };
    items.iter().filter_map(path).collect()
}

fn merge(into: &mut Table, more: Table, problems: &mut Problems) {
    for entry in more {
        match into.iter_mut().find(|there| there.key == entry.key) {
            None => into.push(entry),
            // An included file's own list was followed when it was read.
            Some(_) if entry.key == "include" => {}
            Some(there) if SECTIONS.contains(&entry.key.as_str()) => {
                merge_section(there, entry, problems);
            }
            Some(there) => twice(there, &entry, problems),
        }
    }
}

fn merge_section(there: &mut Entry, here: Entry, problems: &mut Problems) {
    match (&mut there.value.value, here.value.value) {
        (Value::Table(names), Value::Table(more)) => {
            for entry in more {
                match names.iter().find(|name| name.key == entry.key) {
                    Some(name) => twice(name, &entry, problems),
                    None => names.push(entry),
                }
            }
        }
        (_, other) => {
            let message = format!("expected a table, found {}", other.describe());
            problems.add(Diagnostic::at(&here.value.place, message));
        }
    }
}

fn twice(first: &Entry, second: &Entry, problems: &mut Problems) {
    let problem = Diagnostic::at(&second.key_place, format!("`{}` is defined twice", second.key));
    problems.add(problem.with_help(format!("first defined at {}", first.key_place)));
}

/// The path without `.` and `..`, so that one file has one path.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
