//! What requests ask: the newest snapshot, kept up with the database.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_policy::Policy;
use rusqlite::Connection;
use zeroize::Zeroizing;

use crate::database::{Database, KEY_BYTES, connect};
use crate::error::StateError;
use crate::model::Kind;
use crate::snapshot::{Known, Snapshot};
use crate::vault::Vault;

/// How often it is looked whether another process has changed the database.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The credentials of a state directory, in memory.
///
/// Looking something up takes no lock and does no I/O. While the database cannot be
/// read, the last snapshot serves.
#[derive(Debug)]
pub struct CredentialStore {
    current: ArcSwap<Snapshot>,
    vault: Vault,
    reader: Mutex<Reader>,
    failures: AtomicU64,
    readable: AtomicBool,
}

/// What metrics tell of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreReading {
    /// Credentials, usable or not.
    pub credentials: usize,
    /// How many snapshots there have been.
    pub version: u64,
    /// Whether the database could be read when it was last looked at.
    pub readable: bool,
    /// How often it could not.
    pub failures: u64,
}

/// The connection that looks for changes.
#[derive(Debug)]
struct Reader {
    connection: Connection,
    path: PathBuf,
    /// The file the connection has open: another may take its place.
    file: (u64, u64),
    data_version: Option<i64>,
}

impl CredentialStore {
    /// Reads the store of a state directory, making it where it is not there.
    ///
    /// # Errors
    ///
    /// As [`Database::open`], or when what is there cannot be read.
    pub fn open(directory: &Path) -> Result<Arc<Self>, StateError> {
        let (connection, vault, path) = Database::open(directory)?.into_parts();
        let file = file_of(&path)?;
        let store = Arc::new(Self {
            current: ArcSwap::from_pointee(Snapshot::default()),
            vault,
            reader: Mutex::new(Reader { connection, path, file, data_version: None }),
            failures: AtomicU64::new(0),
            readable: AtomicBool::new(true),
        });
        store.look()?;
        Ok(store)
    }

    /// Looks for changes of other processes from now on, on a thread of its own that ends
    /// with the store.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn watch(self: &Arc<Self>) -> std::io::Result<()> {
        let store: Weak<Self> = Arc::downgrade(self);
        let look = move || {
            while let Some(store) = store.upgrade() {
                store.refresh();
                drop(store);
                std::thread::sleep(LOOK_EVERY);
            }
        };
        std::thread::Builder::new().name("credentials".into()).spawn(look)?;
        Ok(())
    }

    /// Looks for changes now. Blocks: not for a request's thread.
    pub fn refresh(&self) {
        match self.look() {
            Ok(()) => {
                if !self.readable.swap(true, Ordering::Relaxed) {
                    tracing::info!("the credentials can be read again");
                }
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if self.readable.swap(false, Ordering::Relaxed) {
                    tracing::error!("the credentials known so far go on serving: {error}");
                }
            }
        }
    }

    fn look(&self) -> Result<(), StateError> {
        let mut reader = self.reader.lock();
        let file = file_of(&reader.path)?;
        if file != reader.file {
            reader.connection = connect(&reader.path, &self.vault)?;
            reader.file = file;
            reader.data_version = None;
        }
        let Reader { connection, path, data_version, .. } = &mut *reader;
        let sqlite = |error: rusqlite::Error| StateError::of_sqlite(path, &error);
        let found: i64 = connection
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(sqlite)?;
        if *data_version == Some(found) {
            return Ok(());
        }
        let version = self.current.load().version + 1;
        let snapshot = Snapshot::read(connection, &self.vault, version).map_err(sqlite)?;
        self.current.store(Arc::new(snapshot));
        // Taken before the reading: what changed meanwhile is read once more.
        *data_version = Some(found);
        Ok(())
    }

    /// Which snapshot serves; another number after every change.
    pub fn version(&self) -> u64 {
        self.current.load().version
    }

    /// Finds the API key that a client presents, if it holds at this time.
    pub fn find(&self, presented: &[u8], time_ms: u64) -> Option<Known> {
        if !KEY_BYTES.contains(&presented.len()) {
            return None;
        }
        self.current.load().find(&self.vault.digest(presented), time_ms)
    }

    /// Finds a credential by its kind and id, if it holds at this time.
    pub fn get(&self, kind: Kind, id: &str, time_ms: u64) -> Option<Known> {
        self.current.load().get(kind, id, time_ms)
    }

    /// The secret of an access key, if it holds at this time.
    pub fn secret(&self, id: &str, time_ms: u64) -> Option<Zeroizing<Vec<u8>>> {
        self.current.load().secret(id, time_ms).map(|secret| Zeroizing::new(secret.to_vec()))
    }

    /// The policies attached to a credential and to its consumer, as one policy. Where
    /// there are none, or no such credential, a policy that allows nothing.
    pub fn attached(&self, id: &str) -> Arc<Policy> {
        self.current.load().attached(id).cloned().unwrap_or_else(nothing_allowed)
    }

    /// What metrics tell of it.
    pub fn reading(&self) -> StoreReading {
        let current = self.current.load();
        StoreReading {
            credentials: current.len(),
            version: current.version,
            readable: self.readable.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}

/// A policy that allows nothing, without being an explicit deny: no request's ARN is as
/// short as its resource.
pub fn nothing_allowed() -> Arc<Policy> {
    Arc::clone(&NOTHING)
}

static NOTHING: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let text = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "execute-api:Invoke",
         "Resource": "arn:aws:execute-api:none:000000000000:none"}
    ]}"#;
    match Policy::parse(text) {
        Ok(policy) => Arc::new(policy),
        Err(problem) => unreachable!("a policy written here: {problem}"),
    }
});

/// Which file a path names now.
fn file_of(path: &Path) -> Result<(u64, u64), StateError> {
    let metadata = fs::metadata(path).map_err(|error| StateError::io(path, error))?;
    Ok((metadata.dev(), metadata.ino()))
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("version", &self.version).finish_non_exhaustive()
    }
}
