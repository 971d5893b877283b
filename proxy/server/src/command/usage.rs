//! `portcullis usage`: what API keys of usage plans have used.

use std::sync::Arc;

use portcullis_config::Plan;
use portcullis_limits::Day;

use super::Output;
use super::store::StoreArguments;
use portcullis_server::usage::{self, Usage};

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
                let plans = self.plans().unwrap_or_default();
                let usage = Usage::read(&database, &plans, id, (*from, *to))?;
                match self.store.output() {
                    Output::Text => usage.lines().iter().for_each(|line| println!("{line}")),
                    Output::Json => println!("{}", serde_json::to_string_pretty(&usage)?),
                }
            }
            Action::Reset { id } => {
                usage::reset(&mut database, &self.plans()?, id)?;
                self.store.done(&format!("reset {id}"));
            }
            Action::Extend { id, requests } => {
                usage::extend(&mut database, id, *requests)?;
                self.store.done(&format!("extended {id} by {requests}"));
            }
        }
        Ok(())
    }

    fn plans(&self) -> anyhow::Result<Vec<Arc<Plan>>> {
        let gateway = portcullis_config::load(self.store.config());
        Ok(gateway.map_err(|problems| anyhow::anyhow!("{problems}"))?.plans)
    }
}
