//! Every issuer whose keys are fetched: shared by all uses of equal sources, carried
//! over reloads, gone with the last of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::fetch::{FetchProblem, Fetcher};
use super::issuer::{FetchedKeys, Issuer};
use super::source::KeySource;
use super::upkeep;

/// How long a configuration waits for the first keys before it serves without them.
const FIRST_KEYS: Duration = Duration::from_secs(2);

/// Every issuer whose keys are fetched.
#[derive(Debug, Default)]
pub(crate) struct Issuers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Fetches in a thread of its own, which there is when there is an issuer.
    background: Option<Background>,
    known: HashMap<KeySource, Weak<FetchedKeys>>,
}

#[derive(Debug)]
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        // Also where the last user is a task of another runtime, which may not block.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Why an issuer's keys will not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerProblem {
    /// The source cannot be asked.
    #[error(transparent)]
    Source(#[from] FetchProblem),
    /// There is no thread to fetch in.
    #[error("no thread can be started to fetch it in: {0}")]
    Thread(#[from] std::io::Error),
}

impl Issuers {
    /// The keys of a source, which begin to be fetched unless they are already. Blocks;
    /// for loading.
    pub(crate) fn open(&self, source: &KeySource) -> Result<Arc<FetchedKeys>, IssuerProblem> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.known.get(source).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let fetcher = Fetcher::new(source.clone())?;
        let background = match inner.background.take() {
            Some(background) => background,
            None => Background::start()?,
        };
        let issuer = Arc::new(Issuer::new(source.clone()));
        let task = background
            .0
            .as_ref()
            .map(|runtime| runtime.spawn(upkeep::run(Arc::clone(&issuer), fetcher)).abort_handle());
        inner.background = Some(background);
        let task = task.ok_or_else(|| std::io::Error::other("it is stopping"))?;
        let keys = Arc::new(FetchedKeys::new(issuer, task));
        inner.known.retain(|_, known| known.strong_count() > 0);
        inner.known.insert(source.clone(), Arc::downgrade(&keys));
        Ok(keys)
    }
}

impl Background {
    fn start() -> Result<Self, std::io::Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("issuers")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }
}

/// Waits a little for the first keys of these, so that the first requests find them.
pub(crate) async fn first_keys(issuers: &[Arc<FetchedKeys>]) {
    let all = async {
        for issuer in issuers {
            issuer.first_attempt().await;
        }
    };
    // Whoever is too slow is waited for by nobody.
    let _late = tokio::time::timeout(FIRST_KEYS, all).await;
}
