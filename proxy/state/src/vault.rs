//! The master key, and what is computed with it: digests of API keys, sealed secrets of
//! access keys.
//!
//! The key is a file of its own beside the database, so that a copy of the database alone
//! (a backup, a dump, a stolen volume snapshot of one file) gives no secret away and lets
//! nobody try guesses. Who reads the whole directory as this user has both.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ring::{aead, digest, hkdf, hmac};
use zeroize::Zeroizing;

use crate::error::StateError;
use crate::generate::{self, random};

/// The file of the master key, in the state directory.
const FILE: &str = "master.key";
/// Bytes of the master key.
const KEY_BYTES: usize = 32;

/// A digest of an API key or of a session token.
pub(crate) type Digest = [u8; 32];

/// What is computed with the master key.
pub(crate) struct Vault {
    sealing: aead::LessSafeKey,
    digesting: hmac::Key,
    path: PathBuf,
}

/// Whether a key that is not there may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtFirstUse {
    /// Nothing depends on it yet.
    Make,
    /// A database does.
    Refuse,
}

impl Vault {
    /// Reads the master key of a state directory, or makes it.
    pub(crate) fn open(directory: &Path, at_first_use: AtFirstUse) -> Result<Self, StateError> {
        let path = directory.join(FILE);
        let key = match read(&path)? {
            Some(key) => key,
            None if at_first_use == AtFirstUse::Refuse => {
                return Err(StateError::NoMasterKey { path });
            }
            None => {
                make(directory, &path)?;
                read(&path)?.ok_or_else(|| StateError::NoMasterKey { path: path.clone() })?
            }
        };
        Self::of(&key, path)
    }

    fn of(key: &[u8], path: PathBuf) -> Result<Self, StateError> {
        // One key for each purpose (RFC 5869): a digest never tells of what is sealed.
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(key);
        let invalid = |_| StateError::WrongMasterKey { path: path.clone() };
        let sealing =
            secret.expand(&[b"portcullis state seal"], &aead::AES_256_GCM).map_err(invalid)?;
        let digesting =
            secret.expand(&[b"portcullis state digest"], hmac::HMAC_SHA256).map_err(invalid)?;
        Ok(Self {
            sealing: aead::LessSafeKey::new(sealing.into()),
            digesting: digesting.into(),
            path,
        })
    }

    /// The digest an API key is found by. Keyed and fast: a generated key has 256 bits, so
    /// no work factor would add to it, and an imported one, which may be guessable, is safe
    /// from guesses at a copy of the database as long as the master key is not with it. The
    /// look-up needs no constant time: what it compares is a digest nobody can steer.
    pub(crate) fn digest(&self, presented: &[u8]) -> Digest {
        array(hmac::sign(&self.digesting, presented).as_ref())
    }

    /// What tells whether a database was written with this key.
    pub(crate) fn mark(&self) -> Digest {
        self.digest(b"portcullis state: whose database is this?")
    }

    /// The key's file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Encrypts a secret for the credential with this id, which is authenticated with it,
    /// so that nobody can move a secret to another id.
    pub(crate) fn seal(&self, id: &str, secret: &[u8]) -> Result<Vec<u8>, StateError> {
        let nonce = random::<{ aead::NONCE_LEN }>()?;
        let mut sealed = Zeroizing::new(secret.to_vec());
        let tag = self.sealing.seal_in_place_separate_tag(
            aead::Nonce::assume_unique_for_key(*nonce),
            aead::Aad::from(id.as_bytes()),
            &mut sealed,
        );
        let tag = tag.map_err(|_| StateError::Invalid("this secret is too long".to_owned()))?;
        Ok([nonce.as_ref(), &sealed, tag.as_ref()].concat())
    }

    /// Gives back what was sealed for this id; `None` where a bit of it was changed.
    pub(crate) fn open_sealed(&self, id: &str, sealed: &[u8]) -> Option<Zeroizing<Box<[u8]>>> {
        let (nonce, rest) = sealed.split_first_chunk::<{ aead::NONCE_LEN }>()?;
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let mut bytes = Zeroizing::new(rest.to_vec());
        let opened =
            self.sealing.open_in_place(nonce, aead::Aad::from(id.as_bytes()), &mut bytes).ok()?;
        Some(Zeroizing::new(Box::from(&*opened)))
    }
}

/// The digest of a session token, which plugins compute too: SHA-256.
pub(crate) fn session_digest(token: &[u8]) -> Digest {
    array(digest::digest(&digest::SHA256, token).as_ref())
}

fn array(bytes: &[u8]) -> Digest {
    let mut array = [0; 32];
    for (to, from) in array.iter_mut().zip(bytes) {
        *to = *from;
    }
    array
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
    let key = match fs::read(path) {
        Ok(key) => Zeroizing::new(key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateError::io(path, error)),
    };
    let metadata = fs::metadata(path).map_err(|error| StateError::io(path, error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let what = "others may read or change it";
        return Err(StateError::Permissions { path: path.to_owned(), what });
    }
    if key.len() != KEY_BYTES {
        return Err(StateError::WrongMasterKey { path: path.to_owned() });
    }
    Ok(Some(key))
}

/// Makes the key whole or not at all: two processes may start at once.
fn make(directory: &Path, path: &Path) -> Result<(), StateError> {
    let key = random::<KEY_BYTES>()?;
    let beside = directory.join(format!(".{FILE}.{}", generate::api_key_id()?));
    let io = |error| StateError::io(&beside, error);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside);
    let written = file.as_mut().map_err(|error| io::Error::from(error.kind())).and_then(|file| {
        file.write_all(key.as_ref())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&beside, path) {
        // Somebody else was faster: theirs it is.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // What stays behind would be a second copy of the key.
    let removed = fs::remove_file(&beside);
    linked.and(removed).map_err(io)
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_for_its_id_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path(), AtFirstUse::Make).unwrap();
        let again = Vault::open(folder.path(), AtFirstUse::Refuse).unwrap();
        let sealed = vault.seal("PCAK1", b"secret").unwrap();

        assert_eq!(&**again.open_sealed("PCAK1", &sealed).unwrap(), b"secret");
        assert!(again.open_sealed("PCAK2", &sealed).is_none());
        let mut changed = sealed.clone();
        changed[14] ^= 1;
        assert!(again.open_sealed("PCAK1", &changed).is_none());
        assert!(again.open_sealed("PCAK1", &sealed[..5]).is_none());
        assert_ne!(sealed, vault.seal("PCAK1", b"secret").unwrap());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Vault::open(folder.path(), AtFirstUse::Make).unwrap());
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

        let refused = Vault::open(folder.path(), AtFirstUse::Make);

        assert!(matches!(refused, Err(StateError::Permissions { .. })));
    }
}
