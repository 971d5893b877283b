//! `portcullis usage`: what API keys of usage plans have used.

use std::sync::Arc;

use portcullis_config::{Plan, SharedLimits};
use portcullis_limits::Day;
use portcullis_state::{Database, check_forgiven};

use super::Output;
use super::store::StoreArguments;
use portcullis_server::usage::{self, Forgiven, OwnUsage};

/// Shows, resets and extends what API keys have used.
#[derive(Debug, clap::Args)]
pub(crate) struct UsageCommand {
    #[command(flatten)]
    store: StoreArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Shows the requests of an API key by day, and what remains of its quota.
    Show {
        /// The key's id.
        id: String,
        /// The first day, as `2026-11-01`; the first of this month where absent.
        #[arg(long)]
        from: Option<Day>,
        /// The last day; today where absent.
        #[arg(long)]
        to: Option<Day>,
    },
    /// Makes the quota of the present period whole again.
    Reset {
        /// The key's id.
        id: String,
    },
    /// Adds requests to what remains of the quota of the present period.
    Extend {
        /// The key's id.
        id: String,
        /// How many.
        requests: u64,
    },
}

impl UsageCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut database = self.store.open()?;
        match &self.action {
            Action::Show { id, from, to } => {
                // A broken configuration still has usage; what remains is left out.
                let (plans, shared) = self.plans().unwrap_or_default();
                let own = OwnUsage::read(&database, &plans, id, (*from, *to))?;
                let usage = waited_for(own.with_others(shared.as_ref()))??;
                match self.store.output() {
                    Output::Text => usage.lines().iter().for_each(|line| println!("{line}")),
                    Output::Json => println!("{}", serde_json::to_string_pretty(&usage)?),
                }
            }
            Action::Reset { id } => {
                self.forgive_in_common(&database, id, Forgiven::All)?;
                usage::reset(&mut database, &self.plans()?.0, id)?;
                self.store.done(&format!("reset {id}"));
            }
            Action::Extend { id, requests } => {
                check_forgiven(*requests)?;
                self.forgive_in_common(&database, id, Forgiven::Some(*requests))?;
                usage::extend(&mut database, id, *requests)?;
                self.store.done(&format!("extended {id} by {requests}"));
            }
        }
        Ok(())
    }

    /// A quota that gateways share is changed there first: where that cannot be, nothing is.
    fn forgive_in_common(
        &self,
        database: &Database,
        id: &str,
        forgiven: Forgiven,
    ) -> anyhow::Result<()> {
        // A broken configuration says nothing of shared quotas; whoever needs it complains.
        let (plans, shared) = self.plans()?;
        let own = OwnUsage::read(database, &plans, id, (None, None))?;
        Ok(waited_for(own.forgive_in_common(shared.as_ref(), forgiven))??)
    }

    fn plans(&self) -> anyhow::Result<(Vec<Arc<Plan>>, Option<SharedLimits>)> {
        let gateway = portcullis_config::load(self.store.config())?;
        Ok((gateway.plans, gateway.shared_limits))
    }
}

/// What something comes to that takes its time.
fn waited_for<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}
