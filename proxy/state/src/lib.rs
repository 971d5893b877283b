//! What the operator keeps of callers: consumers, their API keys and access keys, the
//! policies attached to them, and how many requests came with each key of a usage plan.
//!
//! ```text
//! command line, admin API ─▶ Database ─▶ state/portcullis.db ─ (poll, or at once) ─▶ CredentialStore
//!                             checked        SQLite, WAL                               │ one immutable
//!                             changes                                                  ▼ snapshot
//!                                                                request ─ digest ─▶ find
//! ```
//!
//! Requests never touch the database: they meet a snapshot in memory, which is replaced
//! whole when the database has changed. They count in meters ([`Subscriber`]), which a thread
//! writes down (`ledger`). Nothing of SQLite leaves this crate, and nothing
//! here knows plugins, sockets or the configuration.

mod database;
mod error;
mod generate;
mod key_file;
mod ledger;
mod model;
mod opened;
mod schema;
mod snapshot;
mod store;
mod vault;

use std::time::Duration;

pub use database::{
    Database, DayUsage, Effect, Existing, Import, Imported, Issued, NewCredential, Page, Session,
    check_forgiven,
};
pub use error::StateError;
pub use generate::Generated;
pub use key_file::{LineProblem, MOST_FILE_BYTES};
pub use ledger::{Subscriber, UsageReading};
pub use model::{
    Attribute, Attributes, Consumer, Credential, Kind, PolicyRecord, PolicyTarget, Status,
};
pub use snapshot::{Known, Unsubscribed};
pub use store::{CredentialStore, StoreReading, nothing_allowed};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Milliseconds of a duration.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// When something stops to hold that holds for this long from now, in milliseconds since
/// 1970; never without a lifetime.
pub fn expiry(lifetime: Option<Duration>) -> Option<u64> {
    lifetime.map(|lifetime| now_ms().saturating_add(milliseconds(lifetime)))
}
