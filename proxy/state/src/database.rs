//! The database: every change that operators make, checked.

mod credentials;
mod import;
mod policies;
mod rotate;
mod usage;

use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::error::StateError;
use crate::model::{Attributes, Consumer, check_attributes, check_name};
use crate::now_ms;
use crate::schema;
use crate::vault::{AtFirstUse, Vault};

pub use credentials::{Issued, NewCredential, Session};
pub(crate) use credentials::{KEY_BYTES, imported, kind_at};
pub use import::{Effect, Existing, Import, Imported};
pub use usage::{DayUsage, check_forgiven};
pub(crate) use usage::{next_revision, written};

/// The file of the database, in the state directory.
const FILE: &str = "portcullis.db";

/// The database of a state directory, open for changes.
///
/// One connection: for one thread at a time, and blocking.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    vault: Vault,
    path: PathBuf,
}

/// Which part of a list: what comes after a name or id, and how much of it.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The last name or id of the page before; empty for the first page.
    pub after: &'a str,
    /// Entries, at the most.
    pub limit: u32,
}

impl Database {
    /// Opens the database of a state directory; makes both where they are not there.
    ///
    /// # Errors
    ///
    /// When the directory or its files cannot be used, others may use them, a later
    /// version wrote the database, or its master key is not with it.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join(FILE);
        own_directory(directory)?;
        let is_new = fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0);
        let at_first_use = if is_new { AtFirstUse::Make } else { AtFirstUse::Refuse };
        let vault = Vault::open(directory, at_first_use)?;
        let connection = connect(&path, &vault)?;
        Ok(Self { connection, vault, path })
    }

    /// Whether a state directory has a database.
    pub fn is_there(directory: &Path) -> bool {
        directory.join(FILE).is_file()
    }

    /// Adds a consumer.
    ///
    /// # Errors
    ///
    /// When there is one of this name, or the name or the attributes cannot be kept.
    pub fn add_consumer(
        &mut self,
        name: &str,
        attributes: &Attributes,
    ) -> Result<Consumer, StateError> {
        check_name("the name of a consumer", name)?;
        check_attributes(attributes)?;
        let created = now_ms();
        let added = self.connection.execute(
            "INSERT INTO consumers (name, attributes, created) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
            params![name, text_of(attributes)?, signed(created)],
        );
        match added.map_err(|error| self.sqlite(&error))? {
            0 => Err(StateError::Exists { what: "consumer", name: name.to_owned() }),
            _ => Ok(Consumer { name: name.to_owned(), attributes: attributes.clone(), created }),
        }
    }

    /// Lists consumers by name.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn consumers(&self, page: Page<'_>) -> Result<Vec<Consumer>, StateError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT name, attributes, created FROM consumers WHERE name > ?1
                 ORDER BY name LIMIT ?2",
            )?;
            let rows = statement.query_map(params![page.after, page.limit], |row| {
                Ok(Consumer {
                    name: row.get(0)?,
                    attributes: attributes_at(row, 1)?,
                    created: unsigned(row.get(2)?),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.sqlite(&error))
    }

    /// Removes a consumer, with all its credentials and policies.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub fn remove_consumer(&mut self, name: &str) -> Result<(), StateError> {
        let removed = self.connection.execute("DELETE FROM consumers WHERE name = ?1", [name]);
        match removed.map_err(|error| self.sqlite(&error))? {
            0 => Err(StateError::absent("consumer", name)),
            _ => Ok(()),
        }
    }

    fn require_consumer(&self, name: &str) -> Result<(), StateError> {
        let found = self
            .connection
            .query_row("SELECT 1 FROM consumers WHERE name = ?1", [name], |_| Ok(()))
            .optional();
        found
            .map_err(|error| self.sqlite(&error))?
            .ok_or_else(|| StateError::absent("consumer", name))
    }

    fn sqlite(&self, error: &rusqlite::Error) -> StateError {
        StateError::of_sqlite(&self.path, error)
    }

    /// What else it takes to open it, for whoever reads everything.
    pub(crate) fn into_parts(self) -> (Vault, PathBuf) {
        (self.vault, self.path)
    }
}

/// Opens the file, which only this user may read, and brings it up to date.
pub(crate) fn connect(path: &Path, vault: &Vault) -> Result<Connection, StateError> {
    let io = |error| StateError::io(path, error);
    // SQLite would give the file, and its log beside it, the permissions of the umask.
    drop(
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?,
    );
    let mode = fs::metadata(path).map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = "others may read or change it";
        return Err(StateError::Permissions { path: path.to_owned(), what });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|error| StateError::of_sqlite(path, &error))?;
    schema::prepare(&mut connection, path, vault)?;
    Ok(connection)
}

/// Makes the directory, or refuses one that others may write to.
fn own_directory(directory: &Path) -> Result<(), StateError> {
    let io = |error| StateError::io(directory, error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    let mode = fs::metadata(directory).map_err(io)?.permissions().mode();
    if mode & 0o022 != 0 {
        let what = "others may write to it";
        return Err(StateError::Permissions { path: directory.to_owned(), what });
    }
    Ok(())
}

pub(crate) fn attributes_at(
    row: &rusqlite::Row<'_>,
    column: usize,
) -> rusqlite::Result<Attributes> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    })
}

fn text_of(attributes: &Attributes) -> Result<String, StateError> {
    serde_json::to_string(attributes).map_err(|error| StateError::Invalid(error.to_string()))
}

/// SQLite's whole numbers have a sign; times before 1970 do not happen here.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
