//! The tables, and how they came to be: one step for each version, never changed once
//! released.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::StateError;
use crate::vault::Vault;

/// What SQLite keeps in the file's head, so that no other program's database is taken for
/// ours: `PORT`.
const APPLICATION: i32 = 0x504f_5254;

/// How long a writer waits for another.
const PATIENCE: Duration = Duration::from_secs(5);

/// From nothing to schema 1, from 1 to 2, and so on.
const STEPS: &[&str] = &[
    "
    CREATE TABLE marks (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE TABLE consumers (
        name TEXT PRIMARY KEY,
        attributes TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE credentials (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('api-key', 'access-key')),
        consumer TEXT NOT NULL REFERENCES consumers (name) ON DELETE CASCADE,
        name TEXT,
        digest BLOB UNIQUE,
        sealed BLOB,
        session_digest BLOB,
        attributes TEXT NOT NULL,
        enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
        created INTEGER NOT NULL,
        rotated_from TEXT,
        rotated INTEGER,
        expires_at INTEGER,
        CHECK ((kind = 'api-key') = (digest IS NOT NULL)),
        CHECK ((kind = 'access-key') = (sealed IS NOT NULL))
    ) STRICT;
    CREATE INDEX credentials_of_consumers ON credentials (consumer);
    CREATE TABLE policies (
        credential TEXT REFERENCES credentials (id) ON DELETE CASCADE,
        consumer TEXT REFERENCES consumers (name) ON DELETE CASCADE,
        name TEXT NOT NULL,
        document TEXT NOT NULL,
        CHECK ((credential IS NULL) <> (consumer IS NULL))
    ) STRICT;
    CREATE UNIQUE INDEX policies_of_credentials ON policies (credential, name)
        WHERE credential IS NOT NULL;
    CREATE UNIQUE INDEX policies_of_consumers ON policies (consumer, name)
        WHERE consumer IS NOT NULL;
",
    // Rotation keeps the account, and with it what was used. Whoever keeps up with the
    // credentials looks at their revision: usage is written all the time.
    "
    ALTER TABLE credentials ADD COLUMN plan TEXT;
    ALTER TABLE credentials ADD COLUMN account TEXT NOT NULL DEFAULT '';
    UPDATE credentials SET account = id;
    CREATE INDEX credentials_of_accounts ON credentials (account);
    CREATE TABLE usage (
        account TEXT NOT NULL,
        day INTEGER NOT NULL,
        requests INTEGER NOT NULL DEFAULT 0,
        forgiven INTEGER NOT NULL DEFAULT 0,
        revision INTEGER NOT NULL,
        PRIMARY KEY (account, day)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX usage_by_revision ON usage (revision);
    CREATE TRIGGER usage_ends_with_its_account AFTER DELETE ON credentials
        WHEN NOT EXISTS (SELECT 1 FROM credentials WHERE account = OLD.account)
        BEGIN DELETE FROM usage WHERE account = OLD.account; END;
    CREATE TABLE revisions (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
    INSERT INTO revisions VALUES ('credentials', 1), ('usage', 1);
    CREATE TRIGGER consumers_added AFTER INSERT ON consumers
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
    CREATE TRIGGER consumers_changed AFTER UPDATE ON consumers
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
    CREATE TRIGGER consumers_removed AFTER DELETE ON consumers
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
    CREATE TRIGGER credentials_added AFTER INSERT ON credentials
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
    CREATE TRIGGER credentials_changed AFTER UPDATE ON credentials
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
    CREATE TRIGGER credentials_removed AFTER DELETE ON credentials
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
    CREATE TRIGGER policies_added AFTER INSERT ON policies
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
    CREATE TRIGGER policies_changed AFTER UPDATE ON policies
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
    CREATE TRIGGER policies_removed AFTER DELETE ON policies
        BEGIN UPDATE revisions SET number = number + 1 WHERE name = 'credentials'; END;
",
];

/// Readies a connection, and brings the tables up to date.
pub(crate) fn prepare(
    connection: &mut Connection,
    path: &Path,
    vault: &Vault,
) -> Result<(), StateError> {
    let sqlite = |error: rusqlite::Error| StateError::of_sqlite(path, &error);
    connection.busy_timeout(PATIENCE).map_err(sqlite)?;
    journal(connection).map_err(sqlite)?;
    // What is printed once must not be lost by a crash, and what is removed is overwritten.
    let settings = [("synchronous", "FULL"), ("foreign_keys", "ON"), ("secure_delete", "ON")];
    for (name, value) in settings {
        connection.pragma_update(None, name, value).map_err(sqlite)?;
    }
    let change =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    let number = |name: &str| change.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (found, application) =
        (number("user_version").map_err(sqlite)?, number("application_id").map_err(sqlite)?);
    let tables: i64 = change
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    if application != APPLICATION && tables > 0 {
        let reason = "it is the database of another program".to_owned();
        return Err(StateError::Unusable { path: path.to_owned(), reason });
    }
    let (known, found) = (latest(), u32::try_from(found).unwrap_or(u32::MAX));
    if found > known {
        return Err(StateError::Newer { path: path.to_owned(), found, known });
    }
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(done) {
        change.execute_batch(step).map_err(sqlite)?;
    }
    if found == 0 {
        let mark = vault.mark();
        change
            .execute("INSERT INTO marks (name, value) VALUES ('key', ?1)", [&mark[..]])
            .map_err(sqlite)?;
    }
    if found < known {
        change.pragma_update(None, "application_id", APPLICATION).map_err(sqlite)?;
        change.pragma_update(None, "user_version", known).map_err(sqlite)?;
    }
    let mark: Vec<u8> = change
        .query_row("SELECT value FROM marks WHERE name = 'key'", [], |row| row.get(0))
        .map_err(sqlite)?;
    change.commit().map_err(sqlite)?;
    if mark == vault.mark() {
        Ok(())
    } else {
        Err(StateError::WrongMasterKey { path: vault.path().to_owned() })
    }
}

/// Asks for a write-ahead log, so that readers and a writer never wait for each other.
/// SQLite does not wait by itself where two processes ask at once.
fn journal(connection: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(_) => return Ok(()),
            Err(error)
                if tries < 100
                    && error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) =>
            {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The schema this version writes.
pub(crate) fn latest() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}
