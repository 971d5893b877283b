//! Requests are counted once, kept, and added up over processes.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_limits::{Day, Period, Quota};
use portcullis_state::{
    CredentialStore, Database, Issued, Kind, NewCredential, Subscriber, Unsubscribed, now_ms,
};

const DAY_MS: u64 = 24 * 3600 * 1000;

struct Folder {
    directory: tempfile::TempDir,
    database: Database,
}

impl Folder {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut database = Database::open(&directory.path().join("state")).unwrap();
        database.add_consumer("alice", &BTreeMap::new()).unwrap();
        Self { directory, database }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn store(&self) -> Arc<CredentialStore> {
        CredentialStore::open(&self.path()).unwrap()
    }

    fn key(&mut self, plan: Option<&str>) -> Issued {
        let new = NewCredential { plan: plan.map(str::to_owned), ..NewCredential::default() };
        self.database.add_api_key("alice", new, None).unwrap()
    }

    fn requests(&self, id: &str) -> Vec<u64> {
        let all = (Day::from_number(0), Day::from_number(u32::MAX));
        let usage = self.database.usage(Kind::ApiKey, id, all).unwrap();
        usage.iter().map(|day| day.requests).collect()
    }
}

fn of(store: &CredentialStore, issued: &Issued) -> Arc<Subscriber> {
    store.subscriber(&issued.credential.id, now_ms()).unwrap()
}

fn count(subscriber: &Subscriber, requests: usize) {
    (0..requests).for_each(|_| subscriber.count(None, now_ms()).unwrap());
}

fn remaining(subscriber: &Subscriber) -> u64 {
    subscriber.standing(Quota::new(100, Period::Month), now_ms()).remaining
}

#[test]
fn a_usage_key_is_an_id_or_the_key_itself_while_it_holds() {
    let mut folder = Folder::new();
    let (gold, none) = (folder.key(Some("gold")), folder.key(None));
    let store = folder.store();

    assert_eq!(&**of(&store, &gold).plan(), "gold");
    let itself = store.subscriber(gold.secret.expose(), now_ms()).unwrap();
    assert_eq!(itself.account(), gold.credential.id);
    let refused = |key: &str| store.subscriber(key, now_ms()).unwrap_err();
    assert_eq!(refused(&none.credential.id), Unsubscribed::NoPlan);
    for unknown in ["", "alice", "pk_nobody-has-this-key-at-all"] {
        assert_eq!(refused(unknown), Unsubscribed::UnknownKey);
    }
    let id = &gold.credential.id;
    folder.database.set_plan(Kind::ApiKey, id, Some("trial")).unwrap();
    folder.database.set_plan(Kind::ApiKey, &none.credential.id, Some("gold")).unwrap();
    assert!(folder.database.set_plan(Kind::ApiKey, id, Some("a plan")).is_err());
    store.refresh();
    assert_eq!(&**of(&store, &gold).plan(), "trial");
    assert_eq!(&**of(&store, &none).plan(), "gold");
    folder.database.set_plan(Kind::ApiKey, id, None).unwrap();
    store.refresh();
    assert_eq!(refused(id), Unsubscribed::NoPlan);
    let disabled = portcullis_state::Status::Disabled;
    folder.database.set_status(Kind::ApiKey, id, disabled).unwrap();
    store.refresh();
    assert_eq!(refused(id), Unsubscribed::UnknownKey);
}

#[test]
fn what_is_written_is_there_for_the_next_process() {
    let mut folder = Folder::new();
    let key = folder.key(Some("gold"));
    let store = folder.store();
    count(&of(&store, &key), 7);
    assert_eq!(store.reading().usage.unwritten, 7);
    assert!(folder.requests(&key.credential.id).is_empty());

    store.write_usage();
    store.write_usage();

    assert_eq!(folder.requests(&key.credential.id), [7]);
    assert_eq!(store.reading().usage.unwritten, 0);
    drop(store);
    let store = folder.store();
    assert_eq!(remaining(&of(&store, &key)), 93);
    count(&of(&store, &key), 1);
    store.write_usage();
    assert_eq!(folder.requests(&key.credential.id), [8]);
}

#[test]
fn processes_add_up() {
    let mut folder = Folder::new();
    let key = folder.key(Some("gold"));
    let (one, other) = (folder.store(), folder.store());
    count(&of(&one, &key), 10);
    count(&of(&other, &key), 20);
    one.write_usage();
    other.write_usage();
    assert_eq!(remaining(&of(&other, &key)), 70);
    assert_eq!(remaining(&of(&one, &key)), 90, "it has not looked since");
    count(&of(&one, &key), 1);
    one.write_usage();
    assert_eq!(remaining(&of(&one, &key)), 69);
    other.write_usage();
    assert_eq!(remaining(&of(&other, &key)), 69);
    assert_eq!(folder.requests(&key.credential.id), [31]);
}

#[test]
fn what_is_forgiven_was_still_asked() {
    let mut folder = Folder::new();
    let key = folder.key(Some("gold"));
    let id = key.credential.id.clone();
    let store = folder.store();
    let today = Day::at(now_ms());
    count(&of(&store, &key), 40);
    store.write_usage();

    folder.database.extend_usage(Kind::ApiKey, &id, (50, today)).unwrap();
    store.write_usage();
    assert_eq!(remaining(&of(&store, &key)), 110);
    folder.database.reset_usage(Kind::ApiKey, &id, (Period::Month, today)).unwrap();
    store.write_usage();

    assert_eq!(remaining(&of(&store, &key)), 100);
    assert_eq!(folder.requests(&id), [40]);
    assert_eq!(folder.database.used(Kind::ApiKey, &id, today).unwrap().month.requests, 0);
    assert!(folder.database.extend_usage(Kind::ApiKey, &id, (0, today)).is_err());
    assert!(folder.database.reset_usage(Kind::ApiKey, "none", (Period::Day, today)).is_err());
}

#[test]
fn days_are_kept_apart_and_periods_together() {
    let mut folder = Folder::new();
    let key = folder.key(Some("gold"));
    let store = folder.store();
    let subscriber = of(&store, &key);
    // A leap day, the day after, and the Monday after that.
    let leap_day = "2024-02-29".parse::<Day>().unwrap().begins_ms();
    for (days, requests) in [(0, 3), (1, 5), (4, 7)] {
        for _ in 0..requests {
            subscriber.count(None, leap_day + days * DAY_MS).unwrap();
        }
        store.write_usage();
    }
    assert_eq!(folder.requests(&key.credential.id), [3, 5, 7]);
    let used = |day: &str| {
        let day = day.parse().unwrap();
        let used = folder.database.used(Kind::ApiKey, &key.credential.id, day).unwrap();
        (used.day.requests, used.week.requests, used.month.requests)
    };
    assert_eq!(used("2024-02-29"), (3, 8, 3));
    assert_eq!(used("2024-03-01"), (5, 8, 12));
    assert_eq!(used("2024-03-04"), (7, 7, 12));
    assert_eq!(used("2024-04-01"), (0, 0, 0));
}

#[test]
fn a_rotated_key_uses_the_quota_of_the_old_one() {
    let mut folder = Folder::new();
    let old = folder.key(Some("gold"));
    let store = folder.store();
    count(&of(&store, &old), 10);
    let next = folder.database.rotate(Kind::ApiKey, &old.credential.id, 60_000).unwrap();
    store.refresh();
    count(&of(&store, &next), 5);

    assert_eq!((remaining(&of(&store, &old)), remaining(&of(&store, &next))), (85, 85));
    store.write_usage();
    folder.database.remove_credential(Kind::ApiKey, &old.credential.id).unwrap();
    assert_eq!(folder.requests(&next.credential.id), [15]);
    folder.database.remove_consumer("alice").unwrap();
    let sqlite = rusqlite::Connection::open(folder.path().join("portcullis.db")).unwrap();
    let rows: i64 = sqlite.query_row("SELECT count(*) FROM usage", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0, "what is counted ends with the last key of its account");
    count(&of(&store, &next), 5);
    store.write_usage();
    let rows: i64 = sqlite.query_row("SELECT count(*) FROM usage", [], |row| row.get(0)).unwrap();
    assert_eq!((rows, store.reading().usage.failures), (0, 0));
}

#[test]
fn usage_that_cannot_be_written_is_counted_on() {
    let mut folder = Folder::new();
    let key = folder.key(Some("gold"));
    let store = folder.store();
    let sqlite = rusqlite::Connection::open(folder.path().join("portcullis.db")).unwrap();
    sqlite.execute_batch("BEGIN IMMEDIATE").unwrap();
    count(&of(&store, &key), 60);

    store.write_usage();

    let reading = store.reading().usage;
    assert_eq!((reading.failures, reading.unwritten), (1, 60));
    let quota = Quota::new(61, Period::Month);
    assert!(of(&store, &key).count(Some(quota), now_ms()).is_ok());
    assert!(of(&store, &key).count(Some(quota), now_ms()).is_err());
    sqlite.execute_batch("ROLLBACK").unwrap();
    store.write_usage();
    assert_eq!(folder.requests(&key.credential.id), [61]);
    assert_eq!(store.reading().usage.unwritten, 0);
}

#[test]
fn usage_is_no_reason_to_read_the_credentials_anew() {
    let mut folder = Folder::new();
    let key = folder.key(Some("gold"));
    let (store, other) = (folder.store(), folder.store());
    let version = store.version();
    count(&of(&other, &key), 1);
    other.write_usage();
    store.refresh();
    assert_eq!(store.version(), version);
    folder.key(None);
    store.refresh();
    assert_eq!(store.version(), version + 1);
}

#[test]
fn a_database_of_the_first_schema_is_brought_up_to_date() {
    let mut folder = Folder::new();
    let key = folder.key(None);
    let path = folder.path();
    let sqlite = rusqlite::Connection::open(path.join("portcullis.db")).unwrap();
    sqlite
        .execute_batch(
            "DROP TRIGGER usage_ends_with_its_account; DROP TABLE usage;
             DROP TRIGGER consumers_added; DROP TRIGGER consumers_changed;
             DROP TRIGGER consumers_removed; DROP TRIGGER credentials_added;
             DROP TRIGGER credentials_changed; DROP TRIGGER credentials_removed;
             DROP TRIGGER policies_added; DROP TRIGGER policies_changed;
             DROP TRIGGER policies_removed; DROP TABLE revisions;
             DROP INDEX credentials_of_accounts;
             ALTER TABLE credentials DROP COLUMN plan; ALTER TABLE credentials DROP COLUMN account;
             PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(folder.database);

    folder.database = Database::open(&path).unwrap();

    let id = &key.credential.id;
    assert_eq!(folder.database.credential(Kind::ApiKey, id).unwrap().account, *id);
    folder.database.set_plan(Kind::ApiKey, id, Some("gold")).unwrap();
    let store = folder.store();
    count(&of(&store, &key), 2);
    store.write_usage();
    assert_eq!(folder.requests(id), [2]);
}
