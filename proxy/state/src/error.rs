//! Why the state cannot be read or changed.

use std::path::{Path, PathBuf};

use crate::key_file::LineProblem;

/// Why the state cannot be read or changed. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory cannot be used.
    #[error("`{path}` cannot be used: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others could read or change what only this user may.
    #[error("`{path}`: {what}; take the permission away")]
    Permissions {
        /// Which file or directory.
        path: PathBuf,
        /// What others may do.
        what: &'static str,
    },
    /// SQLite refuses the file.
    #[error(
        "`{path}` cannot be used as the database: {reason}; restore it from a backup, or move it away to begin anew"
    )]
    Unusable {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// SQLite could not do it this time.
    #[error("the database `{path}` could not be asked: {reason}")]
    Busy {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// A later version has written it.
    #[error(
        "`{path}` was written by a later version (schema {found}, this one knows {known}); run that version, or restore a backup made before"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The latest schema known here.
        known: u32,
    },
    /// The master key is gone while the database needs it.
    #[error("`{path}` is not there, and without it the database beside it cannot be read")]
    NoMasterKey {
        /// Where the key should be.
        path: PathBuf,
    },
    /// The master key belongs to another database.
    #[error("`{path}` is not the key that the database beside it was written with")]
    WrongMasterKey {
        /// The key.
        path: PathBuf,
    },
    /// Nothing of this name is there.
    #[error("there is no {what} `{name}`")]
    Absent {
        /// What kind of thing.
        what: &'static str,
        /// Its name or id.
        name: String,
    },
    /// Something of this name is there already.
    #[error("there is a {what} `{name}` already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its name or id.
        name: String,
    },
    /// A value that cannot be kept.
    #[error("{0}")]
    Invalid(String),
    /// A file of which nothing was imported.
    #[error("nothing is imported: {} of the file", problems(.0))]
    File(Vec<LineProblem>),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

impl StateError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn absent(what: &'static str, name: &str) -> Self {
        Self::Absent { what, name: name.to_owned() }
    }

    /// What SQLite says of a database, in these words.
    pub(crate) fn of_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(Code::NotADatabase | Code::DatabaseCorrupt) => Self::Unusable { path, reason },
            _ => Self::Busy { path, reason },
        }
    }
}

/// How many there are, in words.
fn problems(all: &[LineProblem]) -> String {
    match all.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    }
}
