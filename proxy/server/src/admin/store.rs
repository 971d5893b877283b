//! The state, for requests of operators: changed beside the threads that serve, and known to
//! them at once.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_state::{CredentialStore, Database, StateError};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::problem::Problem;

/// The state, if there is a place for it.
#[derive(Clone)]
pub(super) struct Store(Option<Arc<Open>>);

struct Open {
    directory: PathBuf,
    credentials: Arc<CredentialStore>,
    /// Who has it works: the others wait without a thread.
    turn: Arc<Mutex<()>>,
}

impl Store {
    /// The state of a directory, and what serves of it.
    pub(super) fn new(state: Option<(PathBuf, Arc<CredentialStore>)>) -> Self {
        Self(state.map(|(directory, credentials)| {
            Arc::new(Open { directory, credentials, turn: Arc::default() })
        }))
    }

    /// Reads in the database.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(move |open| work(&Database::open(&open.directory)?)).await
    }

    /// Reads in the database what has been used until now.
    pub(super) async fn read_usage<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(move |open| {
            open.credentials.write_usage();
            work(&Database::open(&open.directory)?)
        })
        .await
    }

    /// Changes what counts as used; what serves knows it when this returns.
    pub(super) async fn change_usage(
        &self,
        what: &'static str,
        name: String,
        work: impl FnOnce(&mut Database, &str) -> Result<(), StateError> + Send + 'static,
    ) -> Result<(), Problem> {
        self.run(move |open| {
            open.credentials.write_usage();
            work(&mut Database::open(&open.directory)?, &name)?;
            open.credentials.write_usage();
            tracing::info!(name, "{what}");
            Ok(())
        })
        .await
    }

    /// Changes the database. What serves has changed when this returns, and the log says
    /// what was done to what: the name goes to the work too.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        what: &'static str,
        name: String,
        work: impl FnOnce(&mut Database, &str) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(move |open| {
            let done = work(&mut Database::open(&open.directory)?, &name)?;
            open.credentials.refresh();
            tracing::info!(name, "{what}");
            Ok(done)
        })
        .await
    }

    /// Works on a thread that may block. Goes on to the end where the client does not wait.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Open) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Problem> {
        let open = Arc::clone(self.0.as_ref().ok_or(Problem::NoState)?);
        let turn = Arc::clone(&open.turn).lock_owned().await;
        let done = spawn_blocking(move || {
            let done = work(&open);
            drop(turn);
            done
        });
        Ok(done.await.map_err(|_| Problem::Broken)??)
    }
}
