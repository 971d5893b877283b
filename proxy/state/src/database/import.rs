//! API keys of a file: all of them, or none.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use serde::Serialize;

use super::credentials::{Stored, checked, insert};
use super::{Database, signed, text_of};
use crate::error::StateError;
use crate::generate;
use crate::key_file::{self, LineProblem, MOST_FILE_BYTES, Row};
use crate::model::{Kind, Status};
use crate::now_ms;
use crate::vault::Digest;

/// How the API keys of a file are imported.
#[derive(Debug, Clone, Copy, Default)]
pub struct Import<'a> {
    /// Whose the keys are that say nothing of it; the consumer of the key's own name, where
    /// absent.
    pub consumer: Option<&'a str>,
    /// What becomes of a key that is there already.
    pub existing: Existing,
    /// Whether anything is changed.
    pub effect: Effect,
}

/// What becomes of a key that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It is a problem of the file.
    #[default]
    Refuse,
    /// It keeps its id, policies and end, and has everything else from the file.
    Replace,
}

/// Whether an import changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// It does.
    #[default]
    Kept,
    /// It only tells what it would do.
    DryRun,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Imported {
    /// Keys added.
    pub added: u64,
    /// Keys that were there, and have changed.
    pub replaced: u64,
    /// Consumers added, by name.
    pub consumers: Vec<String>,
}

impl Database {
    /// Imports API keys from a file of comma-separated values with the columns of AWS API
    /// Gateway's (`name`, `key`, `description`, `enabled`, `usageplanIds`) and our own
    /// (`consumer`, `plan`, `attribute:NAME`). Consumers that are not there are added.
    ///
    /// # Errors
    ///
    /// [`StateError::File`] with every problem of the file, and [`StateError::Invalid`] where
    /// it is longer than [`MOST_FILE_BYTES`]; nothing is changed then.
    pub fn import_api_keys(
        &mut self,
        text: &[u8],
        import: Import<'_>,
    ) -> Result<Imported, StateError> {
        if text.len() > MOST_FILE_BYTES {
            let most = MOST_FILE_BYTES >> 20;
            return Err(StateError::Invalid(format!("a file of keys has at most {most} MiB")));
        }
        let key_file::Rows { rows, mut problems } = key_file::read(text, import.consumer);
        let sqlite = |error: rusqlite::Error| StateError::of_sqlite(&self.path, &error);
        let change = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite)?;
        let mut imported = Imported::default();
        let mut seen: HashMap<Digest, u64> = HashMap::new();
        for row in rows {
            let (line, digest) = (row.line, self.vault.digest(row.key.as_bytes()));
            if let Some(first) = seen.get(&digest) {
                let problem = format!("the key is that of line {first}");
                problems.push(LineProblem { line, problem });
                continue;
            }
            seen.insert(digest, line);
            match write(&change, row, &digest, import.existing, &mut imported) {
                Ok(()) => {}
                Err(Unwritten::Problem(problem)) => problems.push(LineProblem { line, problem }),
                Err(Unwritten::State(error)) => return Err(error),
                Err(Unwritten::Sqlite(error)) => return Err(sqlite(error)),
            }
        }
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.line);
            return Err(StateError::File(problems));
        }
        // A transaction that is dropped has changed nothing.
        if import.effect == Effect::Kept {
            change.commit().map_err(sqlite)?;
        }
        Ok(imported)
    }
}

/// Why a row is not written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error("{0}")]
    Problem(String),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

fn write(
    change: &Connection,
    row: Row,
    digest: &Digest,
    existing: Existing,
    imported: &mut Imported,
) -> Result<(), Unwritten> {
    let there: Option<String> = change
        .prepare_cached("SELECT id FROM credentials WHERE digest = ?1")?
        .query_row([&digest[..]], |row| row.get(0))
        .optional()?;
    if there.is_some() && existing == Existing::Refuse {
        return Err(Unwritten::Problem("the key is there already".to_owned()));
    }
    let added = change
        .prepare_cached(
            "INSERT INTO consumers (name, attributes, created) VALUES (?1, '{}', ?2)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![row.consumer, signed(now_ms())])?;
    if added > 0 {
        imported.consumers.push(row.consumer.clone());
    }
    let attributes = text_of(&row.new.attributes)?;
    if let Some(id) = there {
        change
            .prepare_cached(
                "UPDATE credentials SET consumer = ?2, name = ?3, attributes = ?4, enabled = ?5,
                     plan = ?6
                 WHERE id = ?1",
            )?
            .execute(params![
                id,
                row.consumer,
                row.new.name,
                attributes,
                row.status == Status::Enabled,
                row.new.plan
            ])?;
        imported.replaced += 1;
        return Ok(());
    }
    let mut credential = checked(generate::api_key_id()?, Kind::ApiKey, &row.consumer, row.new)?;
    credential.status = row.status;
    let stored = Stored { digest: Some(&digest[..]), sealed: None, session_digest: None };
    insert(change, &credential, &stored, &attributes)?;
    imported.added += 1;
    Ok(())
}
