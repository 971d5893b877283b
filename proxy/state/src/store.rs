//! What requests ask: the newest snapshot, kept up with the database.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_policy::Policy;
use zeroize::Zeroizing;

use crate::database::{Database, KEY_BYTES};
use crate::error::StateError;
use crate::ledger::{Ledger, Subscriber, UsageReading};
use crate::model::Kind;
use crate::opened::Opened;
use crate::snapshot::{Known, Snapshot, Unsubscribed};
use crate::vault::Vault;

/// How often it is looked whether another process has changed the database.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often usage is written down: what a crash may lose.
const WRITE_EVERY: Duration = Duration::from_millis(500);

/// The credentials of a state directory, in memory.
///
/// Looking something up takes no lock and does no I/O. While the database cannot be
/// read, the last snapshot serves.
#[derive(Debug)]
pub struct CredentialStore {
    current: ArcSwap<Snapshot>,
    vault: Vault,
    reader: Mutex<Reader>,
    ledger: Ledger,
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
    /// What is counted of usage plans.
    pub usage: UsageReading,
}

/// The connection that looks for changes.
#[derive(Debug)]
struct Reader {
    opened: Opened,
    /// What SQLite says of changes by others, whatever they changed.
    data_version: Option<i64>,
    /// Which change of the credentials was read last.
    revision: Option<i64>,
}

impl CredentialStore {
    /// Reads the store of a state directory, making it where it is not there.
    ///
    /// # Errors
    ///
    /// As [`Database::open`], or when what is there cannot be read.
    pub fn open(directory: &Path) -> Result<Arc<Self>, StateError> {
        let (vault, path) = Database::open(directory)?.into_parts();
        let opened = Opened::open(path.clone(), &vault)?;
        let ledger = Ledger::open(path, &vault)?;
        let store = Arc::new(Self {
            current: ArcSwap::from_pointee(Snapshot::default()),
            vault,
            reader: Mutex::new(Reader { opened, data_version: None, revision: None }),
            ledger,
            failures: AtomicU64::new(0),
            readable: AtomicBool::new(true),
        });
        store.look()?;
        Ok(store)
    }

    /// Looks for changes of other processes and writes usage down from now on, on threads
    /// that end with the store.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn watch(self: &Arc<Self>) -> std::io::Result<()> {
        self.every(LOOK_EVERY, "credentials", Self::refresh)?;
        self.every(WRITE_EVERY, "usage", Self::write_usage)
    }

    fn every(
        self: &Arc<Self>,
        pause: Duration,
        name: &str,
        work: fn(&Self),
    ) -> std::io::Result<()> {
        let store: Weak<Self> = Arc::downgrade(self);
        let work = move || {
            while let Some(store) = store.upgrade() {
                work(&store);
                drop(store);
                std::thread::sleep(pause);
            }
        };
        std::thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(())
    }

    /// Writes down what was counted, and takes over what others wrote. Blocks: not for a
    /// request's thread. What cannot be written is kept for the next time.
    pub fn write_usage(&self) {
        self.ledger.synchronize(&self.vault);
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
        if reader.opened.follow(&self.vault)? {
            reader.data_version = None;
            reader.revision = None;
        }
        // Both are taken before the reading: what changes meanwhile is read once more.
        let data_version = reader.ask("SELECT data_version FROM pragma_data_version")?;
        if reader.data_version == Some(data_version) {
            return Ok(());
        }
        let revision = reader.ask("SELECT number FROM revisions WHERE name = 'credentials'")?;
        if reader.revision != Some(revision) {
            let version = self.current.load().version + 1;
            let read = Snapshot::read(reader.opened.connection(), &self.vault, version);
            let mut snapshot = read.map_err(|error| reader.opened.sqlite(&error))?;
            snapshot.subscribe(&self.ledger)?;
            self.current.store(Arc::new(snapshot));
            reader.revision = Some(revision);
        }
        reader.data_version = Some(data_version);
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

    /// Finds who the requests of a usage key are counted for: the key's id or, as some
    /// authorizers have it, the API key itself.
    ///
    /// # Errors
    ///
    /// Where the key does not hold at this time, or has no plan.
    pub fn subscriber(
        &self,
        usage_key: &str,
        time_ms: u64,
    ) -> Result<Arc<Subscriber>, Unsubscribed> {
        let current = self.current.load();
        let found = current.place(usage_key).or_else(|| {
            let presented = usage_key.as_bytes();
            let may_be_key = KEY_BYTES.contains(&presented.len());
            may_be_key.then(|| current.place_of(&self.vault.digest(presented))).flatten()
        });
        current.subscriber(found, time_ms)
    }

    /// What metrics tell of it.
    pub fn reading(&self) -> StoreReading {
        let current = self.current.load();
        StoreReading {
            credentials: current.len(),
            version: current.version,
            readable: self.readable.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            usage: self.ledger.reading(),
        }
    }
}

/// A policy that says nothing, so that nothing is allowed, without an explicit deny.
pub fn nothing_allowed() -> Arc<Policy> {
    Arc::clone(&NOTHING)
}

static NOTHING: LazyLock<Arc<Policy>> = LazyLock::new(|| Arc::new(Policy::together(&[])));

impl Reader {
    /// The one number that a question has for an answer.
    fn ask(&mut self, question: &str) -> Result<i64, StateError> {
        let answer = self.opened.connection().query_row(question, [], |row| row.get(0));
        answer.map_err(|error| self.opened.sqlite(&error))
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("version", &self.version).finish_non_exhaustive()
    }
}
