//! Policies, attached to a credential or to all credentials of a consumer.

use portcullis_policy::Policy;
use rusqlite::{OptionalExtension as _, params};

use super::Database;
use crate::error::StateError;
use crate::model::{PolicyRecord, PolicyTarget, check_name};

/// Policies that may be attached to one credential or consumer.
const MOST_POLICIES: usize = 10;
/// Bytes of a policy document.
const DOCUMENT_BYTES: usize = 10 << 10;

impl Database {
    /// Attaches a policy; one of the same name there is replaced.
    ///
    /// # Errors
    ///
    /// When there is no such credential or consumer, the document is no policy or longer
    /// than 10 KiB, or ten are attached there already.
    pub fn attach_policy(
        &mut self,
        target: &PolicyTarget,
        name: &str,
        document: &str,
    ) -> Result<(), StateError> {
        check_name("the name of a policy", name)?;
        if document.len() > DOCUMENT_BYTES {
            return Err(StateError::Invalid(format!(
                "a policy document of at most {DOCUMENT_BYTES} bytes"
            )));
        }
        if let Err(problem) = Policy::parse(document) {
            return Err(StateError::Invalid(format!("this is no policy: {problem}")));
        }
        let attached = self.policies(target)?;
        if attached.len() >= MOST_POLICIES && attached.iter().all(|one| one.name != name) {
            return Err(StateError::Invalid(format!("at most {MOST_POLICIES} policies")));
        }
        let (column, id) = column(target);
        let mut write = || {
            let change = self.connection.transaction()?;
            change.execute(
                &format!("DELETE FROM policies WHERE {column} = ?1 AND name = ?2"),
                params![id, name],
            )?;
            change.execute(
                &format!("INSERT INTO policies ({column}, name, document) VALUES (?1, ?2, ?3)"),
                params![id, name, document],
            )?;
            change.commit()
        };
        let written = write();
        written.map_err(|error| self.sqlite(&error))
    }

    /// Detaches a policy.
    ///
    /// # Errors
    ///
    /// When none of this name is attached there.
    pub fn detach_policy(&mut self, target: &PolicyTarget, name: &str) -> Result<(), StateError> {
        let (column, id) = column(target);
        let removed = self.connection.execute(
            &format!("DELETE FROM policies WHERE {column} = ?1 AND name = ?2"),
            params![id, name],
        );
        match removed.map_err(|error| self.sqlite(&error))? {
            0 => Err(StateError::absent("policy", name)),
            _ => Ok(()),
        }
    }

    /// Lists what is attached to a credential or consumer, by name.
    ///
    /// # Errors
    ///
    /// When there is no such credential or consumer.
    pub fn policies(&self, target: &PolicyTarget) -> Result<Vec<PolicyRecord>, StateError> {
        match target {
            PolicyTarget::Consumer(name) => self.require_consumer(name)?,
            PolicyTarget::Credential(id) => self.require_credential(id)?,
        }
        let (column, id) = column(target);
        let read = || {
            let mut statement = self.connection.prepare(&format!(
                "SELECT name, document FROM policies WHERE {column} = ?1 ORDER BY name"
            ))?;
            let rows = statement.query_map([id], |row| {
                Ok(PolicyRecord { name: row.get(0)?, document: row.get(1)? })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.sqlite(&error))
    }

    fn require_credential(&self, id: &str) -> Result<(), StateError> {
        let found = self
            .connection
            .query_row("SELECT 1 FROM credentials WHERE id = ?1", [id], |_| Ok(()))
            .optional();
        found
            .map_err(|error| self.sqlite(&error))?
            .ok_or_else(|| StateError::absent("credential", id))
    }
}

/// The column that names what a policy is attached to, and the name.
fn column(target: &PolicyTarget) -> (&'static str, &str) {
    match target {
        PolicyTarget::Credential(id) => ("credential", id),
        PolicyTarget::Consumer(name) => ("consumer", name),
    }
}
