//! The files of a configuration that served, in the place of those on disk.

use std::io;
use std::path::{Path, absolute};

use portcullis_config::{Process, Surroundings};

use crate::configuration::Contents;

/// Files as they were kept; secrets as they are.
pub(super) struct StandIn<'a> {
    pub(super) contents: &'a Contents,
}

impl Surroundings for StandIn<'_> {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Process.variable(name)
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let kept = self.contents.get(&absolute(file)?).cloned();
        kept.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not in the copy"))
    }

    fn secret(&self, file: &Path) -> io::Result<Vec<u8>> {
        Process.secret(file)
    }

    fn is_file(&self, file: &Path) -> bool {
        Process.is_file(file)
    }

    /// What was in it is in the copy.
    fn is_directory(&self, _: &Path) -> bool {
        true
    }
}
