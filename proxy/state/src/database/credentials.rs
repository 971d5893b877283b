//! API keys and access keys: added, listed, disabled, removed.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Database, Page, attributes_at, signed, text_of, unsigned};
use crate::error::StateError;
use crate::generate::{self, Generated};
use crate::model::{
    Attributes, Credential, Kind, Status, check_attributes, check_name, check_title,
};
use crate::now_ms;
use crate::vault::session_digest;

/// Lengths of an API key, in bytes: those of AWS API Gateway.
pub(crate) const KEY_BYTES: std::ops::RangeInclusive<usize> = 20..=128;

/// The columns of a [`Credential`], in the order [`credential`] reads them.
const COLUMNS: &str = "id, kind, consumer, name, attributes, enabled, session_digest IS NOT NULL,
    created, rotated_from, rotated, expires_at, plan, account";

/// A credential to be added.
#[derive(Debug, Clone, Default)]
pub struct NewCredential {
    /// What the operator calls it.
    pub name: Option<String>,
    /// What else is known of it.
    pub attributes: Attributes,
    /// When it stops to hold, in milliseconds since 1970.
    pub expires_at: Option<u64>,
    /// Its usage plan.
    pub plan: Option<String>,
}

/// A credential that was just added, with what is shown this once.
#[derive(Debug)]
pub struct Issued {
    /// The credential.
    pub credential: Credential,
    /// The API key, or the access key's secret.
    pub secret: Generated,
    /// The session token that must come with an access key, where it needs one.
    pub session_token: Option<Generated>,
}

impl Issued {
    /// As it is shown this once: the credential, with `key` or `secret`, and the
    /// `session_token` where there is one.
    pub fn shown(&self) -> serde_json::Value {
        let mut shown = serde_json::to_value(&self.credential).unwrap_or_default();
        if let Some(members) = shown.as_object_mut() {
            let name = match self.credential.kind {
                Kind::ApiKey => "key",
                Kind::AccessKey => "secret",
            };
            members.insert(name.to_owned(), self.secret.expose().into());
            if let Some(token) = &self.session_token {
                members.insert("session_token".to_owned(), token.expose().into());
            }
        }
        shown
    }
}

/// What is stored beside what is listed.
pub(super) struct Stored<'a> {
    pub(super) digest: Option<&'a [u8]>,
    pub(super) sealed: Option<&'a [u8]>,
    pub(super) session_digest: Option<&'a [u8]>,
}

impl Database {
    /// Adds an API key. Without a value of the operator's own, one is made.
    ///
    /// # Errors
    ///
    /// When there is no such consumer, the value is not 20 to 128 visible ASCII
    /// characters, or another key has it.
    pub fn add_api_key(
        &mut self,
        consumer: &str,
        new: NewCredential,
        value: Option<&str>,
    ) -> Result<Issued, StateError> {
        let secret = match value {
            Some(value) => imported(value)?,
            None => generate::api_key()?,
        };
        let credential = self.described(generate::api_key_id()?, Kind::ApiKey, consumer, new)?;
        let digest = self.vault.digest(secret.expose().as_bytes());
        let stored = Stored { digest: Some(&digest), sealed: None, session_digest: None };
        self.insert(&credential, &stored)?;
        Ok(Issued { credential, secret, session_token: None })
    }

    /// Adds an access key; with a session token, where `session` says so.
    ///
    /// # Errors
    ///
    /// When there is no such consumer.
    pub fn add_access_key(
        &mut self,
        consumer: &str,
        new: NewCredential,
        session: Session,
    ) -> Result<Issued, StateError> {
        let secret = generate::access_key_secret()?;
        let token = match session {
            Session::None => None,
            Session::Token => Some(generate::session_token()?),
        };
        let id = generate::access_key_id()?;
        let mut credential = self.described(id, Kind::AccessKey, consumer, new)?;
        credential.session = token.is_some();
        let sealed = self.vault.seal(&credential.id, secret.expose().as_bytes())?;
        let digest = token.as_ref().map(|token| session_digest(token.expose().as_bytes()));
        let digest = digest.as_ref().map(|digest| &digest[..]);
        let stored = Stored { digest: None, sealed: Some(&sealed), session_digest: digest };
        self.insert(&credential, &stored)?;
        Ok(Issued { credential, secret, session_token: token })
    }

    /// Lists the credentials of a kind by id, of one consumer or of all.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn credentials(
        &self,
        kind: Kind,
        consumer: Option<&str>,
        page: Page<'_>,
    ) -> Result<Vec<Credential>, StateError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM credentials
                 WHERE kind = ?1 AND id > ?2 AND (?3 IS NULL OR consumer = ?3)
                 ORDER BY id LIMIT ?4"
            ))?;
            let rows = statement
                .query_map(params![kind.as_str(), page.after, consumer, page.limit], credential)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.sqlite(&error))
    }

    /// Finds a credential by its id.
    ///
    /// # Errors
    ///
    /// When there is none of this kind and id.
    pub fn credential(&self, kind: Kind, id: &str) -> Result<Credential, StateError> {
        let found = self
            .connection
            .query_row(
                &format!("SELECT {COLUMNS} FROM credentials WHERE kind = ?1 AND id = ?2"),
                params![kind.as_str(), id],
                credential,
            )
            .optional();
        found
            .map_err(|error| self.sqlite(&error))?
            .ok_or_else(|| StateError::absent(kind.noun(), id))
    }

    /// Enables or disables a credential.
    ///
    /// # Errors
    ///
    /// When there is none of this kind and id.
    pub fn set_status(&mut self, kind: Kind, id: &str, status: Status) -> Result<(), StateError> {
        let changed = self.connection.execute(
            "UPDATE credentials SET enabled = ?3 WHERE kind = ?1 AND id = ?2",
            params![kind.as_str(), id, status == Status::Enabled],
        );
        self.one_changed(changed, kind, id)
    }

    /// Puts a credential into a usage plan, or takes it out of the one it has. Whether a
    /// configuration has a plan of this name is not asked.
    ///
    /// # Errors
    ///
    /// When there is none of this kind and id, or the plan's name cannot be one.
    pub fn set_plan(&mut self, kind: Kind, id: &str, plan: Option<&str>) -> Result<(), StateError> {
        if let Some(plan) = plan {
            check_name("the name of a plan", plan)?;
        }
        let changed = self.connection.execute(
            "UPDATE credentials SET plan = ?3 WHERE kind = ?1 AND id = ?2",
            params![kind.as_str(), id, plan],
        );
        self.one_changed(changed, kind, id)
    }

    /// Removes a credential, with its policies and what was counted of it alone.
    ///
    /// # Errors
    ///
    /// When there is none of this kind and id.
    pub fn remove_credential(&mut self, kind: Kind, id: &str) -> Result<(), StateError> {
        let removed = self.connection.execute(
            "DELETE FROM credentials WHERE kind = ?1 AND id = ?2",
            params![kind.as_str(), id],
        );
        self.one_changed(removed, kind, id)
    }

    fn one_changed(
        &self,
        changed: rusqlite::Result<usize>,
        kind: Kind,
        id: &str,
    ) -> Result<(), StateError> {
        match changed.map_err(|error| self.sqlite(&error))? {
            0 => Err(StateError::absent(kind.noun(), id)),
            _ => Ok(()),
        }
    }

    /// A credential of a consumer that is there, as it will be listed.
    fn described(
        &self,
        id: String,
        kind: Kind,
        consumer: &str,
        new: NewCredential,
    ) -> Result<Credential, StateError> {
        self.require_consumer(consumer)?;
        checked(id, kind, consumer, new)
    }

    fn insert(&mut self, credential: &Credential, stored: &Stored<'_>) -> Result<(), StateError> {
        insert(&self.connection, credential, stored, &text_of(&credential.attributes)?)
            .map_err(|error| self.not_inserted(&error))
    }

    /// Why a row is not there, where another has its digest.
    pub(super) fn not_inserted(&self, error: &rusqlite::Error) -> StateError {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                StateError::Invalid("another credential has this value".to_owned())
            }
            _ => self.sqlite(error),
        }
    }
}

/// A credential as it will be listed, checked.
pub(super) fn checked(
    id: String,
    kind: Kind,
    consumer: &str,
    new: NewCredential,
) -> Result<Credential, StateError> {
    if let Some(name) = &new.name {
        check_title(name)?;
    }
    if let Some(plan) = &new.plan {
        check_name("the name of a plan", plan)?;
    }
    check_attributes(&new.attributes)?;
    let created = now_ms();
    if new.expires_at.is_some_and(|at| at <= created) {
        return Err(StateError::Invalid("it would have expired already".to_owned()));
    }
    Ok(Credential {
        account: id.clone(),
        id,
        kind,
        consumer: consumer.to_owned(),
        name: new.name,
        attributes: new.attributes,
        status: Status::Enabled,
        plan: new.plan,
        session: false,
        created,
        rotated_from: None,
        rotated: None,
        expires_at: new.expires_at,
    })
}

/// Whether an access key needs a session token beside its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Session {
    /// It does not.
    #[default]
    None,
    /// It does, and one is made.
    Token,
}

/// Writes a new row.
pub(super) fn insert(
    connection: &rusqlite::Connection,
    credential: &Credential,
    stored: &Stored<'_>,
    attributes: &str,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO credentials (id, kind, consumer, name, digest, sealed, session_digest,
             attributes, enabled, created, rotated_from, expires_at, plan, account)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    statement.execute(params![
        credential.id,
        credential.kind.as_str(),
        credential.consumer,
        credential.name,
        stored.digest,
        stored.sealed,
        stored.session_digest,
        attributes,
        credential.status == Status::Enabled,
        signed(credential.created),
        credential.rotated_from,
        credential.expires_at.map(signed),
        credential.plan,
        credential.account,
    ])?;
    Ok(())
}

/// Reads a row of [`COLUMNS`].
fn credential(row: &Row<'_>) -> rusqlite::Result<Credential> {
    Ok(Credential {
        id: row.get(0)?,
        kind: kind_at(row, 1)?,
        consumer: row.get(2)?,
        name: row.get(3)?,
        attributes: attributes_at(row, 4)?,
        status: if row.get(5)? { Status::Enabled } else { Status::Disabled },
        session: row.get(6)?,
        created: unsigned(row.get(7)?),
        rotated_from: row.get(8)?,
        rotated: row.get::<_, Option<i64>>(9)?.map(unsigned),
        expires_at: row.get::<_, Option<i64>>(10)?.map(unsigned),
        plan: row.get(11)?,
        account: row.get(12)?,
    })
}

pub(crate) fn kind_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Kind> {
    Ok(match row.get_ref(column)?.as_str()? {
        "api-key" => Kind::ApiKey,
        // The table admits no third word.
        _ => Kind::AccessKey,
    })
}

/// An API key of the operator's own.
pub(crate) fn imported(value: &str) -> Result<Generated, StateError> {
    let visible = value.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !KEY_BYTES.contains(&value.len()) {
        return Err(StateError::Invalid(
            "an API key is 20 to 128 visible ASCII characters".to_owned(),
        ));
    }
    Ok(Generated::new(value.to_owned()))
}
