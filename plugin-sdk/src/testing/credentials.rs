//! The double of `credentials`.

use super::crypto::{Key, import_key};
use super::{INSTALLED, StoredCredential};
use crate::credentials::{Credential, CredentialError, Kind};

pub(crate) fn find(presented: &[u8]) -> Result<Option<Credential>, CredentialError> {
    stored(|stored| stored.kind == Kind::ApiKey && stored.secret == presented)
}

pub(crate) fn get(kind: Kind, id: &str) -> Result<Option<Credential>, CredentialError> {
    stored(|stored| stored.kind == kind && stored.credential.id == id)
}

pub(crate) fn as_key(id: &str, prefix: &[u8]) -> Result<Option<Key>, CredentialError> {
    INSTALLED.with_borrow(|host| {
        let stored = host.credentials.as_ref().ok_or(CredentialError::NotGranted)?;
        let found = stored
            .iter()
            .find(|stored| stored.kind == Kind::AccessKey && stored.credential.id == id);
        Ok(found.map(|stored| import_key(&[prefix, &stored.secret].concat())))
    })
}

fn stored(
    wanted: impl Fn(&StoredCredential) -> bool,
) -> Result<Option<Credential>, CredentialError> {
    INSTALLED.with_borrow(|host| {
        let stored = host.credentials.as_ref().ok_or(CredentialError::NotGranted)?;
        Ok(stored.iter().find(|stored| wanted(stored)).map(|stored| stored.credential.clone()))
    })
}
