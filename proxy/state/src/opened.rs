//! A connection to the file that a path names, also after another took its place.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::database::connect;
use crate::error::StateError;
use crate::vault::Vault;

/// A connection to the file that a path names.
#[derive(Debug)]
pub(crate) struct Opened {
    connection: Connection,
    path: PathBuf,
    /// The file the connection has open.
    file: (u64, u64),
}

impl Opened {
    /// Opens the file at a path, and brings it up to date.
    pub(crate) fn open(path: PathBuf, vault: &Vault) -> Result<Self, StateError> {
        let connection = connect(&path, vault)?;
        let file = file_of(&path)?;
        Ok(Self { connection, path, file })
    }

    /// Looks whether the path names another file now; then that is open, and the answer
    /// is yes.
    pub(crate) fn follow(&mut self, vault: &Vault) -> Result<bool, StateError> {
        let file = file_of(&self.path)?;
        if file == self.file {
            return Ok(false);
        }
        self.connection = connect(&self.path, vault)?;
        self.file = file;
        Ok(true)
    }

    /// The connection.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// What SQLite says of the file.
    pub(crate) fn sqlite(&self, error: &rusqlite::Error) -> StateError {
        StateError::of_sqlite(&self.path, error)
    }
}

/// Which file a path names now.
fn file_of(path: &Path) -> Result<(u64, u64), StateError> {
    let metadata = fs::metadata(path).map_err(|error| StateError::io(path, error))?;
    Ok((metadata.dev(), metadata.ino()))
}
