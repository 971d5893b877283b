//! Rotation: another credential takes the place of one, which may go on for a while.

use rusqlite::params;

use super::credentials::{Stored, insert};
use super::{Database, Issued, signed, text_of};
use crate::error::StateError;
use crate::generate;
use crate::model::{Credential, Kind, Status};
use crate::now_ms;
use crate::vault::session_digest;

impl Database {
    /// Makes a credential with another id and secret that takes the place of this one:
    /// same consumer, name, attributes, policies, plan, usage and lifetime. The old one holds for
    /// `grace_ms` more, or no longer where that is zero.
    ///
    /// # Errors
    ///
    /// When there is none of this kind and id, or it is disabled.
    pub fn rotate(&mut self, kind: Kind, id: &str, grace_ms: u64) -> Result<Issued, StateError> {
        let old = self.credential(kind, id)?;
        if old.status == Status::Disabled {
            return Err(StateError::Invalid(format!(
                "`{id}` is disabled; enable it, or add another"
            )));
        }
        let now = now_ms();
        let mut next = Credential {
            created: now,
            rotated_from: Some(old.id.clone()),
            rotated: None,
            expires_at: old.expires_at.map(|at| now + at.saturating_sub(old.created)),
            ..old.clone()
        };
        let (secret, token, digest, sealed) = match kind {
            Kind::ApiKey => {
                next.id = generate::api_key_id()?;
                let secret = generate::api_key()?;
                let digest = self.vault.digest(secret.expose().as_bytes());
                (secret, None, Some(digest), None)
            }
            Kind::AccessKey => {
                next.id = generate::access_key_id()?;
                let secret = generate::access_key_secret()?;
                let sealed = self.vault.seal(&next.id, secret.expose().as_bytes())?;
                let token = old.session.then(generate::session_token).transpose()?;
                (secret, token, None, Some(sealed))
            }
        };
        let session = token.as_ref().map(|token| session_digest(token.expose().as_bytes()));
        let stored = Stored {
            digest: digest.as_ref().map(|digest| &digest[..]),
            sealed: sealed.as_deref(),
            session_digest: session.as_ref().map(|digest| &digest[..]),
        };
        self.replace(&old, &next, &stored, now.saturating_add(grace_ms))?;
        Ok(Issued { credential: next, secret, session_token: token })
    }

    /// Writes the new one and the end of the old one, both or neither.
    fn replace(
        &mut self,
        old: &Credential,
        next: &Credential,
        stored: &Stored<'_>,
        until: u64,
    ) -> Result<(), StateError> {
        let attributes = text_of(&next.attributes)?;
        let ends = old.expires_at.map_or(until, |at| at.min(until));
        let mut write = || {
            let change = self.connection.transaction()?;
            insert(&change, next, stored, &attributes)?;
            change.execute(
                "INSERT INTO policies (credential, name, document)
                 SELECT ?2, name, document FROM policies WHERE credential = ?1",
                params![old.id, next.id],
            )?;
            change.execute(
                "UPDATE credentials SET rotated = ?2, expires_at = ?3 WHERE id = ?1",
                params![old.id, signed(next.created), signed(ends)],
            )?;
            change.commit()
        };
        let written = write();
        written.map_err(|error| self.not_inserted(&error))
    }
}
