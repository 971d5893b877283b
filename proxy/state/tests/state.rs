//! What is kept, found again, and refused.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use portcullis_policy::{Fact, Facts, Key, Question, Verdict};
use portcullis_state::{
    Attribute, CredentialStore, Database, Issued, Kind, NewCredential, Page, PolicyTarget, Session,
    StateError, Status, now_ms,
};

const FIRST: Page<'static> = Page { after: "", limit: 100 };

struct Folder {
    directory: tempfile::TempDir,
    database: Database,
}

impl Folder {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut database = Database::open(&directory.path().join("state")).unwrap();
        let attributes = BTreeMap::from([
            ("plan".to_owned(), Attribute::Text("gold".to_owned())),
            ("seats".to_owned(), Attribute::Integer(7)),
        ]);
        database.add_consumer("alice", &attributes).unwrap();
        Self { directory, database }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("state")
    }

    fn store(&self) -> Arc<CredentialStore> {
        CredentialStore::open(&self.path()).unwrap()
    }

    fn key(&mut self) -> Issued {
        self.database.add_api_key("alice", NewCredential::default(), None).unwrap()
    }
}

fn finds(store: &CredentialStore, issued: &Issued) -> bool {
    store.find(issued.secret.expose().as_bytes(), now_ms()).is_some()
}

#[test]
fn a_key_is_found_by_its_secret_with_what_is_known_of_both() {
    let mut folder = Folder::new();
    let own = BTreeMap::from([("plan".to_owned(), Attribute::Texts(vec!["a".to_owned()]))]);
    let new = NewCredential { attributes: own, ..NewCredential::default() };
    let issued = folder.database.add_api_key("alice", new, None).unwrap();
    let store = folder.store();

    let known = store.find(issued.secret.expose().as_bytes(), now_ms()).unwrap();

    assert_eq!((known.id.as_str(), known.consumer.as_str()), (&*issued.credential.id, "alice"));
    assert_eq!(known.attributes["plan"], Attribute::Texts(vec!["a".to_owned()]));
    assert_eq!(known.attributes["seats"], Attribute::Integer(7));
    assert_eq!(store.get(Kind::ApiKey, &known.id, now_ms()), Some(known.clone()));
    assert_eq!(store.get(Kind::AccessKey, &known.id, now_ms()), None);
    assert_eq!(store.find(b"pk_somebody-else's-key", now_ms()), None);
    assert_eq!(store.find(known.id.as_bytes(), now_ms()), None);
}

#[test]
fn what_is_disabled_expired_or_removed_is_not_found() {
    let mut folder = Folder::new();
    let (disabled, removed) = (folder.key(), folder.key());
    let soon = NewCredential { expires_at: Some(now_ms() + 60_000), ..NewCredential::default() };
    let expiring = folder.database.add_api_key("alice", soon, None).unwrap();
    let store = folder.store();
    assert!([&disabled, &removed, &expiring].iter().all(|issued| finds(&store, issued)));

    let id = &disabled.credential.id;
    folder.database.set_status(Kind::ApiKey, id, Status::Disabled).unwrap();
    folder.database.remove_credential(Kind::ApiKey, &removed.credential.id).unwrap();
    let before = store.version();
    store.refresh();

    assert!(store.version() > before);
    assert!(!finds(&store, &disabled) && !finds(&store, &removed));
    assert_eq!(store.find(expiring.secret.expose().as_bytes(), now_ms() + 60_001), None);
    folder.database.set_status(Kind::ApiKey, id, Status::Enabled).unwrap();
    store.refresh();
    assert!(finds(&store, &disabled));
    folder.database.remove_consumer("alice").unwrap();
    store.refresh();
    assert!(!finds(&store, &disabled) && !finds(&store, &expiring));
}

#[test]
fn a_rotated_key_goes_on_for_its_grace() {
    let mut folder = Folder::new();
    let old = folder.key();
    let next = folder.database.rotate(Kind::ApiKey, &old.credential.id, 60_000).unwrap();
    let last = folder.database.rotate(Kind::ApiKey, &next.credential.id, 0).unwrap();
    let store = folder.store();

    assert!(finds(&store, &old) && !finds(&store, &next) && finds(&store, &last));
    assert_eq!(store.find(old.secret.expose().as_bytes(), now_ms() + 60_001), None);
    assert_eq!(last.credential.rotated_from.as_ref(), Some(&next.credential.id));
    let listed = folder.database.credential(Kind::ApiKey, &old.credential.id).unwrap();
    assert!(listed.rotated.is_some() && listed.expires_at.is_some());
}

#[test]
fn an_access_key_gives_its_secret_back() {
    let mut folder = Folder::new();
    let issued =
        folder.database.add_access_key("alice", NewCredential::default(), Session::Token).unwrap();
    let store = folder.store();
    let id = &issued.credential.id;

    assert_eq!(store.secret(id, now_ms()).unwrap().as_slice(), issued.secret.expose().as_bytes());
    assert!(store.get(Kind::AccessKey, id, now_ms()).unwrap().session_digest.is_some());
    assert!(store.find(issued.secret.expose().as_bytes(), now_ms()).is_none());
    let next = folder.database.rotate(Kind::AccessKey, id, 0).unwrap();
    store.refresh();
    assert!(store.secret(id, now_ms()).is_none());
    assert!(store.secret(&next.credential.id, now_ms()).is_some());
    assert!(next.session_token.is_some());
}

#[test]
fn no_secret_is_in_any_file_and_no_file_is_for_others() {
    let mut folder = Folder::new();
    let key = folder.key();
    let new = NewCredential::default;
    let imported = "an-imported-key-of-some-length";
    folder.database.add_api_key("alice", new(), Some(imported)).unwrap();
    let access = folder.database.add_access_key("alice", new(), Session::Token).unwrap();
    let token = access.session_token.unwrap();

    let mut read = 0;
    for entry in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&entry).unwrap();
        read += bytes.len();
        for secret in [key.secret.expose(), imported, access.secret.expose(), token.expose()] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", entry.display());
        }
        let mode = fs::metadata(&entry).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.display());
    }
    assert!(read > 8192, "the rows are in one of them");
}

#[test]
fn an_imported_key_has_the_form_of_aws_and_is_the_only_one_of_its_value() {
    let mut folder = Folder::new();
    let mut import = |value: &str| {
        folder.database.add_api_key("alice", NewCredential::default(), Some(value)).map(drop)
    };

    for refused in ["short", &"x".repeat(129), "with a space in the middle", "ümlaut-ümlaut-ümlaut"]
    {
        assert!(matches!(import(refused), Err(StateError::Invalid(_))), "{refused}");
    }
    import(&"x".repeat(20)).unwrap();
    assert!(matches!(import(&"x".repeat(20)), Err(StateError::Invalid(_))));
    import(&"x".repeat(128)).unwrap();
}

const READ: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:execute-api:*:*:*/GET/*"}]}"#;
const NOT_ADMIN: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:execute-api:*:*:*/admin"}]}"#;

/// A request of which nothing is known.
struct Nothing;

impl Facts for Nothing {
    fn fact(&self, _: &Key) -> Option<Fact<'_>> {
        None
    }
}

#[test]
fn policies_of_a_credential_and_its_consumer_are_one() {
    let mut folder = Folder::new();
    let issued = folder.key();
    let id = issued.credential.id.clone();
    let store = folder.store();
    let ask = |id: &str, resource| {
        let resource = format!("arn:aws:execute-api:local:000000000000:{resource}");
        let resource = resource.as_str();
        let question = Question { action: "execute-api:Invoke", resource, facts: &Nothing };
        store.attached(id).evaluate(question)
    };
    assert_eq!(ask(&id, "a/GET/orders"), Verdict::ImplicitDeny);
    assert_eq!(ask("nobody", "a/GET/orders"), Verdict::ImplicitDeny);

    let consumer = PolicyTarget::Consumer("alice".to_owned());
    let credential = PolicyTarget::Credential(id.clone());
    folder.database.attach_policy(&consumer, "read", READ).unwrap();
    store.refresh();
    assert_eq!(ask(&id, "a/GET/admin"), Verdict::Allow);
    folder.database.attach_policy(&credential, "not-admin", NOT_ADMIN).unwrap();
    store.refresh();

    assert_eq!(ask(&id, "a/GET/orders"), Verdict::Allow);
    assert_eq!(ask(&id, "a/GET/admin"), Verdict::ExplicitDeny);
    let next = folder.database.rotate(Kind::ApiKey, &id, 0).unwrap();
    store.refresh();
    assert_eq!(ask(&next.credential.id, "a/GET/admin"), Verdict::ExplicitDeny);
    assert_eq!(folder.database.policies(&credential).unwrap().len(), 1);
    folder.database.detach_policy(&credential, "not-admin").unwrap();
    assert!(folder.database.detach_policy(&credential, "not-admin").is_err());
    let refused = folder.database.attach_policy(&credential, "broken", "{}");
    assert!(matches!(refused, Err(StateError::Invalid(_))));
}

#[test]
fn a_deny_is_heard_however_much_is_attached_beside_it() {
    let mut folder = Folder::new();
    let id = folder.key().credential.id;
    let store = folder.store();
    let ask = |resource| {
        let resource = format!("arn:aws:execute-api:local:000000000000:{resource}");
        let resource = resource.as_str();
        let question = Question { action: "execute-api:Invoke", resource, facts: &Nothing };
        store.attached(&id).evaluate(question)
    };
    let consumer = PolicyTarget::Consumer("alice".to_owned());
    let credential = PolicyTarget::Credential(id.clone());
    folder.database.attach_policy(&consumer, "read", READ).unwrap();
    let long = |name: &str, of: &str| {
        let sid = format!("\"Sid\": \"{}\", \"Effect\"", "a".repeat(9000));
        (name.to_owned(), of.replace("\"Effect\"", &sid))
    };
    for (name, document) in [long("a", NOT_ADMIN), long("b", NOT_ADMIN), long("c", READ)] {
        folder.database.attach_policy(&credential, &name, &document).unwrap();
    }
    store.refresh();

    assert_eq!([ask("a/GET/orders"), ask("a/GET/admin")], [Verdict::Allow, Verdict::ExplicitDeny]);

    // A variable is text in the older version of the language, also beside a newer one.
    let old = NOT_ADMIN.replace("2012-10-17", "2008-10-17").replace("/admin", "/${aws:userid}");
    folder.database.attach_policy(&credential, "d", &old).unwrap();
    store.refresh();
    assert_eq!(ask("a/GET/${aws:userid}"), Verdict::ExplicitDeny);

    let sqlite = rusqlite::Connection::open(folder.path().join("portcullis.db")).unwrap();
    sqlite.execute("UPDATE policies SET document = '{}' WHERE name = 'a'", []).unwrap();
    store.refresh();
    assert_eq!(ask("a/GET/orders"), Verdict::ExplicitDeny, "what cannot be read denies");
}

#[test]
fn lists_come_in_pages() {
    let mut folder = Folder::new();
    folder.database.add_consumer("bob", &BTreeMap::new()).unwrap();
    let mut ids: Vec<String> = (0..5).map(|_| folder.key().credential.id).collect();
    ids.sort();
    let list = |consumer, page| folder.database.credentials(Kind::ApiKey, consumer, page).unwrap();

    let first = list(None, Page { after: "", limit: 3 });
    let second = list(None, Page { after: &first[2].id, limit: 3 });

    let listed: Vec<&String> = first.iter().chain(&second).map(|key| &key.id).collect();
    assert!(listed.into_iter().eq(&ids));
    assert_eq!(list(Some("bob"), FIRST), []);
    assert_eq!(folder.database.consumers(FIRST).unwrap().len(), 2);
    assert!(folder.database.add_consumer("bob", &BTreeMap::new()).is_err());
    assert!(folder.database.add_consumer("a b", &BTreeMap::new()).is_err());
}

fn refused(path: &Path) -> StateError {
    CredentialStore::open(path).unwrap_err()
}

#[test]
fn what_cannot_be_ours_is_refused_in_words() {
    let folder = Folder::new();
    let (path, database) = (folder.path(), folder.path().join("portcullis.db"));
    let sqlite = rusqlite::Connection::open(&database).unwrap();
    sqlite.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(refused(&path), StateError::Newer { found: 99, .. }));
    sqlite.pragma_update(None, "user_version", 2).unwrap();
    drop((sqlite, folder.database));
    fs::rename(path.join("master.key"), path.join("kept.key")).unwrap();
    assert!(matches!(refused(&path), StateError::NoMasterKey { .. }));
    fs::write(path.join("master.key"), [7; 32]).unwrap();
    fs::set_permissions(path.join("master.key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(refused(&path), StateError::WrongMasterKey { .. }));
    fs::rename(path.join("kept.key"), path.join("master.key")).unwrap();
    assert!(CredentialStore::open(&path).is_ok());
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(refused(&path), StateError::Permissions { .. }));
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    for beside in ["portcullis.db-wal", "portcullis.db-shm"] {
        let _absent = fs::remove_file(path.join(beside));
    }
    fs::write(&database, b"this is no database, however long it may be said to be".repeat(100))
        .unwrap();
    assert!(matches!(refused(&path), StateError::Unusable { .. }));
}

#[test]
fn the_last_snapshot_serves_while_the_database_cannot_be_read() {
    let mut folder = Folder::new();
    let issued = folder.key();
    let store = folder.store();
    let (database, away) = (folder.path().join("portcullis.db"), folder.path().join("away"));

    fs::rename(&database, &away).unwrap();
    store.refresh();
    store.refresh();

    assert!(finds(&store, &issued));
    assert!(!store.reading().readable && store.reading().failures == 2);
    fs::rename(&away, &database).unwrap();
    store.refresh();
    assert!(store.reading().readable && finds(&store, &issued));
}

#[test]
fn many_processes_may_begin_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    std::thread::scope(|scope| {
        let open = |name: usize| {
            let path = &path;
            scope.spawn(move || {
                let mut database = Database::open(path).unwrap();
                database.add_consumer(&format!("c{name}"), &BTreeMap::new()).unwrap();
            })
        };
        let openers: Vec<_> = (0..8).map(open).collect();
        openers.into_iter().for_each(|opener| opener.join().unwrap());
    });
    assert_eq!(Database::open(&path).unwrap().consumers(FIRST).unwrap().len(), 8);
}

/// What a million keys cost: `cargo test -p portcullis-state --release -- --ignored
/// --nocapture a_million`.
#[test]
#[ignore = "takes minutes; it measures"]
fn a_million_keys() {
    let folder = Folder::new();
    let sqlite = rusqlite::Connection::open(folder.path().join("portcullis.db")).unwrap();
    sqlite
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             INSERT INTO credentials (id, kind, consumer, digest, attributes, enabled, created)
             SELECT printf('%012d', i), 'api-key', 'alice', randomblob(32), '{}', 1, 0 FROM n",
        )
        .unwrap();
    let resident = || {
        let text = fs::read_to_string("/proc/self/statm").unwrap();
        (text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096) >> 20
    };
    let (before, started) = (resident(), std::time::Instant::now());
    let store = folder.store();
    let (took, after) = (started.elapsed(), resident());
    assert_eq!(store.reading().credentials, 1_000_000);
    let started = std::time::Instant::now();
    for i in 0..100_000_u32 {
        let presented = format!("pk_{i:043}");
        assert!(store.find(presented.as_bytes(), 0).is_none());
    }
    let each = started.elapsed() / 100_000;
    println!("load {took:?}, memory {} MiB, a look-up {each:?}", after - before);
}
