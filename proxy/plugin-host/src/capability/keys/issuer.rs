//! The keys of an issuer that are fetched, and kept fresh in the background.
//!
//! A request meets them by one atomic load. Only one whose key is unknown waits for a
//! fetch, and only where none of late was made for such a one, so that tokens with
//! made-up key ids cost the issuer nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::fetch::{FetchProblem, Fetched};
use super::key_set::{KeySet, Signed};
use super::public_key::ID_BYTES;
use super::source::KeySource;
use crate::abi::imports::keys::KeyError;

/// Different key ids that wait for one fetch.
const AWAITED: usize = 8;

/// The keys of one issuer, as long as somebody uses them.
#[derive(Debug)]
pub(crate) struct FetchedKeys {
    shared: Arc<Issuer>,
    upkeep: AbortHandle,
}

/// What users of an issuer and its upkeep share.
#[derive(Debug)]
pub(super) struct Issuer {
    /// Where its keys are.
    pub(super) source: KeySource,
    known: ArcSwapOption<Known>,
    /// Grows when what was answered by the keys may be answered otherwise: a key is no longer
    /// trusted, or a new one is.
    generation: AtomicU64,
    refreshed: AtomicU64,
    failed: AtomicU64,
    /// Met only by requests whose key is unknown, and by the upkeep.
    asked: Mutex<Asked>,
    /// Wakes the upkeep.
    pub(super) wanted: Notify,
    /// Counts attempts that have ended.
    attempts: watch::Sender<u64>,
}

/// What was fetched last.
#[derive(Debug)]
struct Known {
    keys: KeySet,
    metadata: Option<String>,
    fetched: Instant,
}

/// Who has asked for a fetch.
#[derive(Debug, Default)]
struct Asked {
    /// When one was last begun because of a token.
    last: Option<Instant>,
    /// When the last one of all was begun.
    began: Option<Instant>,
    under_way: bool,
    awaited: Vec<String>,
}

/// What to do for a token whose key is unknown.
enum Step {
    /// Nothing more can be learned in time.
    GiveUp,
    /// Wait until a fetch has ended, whoever began it, or one may be begun.
    Await {
        /// Tells that one has ended.
        ended: watch::Receiver<u64>,
        /// When one may be begun, or the last moment.
        until: Instant,
    },
}

/// What became of an issuer's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerReading {
    /// The issuer's name.
    pub issuer: String,
    /// Keys that can be used now.
    pub keys: usize,
    /// Fetches that succeeded, and fetches that failed.
    pub refreshes: (u64, u64),
    /// Seconds since the keys were fetched; nothing while there are none.
    pub age_seconds: Option<u64>,
}

impl IssuerReading {
    /// Adds what is known of the same issuer from another source.
    pub(crate) fn add(&mut self, other: &Self) {
        self.keys += other.keys;
        self.refreshes.0 += other.refreshes.0;
        self.refreshes.1 += other.refreshes.1;
        self.age_seconds = self.age_seconds.max(other.age_seconds);
    }
}

impl Drop for FetchedKeys {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl FetchedKeys {
    /// Keys that this task keeps fresh.
    pub(super) fn new(shared: Arc<Issuer>, upkeep: AbortHandle) -> Self {
        Self { shared, upkeep }
    }

    /// Judges a signature with what is known now; nothing, where a fetch could change
    /// the answer.
    pub(super) fn verify_now(&self, signed: Signed<'_>) -> Option<Result<bool, KeyError>> {
        let known = self.shared.known.load();
        match known.as_ref()?.keys.verify(signed) {
            Err(KeyError::UnknownKey) => None,
            answer => Some(answer),
        }
    }

    /// Judges a signature, after a fetch if one may be made.
    pub(super) async fn verify_later(
        &self,
        signed: Signed<'_>,
        patience: Duration,
    ) -> Result<bool, KeyError> {
        let came = Instant::now();
        let deadline = came + patience;
        loop {
            match self.shared.step(signed.key_id.unwrap_or_default(), came, deadline) {
                Step::GiveUp => break,
                Step::Await { mut ended, until } => {
                    let ended = tokio::time::timeout_at(until.into(), ended.changed()).await;
                    if ended.is_err() && until >= deadline {
                        break;
                    }
                }
            }
            if let Some(answer) = self.verify_now(signed) {
                return answer;
            }
        }
        match self.shared.known.load().as_ref() {
            Some(known) => known.keys.verify(signed),
            None => Err(KeyError::Unavailable),
        }
    }

    /// The discovery document.
    pub(super) fn metadata(&self) -> Option<String> {
        self.shared.known.load().as_ref().and_then(|known| known.metadata.clone())
    }

    /// Grows when the keys change.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Waits for the first attempt to fetch to have ended.
    pub(super) async fn first_attempt(&self) {
        let mut attempts = self.shared.attempts.subscribe();
        // The sender is in `shared`.
        let _ended = attempts.wait_for(|attempts| *attempts > 0).await;
    }

    /// Reads the counters.
    pub(crate) fn reading(&self) -> IssuerReading {
        let known = self.shared.known.load();
        IssuerReading {
            issuer: self.shared.source.issuer.clone(),
            keys: known.as_ref().map_or(0, |known| known.keys.len()),
            refreshes: (
                self.shared.refreshed.load(Ordering::Relaxed),
                self.shared.failed.load(Ordering::Relaxed),
            ),
            age_seconds: known.as_ref().map(|known| known.fetched.elapsed().as_secs()),
        }
    }
}

impl Issuer {
    /// An issuer of whom nothing is known yet.
    pub(super) fn new(source: KeySource) -> Self {
        Self {
            source,
            known: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            asked: Mutex::default(),
            wanted: Notify::new(),
            attempts: watch::Sender::new(0),
        }
    }

    /// Has the keys fetched for a token whose key is unknown, unless one was begun since it
    /// came, or too many others wait already. One that was under way then may have been
    /// answered before the issuer had the key, so another follows it.
    fn step(&self, key_id: &str, came: Instant, deadline: Instant) -> Step {
        let mut asked = self.asked();
        if key_id.len() > ID_BYTES {
            return Step::GiveUp;
        }
        let mut until = deadline;
        if !asked.under_way {
            if asked.began.is_some_and(|began| began >= came) {
                return Step::GiveUp;
            }
            let now = Instant::now();
            let may_begin = asked.last.map_or(now, |last| last + self.source.times.min_refresh);
            if may_begin > deadline {
                return Step::GiveUp;
            }
            if may_begin > now {
                until = may_begin;
            } else {
                asked.last = Some(now);
                asked.begin();
                self.wanted.notify_one();
            }
        }
        if !asked.note(key_id) {
            return Step::GiveUp;
        }
        // While the lock is held, so that no end is missed and no earlier one seen.
        Step::Await { ended: self.attempts.subscribe(), until }
    }

    /// Notes that a fetch begins.
    pub(super) fn begin(&self) {
        let mut asked = self.asked();
        if !asked.under_way {
            asked.begin();
        }
    }

    /// Notes what a fetch brought, and wakes who waits for it.
    pub(super) fn end(&self, outcome: Result<Fetched, FetchProblem>) {
        match outcome {
            Ok(fetched) => self.learn(fetched),
            Err(problem) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let issuer = self.source.issuer.as_str();
                let stale = self.fetched().map(|fetched| fetched.elapsed().as_secs());
                match stale {
                    Some(age_seconds) => {
                        tracing::warn!(issuer, %problem, age_seconds, "the keys of an issuer cannot be fetched; the old ones go on being used");
                    }
                    None => {
                        tracing::warn!(issuer, %problem, "the keys of an issuer cannot be fetched; its tokens are refused");
                    }
                }
            }
        }
        let mut asked = self.asked();
        asked.under_way = false;
        asked.awaited.clear();
        self.attempts.send_modify(|attempts| *attempts += 1);
    }

    fn learn(&self, fetched: Fetched) {
        let issuer = self.source.issuer.as_str();
        let Fetched { keys, metadata, passed_over, .. } = fetched;
        if let Some(problem) = passed_over {
            tracing::warn!(issuer, %problem, "a key of an issuer cannot be used");
        }
        let before = self.known.load_full();
        let lost = before.as_ref().is_some_and(|before| before.keys.has_more_than(&keys));
        let new = before.as_ref().is_none_or(|before| keys.has_more_than(&before.keys));
        let count = keys.len();
        self.known.store(Some(Arc::new(Known { keys, metadata, fetched: Instant::now() })));
        self.refreshed.fetch_add(1, Ordering::Relaxed);
        if before.is_some() && (lost || new) {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        if lost || new {
            tracing::info!(issuer, keys = count, "the keys of an issuer are new");
        }
    }

    /// When the keys were fetched that are in use.
    pub(super) fn fetched(&self) -> Option<Instant> {
        self.known.load().as_ref().map(|known| known.fetched)
    }

    /// Ends the use of keys that are too old.
    pub(super) fn forget(&self) {
        if self.known.swap(None).is_some() {
            self.generation.fetch_add(1, Ordering::AcqRel);
            let issuer = self.source.issuer.as_str();
            tracing::error!(issuer, "the keys of an issuer are too old; its tokens are refused");
        }
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn begin(&mut self) {
        self.under_way = true;
        self.began = Some(Instant::now());
        self.awaited.clear();
    }

    /// Notes who waits; false where too many do.
    fn note(&mut self, key_id: &str) -> bool {
        if self.awaited.iter().any(|awaited| awaited == key_id) {
            return true;
        }
        let is_room = self.awaited.len() < AWAITED;
        if is_room {
            self.awaited.push(key_id.to_owned());
        }
        is_room
    }
}
