//! The files and variables of this process, with a note of what was looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf, absolute};
use std::sync::{Mutex, PoisonError};

use portcullis_config::{Process, Surroundings};

/// What was read of files, by their absolute paths. Of those that hold secrets, nothing.
pub(crate) type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// The files and variables of this process, noting which files are looked at.
#[derive(Default)]
pub(super) struct Watched(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    files: BTreeSet<PathBuf>,
    contents: Contents,
}

impl Watched {
    /// The files that were looked at, and what was read of them.
    pub(super) fn into_parts(self) -> (BTreeSet<PathBuf>, Contents) {
        let Notes { files, contents } = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        (files, contents)
    }

    fn note(&self, write: impl FnOnce(&mut Notes)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn note_file(&self, file: &Path) {
        self.note(|notes| {
            notes.files.insert(file.to_owned());
        });
    }
}

impl Surroundings for Watched {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Process.variable(name)
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        self.note_file(file);
        let content = Process.read(file)?;
        if let Ok(file) = absolute(file) {
            self.note(|notes| drop(notes.contents.insert(file, content.clone())));
        }
        Ok(content)
    }

    fn secret(&self, file: &Path) -> io::Result<Vec<u8>> {
        self.note_file(file);
        Process.secret(file)
    }

    fn is_file(&self, file: &Path) -> bool {
        self.note_file(file);
        Process.is_file(file)
    }

    fn is_directory(&self, directory: &Path) -> bool {
        Process.is_directory(directory)
    }
}
