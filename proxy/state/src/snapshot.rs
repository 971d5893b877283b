//! Everything that can be found, in memory and immutable.
//!
//! A million API keys without attributes of their own take about 200 MiB.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use portcullis_policy::Policy;
use rusqlite::{Connection, TransactionBehavior};
use zeroize::Zeroizing;

use crate::database::{attributes_at, kind_at, unsigned};
use crate::error::StateError;
use crate::ledger::{Ledger, Subscriber};
use crate::model::{Attribute, Attributes, Kind};
use crate::vault::{Digest, Vault};

/// All credentials as they were at one moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// Which of them this is, counted from 1.
    pub(crate) version: u64,
    entries: Vec<Entry>,
    by_digest: HashMap<Digest, u32>,
    by_id: HashMap<Arc<str>, u32>,
    /// Entries that have a plan and are not subscribed yet.
    planned: Vec<Planned>,
}

struct Planned {
    entry: u32,
    plan: Arc<str>,
    account: Arc<str>,
}

struct Entry {
    id: Arc<str>,
    kind: Kind,
    owner: Arc<Owner>,
    attributes: Option<Box<Attributes>>,
    enabled: bool,
    expires_at: Option<u64>,
    session_digest: Option<Box<Digest>>,
    secret: Option<Zeroizing<Box<[u8]>>>,
    policy: Option<Arc<Policy>>,
    subscriber: Option<Arc<Subscriber>>,
}

/// A consumer, shared by its credentials.
struct Owner {
    name: String,
    attributes: Attributes,
    documents: Vec<String>,
    policy: Option<Arc<Policy>>,
}

/// A credential that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its public id.
    pub id: String,
    /// Whose it is.
    pub consumer: String,
    /// What is known of the consumer, and of the credential where both say something of
    /// the same name.
    pub attributes: Attributes,
    /// The SHA-256 of the session token that must come with it.
    pub session_digest: Option<[u8; 32]>,
    /// When it stops to hold, in milliseconds since 1970.
    pub expires_at: Option<u64>,
}

/// Why nobody's requests can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsubscribed {
    /// There is no such key, or it does not hold.
    UnknownKey,
    /// The key has no plan.
    NoPlan,
}

impl Snapshot {
    /// Reads everything, as it is at one moment.
    pub(crate) fn read(
        connection: &mut Connection,
        vault: &Vault,
        version: u64,
    ) -> rusqlite::Result<Self> {
        let moment = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let mut policies = Documents::read(&moment)?;
        let owners = owners(&moment, &mut policies)?;
        let mut snapshot = Self { version, ..Self::default() };
        let mut statement = moment.prepare(
            "SELECT id, kind, consumer, digest, sealed, session_digest, attributes, enabled,
                 expires_at, plan, account
             FROM credentials",
        )?;
        let mut rows = statement.query([])?;
        let mut plans = HashMap::new();
        while let Some(row) = rows.next()? {
            let id: Arc<str> = row.get_ref(0)?.as_str()?.into();
            // A foreign key sees to it that the consumer is there.
            let Some(owner) = owners.get(row.get_ref(2)?.as_str()?) else { continue };
            let secret = match row.get_ref(4)?.as_blob_or_null()? {
                None => None,
                Some(sealed) => match vault.open_sealed(&id, sealed) {
                    Some(secret) => Some(secret),
                    None => {
                        tracing::error!(
                            id = &*id,
                            "the secret of this access key was changed in the database; the key is refused"
                        );
                        continue;
                    }
                },
            };
            let attributes = attributes_at(row, 6)?;
            let own = policies.of_credentials.remove(&*id);
            snapshot.plan(
                row.get_ref(9)?.as_str_or_null()?,
                row.get_ref(10)?.as_str()?,
                &mut plans,
            );
            snapshot.add(
                Entry {
                    policy: own.and_then(|own| together(&id, own.iter().chain(&owner.documents))),
                    id,
                    kind: kind_at(row, 1)?,
                    owner: Arc::clone(owner),
                    attributes: (!attributes.is_empty()).then(|| Box::new(attributes)),
                    enabled: row.get(7)?,
                    expires_at: row.get::<_, Option<i64>>(8)?.map(unsigned),
                    session_digest: row.get::<_, Option<Digest>>(5)?.map(Box::new),
                    secret,
                    subscriber: None,
                },
                row.get(3)?,
            );
        }
        Ok(snapshot)
    }

    fn add(&mut self, entry: Entry, digest: Option<Digest>) {
        // More than memory has room for.
        let Ok(index) = u32::try_from(self.entries.len()) else { return };
        self.by_id.insert(Arc::clone(&entry.id), index);
        if let Some(digest) = digest {
            self.by_digest.insert(digest, index);
        }
        self.entries.push(entry);
    }

    /// Takes note of the plan of the entry that is added next.
    fn plan(&mut self, plan: Option<&str>, account: &str, plans: &mut HashMap<String, Arc<str>>) {
        let (Some(plan), Ok(entry)) = (plan, u32::try_from(self.entries.len())) else { return };
        let plan = plans.entry(plan.to_owned()).or_insert_with(|| plan.into());
        self.planned.push(Planned { entry, plan: Arc::clone(plan), account: account.into() });
    }

    /// Gives those that have a plan their meters.
    pub(crate) fn subscribe(&mut self, ledger: &Ledger) -> Result<(), StateError> {
        let planned = std::mem::take(&mut self.planned);
        let meters = ledger.meters(planned.iter().map(|one| Arc::clone(&one.account)))?;
        for Planned { entry, plan, account } in planned {
            let index = usize::try_from(entry).ok();
            let entry = index.and_then(|index| self.entries.get_mut(index));
            if let (Some(entry), Some(meter)) = (entry, meters.get(&account)) {
                let subscriber = Subscriber::new(plan, account, Arc::clone(meter));
                entry.subscriber = Some(Arc::new(subscriber));
            }
        }
        Ok(())
    }

    /// How many credentials there are, usable or not.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The API key with this digest, if it holds at this time.
    pub(crate) fn find(&self, digest: &Digest, time_ms: u64) -> Option<Known> {
        self.holding(*self.by_digest.get(digest)?, time_ms).map(Entry::known)
    }

    /// The credential of this kind and id, if it holds at this time.
    pub(crate) fn get(&self, kind: Kind, id: &str, time_ms: u64) -> Option<Known> {
        let entry = self.holding(*self.by_id.get(id)?, time_ms)?;
        (entry.kind == kind).then(|| entry.known())
    }

    /// The secret of an access key that holds at this time.
    pub(crate) fn secret(&self, id: &str, time_ms: u64) -> Option<&[u8]> {
        let entry = self.holding(*self.by_id.get(id)?, time_ms)?;
        entry.secret.as_ref().map(|secret| &***secret)
    }

    /// Who the requests of a credential are counted for, if it holds at this time.
    pub(crate) fn subscriber(
        &self,
        found: Option<u32>,
        time_ms: u64,
    ) -> Result<Arc<Subscriber>, Unsubscribed> {
        let entry = found.and_then(|index| self.holding(index, time_ms));
        let entry = entry.ok_or(Unsubscribed::UnknownKey)?;
        entry.subscriber.clone().ok_or(Unsubscribed::NoPlan)
    }

    /// Where the credential of this id is.
    pub(crate) fn place(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Where the API key with this digest is.
    pub(crate) fn place_of(&self, digest: &Digest) -> Option<u32> {
        self.by_digest.get(digest).copied()
    }

    /// The policies of a credential and of its consumer, as one.
    pub(crate) fn attached(&self, id: &str) -> Option<&Arc<Policy>> {
        let index = usize::try_from(*self.by_id.get(id)?).ok()?;
        let entry = self.entries.get(index)?;
        entry.policy.as_ref().or(entry.owner.policy.as_ref())
    }

    fn holding(&self, index: u32, time_ms: u64) -> Option<&Entry> {
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        let holds = entry.enabled && entry.expires_at.is_none_or(|at| time_ms < at);
        holds.then_some(entry)
    }
}

impl Entry {
    fn known(&self) -> Known {
        let mut attributes = self.owner.attributes.clone();
        for (name, value) in self.attributes.iter().flat_map(|own| own.iter()) {
            attributes.insert(name.clone(), Attribute::clone(value));
        }
        Known {
            id: self.id.to_string(),
            consumer: self.owner.name.clone(),
            attributes,
            session_digest: self.session_digest.as_deref().copied(),
            expires_at: self.expires_at,
        }
    }
}

/// Policy documents by what they are attached to.
#[derive(Default)]
struct Documents {
    of_credentials: HashMap<String, Vec<String>>,
    of_consumers: HashMap<String, Vec<String>>,
}

impl Documents {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut documents = Self::default();
        let mut statement =
            connection.prepare("SELECT credential, consumer, document FROM policies")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let document = row.get(2)?;
            let (of, name) = match row.get::<_, Option<String>>(0)? {
                Some(id) => (&mut documents.of_credentials, id),
                None => (&mut documents.of_consumers, row.get(1)?),
            };
            of.entry(name).or_default().push(document);
        }
        Ok(documents)
    }
}

fn owners(
    connection: &Connection,
    policies: &mut Documents,
) -> rusqlite::Result<BTreeMap<String, Arc<Owner>>> {
    let mut owners = BTreeMap::new();
    let mut statement = connection.prepare("SELECT name, attributes FROM consumers")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let documents = policies.of_consumers.remove(&name).unwrap_or_default();
        let policy = together(&name, documents.iter());
        let attributes = attributes_at(row, 1)?;
        let owner = Owner { name: name.clone(), attributes, documents, policy };
        owners.insert(name, Arc::new(owner));
    }
    Ok(owners)
}

/// Several documents as one policy, so that an explicit deny of one overrules an allow of
/// another; each keeps its own version of the language. `None` where there is none. Where
/// one cannot be read, a deny of it may be lost, so nothing is allowed.
fn together<'a>(of: &str, documents: impl Iterator<Item = &'a String>) -> Option<Arc<Policy>> {
    let parsed: Result<Vec<Policy>, _> = documents.map(|text| Policy::parse(text)).collect();
    match parsed {
        Ok(policies) if policies.is_empty() => None,
        Ok(policies) => Some(Arc::new(Policy::together(&policies))),
        Err(problem) => {
            tracing::error!(of, %problem, "what is attached is no policy; all is denied");
            Some(Arc::new(Policy::deny_all()))
        }
    }
}
