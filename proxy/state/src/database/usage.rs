//! How many requests came with a credential, by the day, and what was forgiven of them.

use portcullis_limits::{Counted, Day, PerPeriod, Period};
use rusqlite::{Connection, params};
use serde::{Serialize, Serializer};

use super::{Database, signed, unsigned};
use crate::error::StateError;
use crate::model::Kind;

/// The most requests that may be forgiven at once.
const MOST_FORGIVEN: u64 = 100_000_000_000;

/// Requests of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DayUsage {
    /// The day, in UTC.
    #[serde(serialize_with = "shown")]
    pub day: Day,
    /// Requests that were let pass with a plan.
    pub requests: u64,
}

fn shown<S: Serializer>(day: &Day, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}

/// Checks by how many requests a quota is to be extended.
///
/// # Errors
///
/// When it cannot be.
pub fn check_forgiven(requests: u64) -> Result<(), StateError> {
    if (1..=MOST_FORGIVEN).contains(&requests) {
        return Ok(());
    }
    let message = format!("a quota is extended by 1 to {MOST_FORGIVEN} requests");
    Err(StateError::Invalid(message))
}

impl Database {
    /// Lists the requests of a credential, with those of its account, from one day to
    /// another; days without any are left out.
    ///
    /// # Errors
    ///
    /// When there is no such credential.
    pub fn usage(
        &self,
        kind: Kind,
        id: &str,
        (from, to): (Day, Day),
    ) -> Result<Vec<DayUsage>, StateError> {
        let account = self.credential(kind, id)?.account;
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT day, requests FROM usage
                 WHERE account = ?1 AND day BETWEEN ?2 AND ?3 AND requests > 0 ORDER BY day",
            )?;
            let rows =
                statement.query_map(params![account, from.number(), to.number()], |row| {
                    let requests = unsigned(row.get(1)?);
                    Ok(DayUsage { day: Day::from_number(row.get(0)?), requests })
                })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.sqlite(&error))
    }

    /// What counts of the periods that a day is in, without what was forgiven.
    ///
    /// # Errors
    ///
    /// When there is no such credential.
    pub fn used(&self, kind: Kind, id: &str, today: Day) -> Result<PerPeriod<Counted>, StateError> {
        let account = self.credential(kind, id)?.account;
        written(&self.connection, &account, today).map_err(|error| self.sqlite(&error))
    }

    /// Forgives what counts of the period that a day is in: its quota is whole again.
    ///
    /// # Errors
    ///
    /// When there is no such credential.
    pub fn reset_usage(
        &mut self,
        kind: Kind,
        id: &str,
        (period, today): (Period, Day),
    ) -> Result<(), StateError> {
        self.forgive(kind, id, today, |used| used.get(period).requests)
    }

    /// Adds to what remains of every period that a day is in.
    ///
    /// # Errors
    ///
    /// When there is no such credential, or this is no number of requests.
    pub fn extend_usage(
        &mut self,
        kind: Kind,
        id: &str,
        (requests, today): (u64, Day),
    ) -> Result<(), StateError> {
        check_forgiven(requests)?;
        self.forgive(kind, id, today, |_| signed(requests))
    }

    fn forgive(
        &mut self,
        kind: Kind,
        id: &str,
        today: Day,
        much: impl Fn(&PerPeriod<Counted>) -> i64,
    ) -> Result<(), StateError> {
        let account = self.credential(kind, id)?.account;
        let mut write = || {
            let change = self
                .connection
                .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let forgiven = much(&written(&change, &account, today)?);
            let revision = next_revision(&change)?;
            change.execute(
                "INSERT INTO usage (account, day, forgiven, revision) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET forgiven = forgiven + ?3, revision = ?4",
                params![account, today.number(), forgiven, revision],
            )?;
            change.commit()
        };
        let done = write();
        done.map_err(|error| self.sqlite(&error))
    }
}

/// What counts of an account in the periods that a day is in.
pub(crate) fn written(
    connection: &Connection,
    account: &str,
    today: Day,
) -> rusqlite::Result<PerPeriod<Counted>> {
    let mut found = PerPeriod::of(|period| Counted::none(period.first(today)));
    let from = found.week.day.min(found.month.day);
    let mut statement = connection.prepare_cached(
        "SELECT day, requests - forgiven FROM usage WHERE account = ?1 AND day >= ?2",
    )?;
    let mut rows = statement.query(params![account, from.number()])?;
    while let Some(row) = rows.next()? {
        let (day, requests) = (Day::from_number(row.get(0)?), row.get(1)?);
        found = PerPeriod::of(|period| {
            let sum = *found.get(period);
            let is_within = period.first(day) == sum.day;
            if is_within { sum.plus(sum.day, requests) } else { sum }
        });
    }
    Ok(found)
}

/// The number of this change of usages; others know by it what is new.
pub(crate) fn next_revision(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(
        "UPDATE revisions SET number = number + 1 WHERE name = 'usage' RETURNING number",
    )?;
    statement.query_row([], |row| row.get(0))
}
