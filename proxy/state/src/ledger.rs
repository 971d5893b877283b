//! Writes down how many requests came, beside the requests.
//!
//! ```text
//! request ─▶ Meter (in memory) ─ every half second ─▶ table `usage` ◀─ other gateways,
//!              ▲                     what is new                       commands
//!              └───────── what others wrote ─────────────┘
//! ```
//!
//! What cannot be written is counted on in memory and tried again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_limits::{Counted, Day, Meter, PerPeriod, Period, Quota, QuotaStanding};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::database::{next_revision, written};
use crate::error::StateError;
use crate::now_ms;
use crate::opened::Opened;
use crate::vault::Vault;

/// How long a writer waits for another: what is not written now is written soon.
const PATIENCE: Duration = Duration::from_millis(200);

/// Whoever requests of a usage plan are counted for.
#[derive(Debug)]
pub struct Subscriber {
    plan: Arc<str>,
    account: Arc<str>,
    meter: Arc<Meter>,
}

impl Subscriber {
    pub(crate) fn new(plan: Arc<str>, account: Arc<str>, meter: Arc<Meter>) -> Self {
        Self { plan, account, meter }
    }

    /// The plan's name.
    pub fn plan(&self) -> &Arc<str> {
        &self.plan
    }

    /// What the credentials have in common that are counted together.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// How a quota stands at this time.
    pub fn standing(&self, quota: Quota, time_ms: u64) -> QuotaStanding {
        self.meter.standing(quota, Day::at(time_ms))
    }

    /// Requests that count in a period at this time; fewer than none, where more were
    /// forgiven than made.
    pub fn used(&self, period: Period, time_ms: u64) -> i64 {
        self.meter.used(period, Day::at(time_ms))
    }

    /// Counts a request, where its quota has room.
    ///
    /// # Errors
    ///
    /// Where the quota is spent.
    pub fn count(&self, quota: Option<Quota>, time_ms: u64) -> Result<(), QuotaStanding> {
        self.meter.count(quota, Day::at(time_ms))
    }
}

/// What metrics tell of usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageReading {
    /// Accounts that have a plan.
    pub accounts: usize,
    /// Requests that are not yet written down.
    pub unwritten: u64,
    /// How often they could not be.
    pub failures: u64,
}

/// The meters of all accounts that have a plan, and where they are written down.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Replaced whole: whoever writes goes through them without a lock.
    meters: Mutex<Arc<Meters>>,
    writer: Mutex<Writer>,
    failures: AtomicU64,
    is_writable: AtomicBool,
}

#[derive(Debug)]
struct Account {
    meter: Arc<Meter>,
    /// What is written of it, as far as it is known here. Only the writer changes it.
    known: Mutex<PerPeriod<Counted>>,
}

#[derive(Debug)]
struct Writer {
    opened: Opened,
    /// The last change of usages that was seen.
    revision: i64,
}

/// Accounts by name.
type Meters = HashMap<Arc<str>, Arc<Account>>;
/// Accounts with what is to be written of them.
type Taken = Vec<(Arc<str>, Arc<Account>, Vec<Counted>)>;

impl Ledger {
    /// Writes to the database at this path.
    pub(crate) fn open(path: PathBuf, vault: &Vault) -> Result<Self, StateError> {
        let mut opened = Opened::open(path, vault)?;
        let connection = opened.connection();
        let patient = connection.busy_timeout(PATIENCE);
        patient.map_err(|error| opened.sqlite(&error))?;
        let revision = latest_revision(opened.connection());
        let revision = revision.map_err(|error| opened.sqlite(&error))?;
        Ok(Self {
            meters: Mutex::default(),
            writer: Mutex::new(Writer { opened, revision }),
            failures: AtomicU64::new(0),
            is_writable: AtomicBool::new(true),
        })
    }

    /// Finds the meters of accounts. What is written of those that are new is read.
    pub(crate) fn meters(
        &self,
        accounts: impl Iterator<Item = Arc<str>>,
    ) -> Result<HashMap<Arc<str>, Arc<Meter>>, StateError> {
        let mut writer = self.writer.lock();
        let mut known = Meters::clone(&*self.meters.lock());
        let today = Day::at(now_ms());
        let mut found = HashMap::new();
        for name in accounts {
            let account = match known.get(&name) {
                Some(account) => Arc::clone(account),
                None => {
                    let connection = writer.opened.connection();
                    let read = written(connection, &name, today);
                    let read = read.map_err(|error| writer.opened.sqlite(&error))?;
                    let account = Arc::new(Account::new(today));
                    account.settle(read, &account.meter.counting());
                    known.insert(Arc::clone(&name), Arc::clone(&account));
                    account
                }
            };
            found.insert(name, Arc::clone(&account.meter));
        }
        // Those that are gone may have requests that are not yet written.
        known.retain(|name, account| found.contains_key(name) || account.meter.unwritten() > 0);
        *self.meters.lock() = Arc::new(known);
        Ok(found)
    }

    /// Writes what is new, and takes over what others wrote. Blocks.
    pub(crate) fn synchronize(&self, vault: &Vault) {
        let mut writer = self.writer.lock();
        match self.write(&mut writer, vault) {
            Ok(()) => {
                if !self.is_writable.swap(true, Ordering::Relaxed) {
                    tracing::info!("usage can be written down again");
                }
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if self.is_writable.swap(false, Ordering::Relaxed) {
                    tracing::error!(
                        "usage cannot be written down; it is counted on in memory: {error}"
                    );
                }
            }
        }
    }

    fn write(&self, writer: &mut Writer, vault: &Vault) -> Result<(), StateError> {
        if writer.opened.follow(vault)? {
            let patient = writer.opened.connection().busy_timeout(PATIENCE);
            patient.map_err(|error| writer.opened.sqlite(&error))?;
            // Everything may be different there.
            writer.revision = -1;
        }
        let meters = Arc::clone(&*self.meters.lock());
        let mut taken: Taken = Vec::new();
        for (name, account) in meters.iter() {
            let unwritten: Vec<Counted> = account.meter.take_unwritten().collect();
            if !unwritten.is_empty() {
                taken.push((Arc::clone(name), Arc::clone(account), unwritten));
            }
        }
        let written = writer.write(&taken, &meters);
        if written.is_err() {
            for (_, account, unwritten) in &taken {
                unwritten.iter().for_each(|counted| account.meter.add_unwritten(*counted));
            }
        }
        written.map_err(|error| writer.opened.sqlite(&error))
    }

    /// What metrics tell of it.
    pub(crate) fn reading(&self) -> UsageReading {
        let meters = Arc::clone(&*self.meters.lock());
        UsageReading {
            accounts: meters.len(),
            unwritten: meters.values().map(|account| account.meter.unwritten()).sum(),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}

impl Writer {
    fn write(&mut self, taken: &Taken, meters: &Meters) -> rusqlite::Result<()> {
        let before = self.revision;
        let connection = self.opened.connection();
        let latest = latest_revision(connection)?;
        if taken.is_empty() && latest == before {
            return Ok(());
        }
        let behavior = if taken.is_empty() {
            TransactionBehavior::Deferred
        } else {
            TransactionBehavior::Immediate
        };
        let change = connection.transaction_with_behavior(behavior)?;
        // Asked before the clock is: see `Meter::settle`.
        let changed = others(&change, before, meters)?;
        let changed = changed
            .into_iter()
            .chain(taken.iter().map(|(name, account, _)| (Arc::clone(name), Arc::clone(account))));
        let changed: HashMap<_, _> =
            changed.map(|(name, account)| (name, (account.meter.counting(), account))).collect();
        let today = Day::at(now_ms());
        let revision =
            if taken.is_empty() { latest_revision(&change)? } else { next_revision(&change)? };
        for (name, _, unwritten) in taken {
            add(&change, name, unwritten, revision)?;
        }
        let found = changed.into_iter().map(|(name, (counting, account))| {
            Ok((account, counting, written(&change, &name, today)?))
        });
        let found: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
        change.commit()?;
        self.revision = revision;
        for (_, account, unwritten) in taken {
            account.know(unwritten);
        }
        for (account, counting, found) in found {
            account.settle(found, &counting);
        }
        Ok(())
    }
}

impl Account {
    fn new(today: Day) -> Self {
        let none = PerPeriod::of(|period| Counted::none(period.first(today)));
        Self { meter: Arc::default(), known: Mutex::new(none) }
    }

    /// What was counted here is written.
    fn know(&self, written: &[Counted]) {
        let mut known = self.known.lock();
        for Counted { day, requests } in written {
            *known = PerPeriod::of(|period| {
                let (known, first) = (*known.get(period), period.first(*day));
                // What is written of an earlier period counts in none that is known.
                if first < known.day { known } else { known.plus(first, *requests) }
            });
        }
    }

    fn settle(&self, found: PerPeriod<Counted>, counting: &PerPeriod<Day>) {
        let mut known = self.known.lock();
        self.meter.settle(&known, &found, counting);
        *known = found;
    }
}

/// Accounts that somebody has changed since.
fn others(
    connection: &Connection,
    since: i64,
    meters: &Meters,
) -> rusqlite::Result<Vec<(Arc<str>, Arc<Account>)>> {
    if since < 0 {
        let all = meters.iter().map(|(name, account)| (Arc::clone(name), Arc::clone(account)));
        return Ok(all.collect());
    }
    let mut statement =
        connection.prepare_cached("SELECT DISTINCT account FROM usage WHERE revision > ?1")?;
    let mut rows = statement.query([since])?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        // Others may know accounts that have no plan here.
        if let Some((name, account)) = meters.get_key_value(row.get_ref(0)?.as_str()?) {
            changed.push((Arc::clone(name), Arc::clone(account)));
        }
    }
    Ok(changed)
}

/// Adds requests of an account, if it is still there.
fn add(
    change: &Transaction<'_>,
    account: &str,
    unwritten: &[Counted],
    revision: i64,
) -> rusqlite::Result<()> {
    let mut statement = change.prepare_cached(
        "INSERT INTO usage (account, day, requests, revision)
         SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM credentials WHERE account = ?1)
         ON CONFLICT DO UPDATE SET requests = requests + ?3, revision = ?4",
    )?;
    for Counted { day, requests } in unwritten {
        statement.execute(params![account, day.number(), requests, revision])?;
    }
    Ok(())
}

fn latest_revision(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement =
        connection.prepare_cached("SELECT number FROM revisions WHERE name = 'usage'")?;
    statement.query_row([], |row| row.get(0))
}
