//! `portcullis consumer`: who has credentials.

use portcullis_state::Consumer;

use super::store::{self, StoreArguments};

/// Adds, lists and removes consumers.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsumerCommand {
    #[command(flatten)]
    store: StoreArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Adds a consumer.
    Add {
        /// Its name, the principal of its requests.
        name: String,
        /// What else is known of it, as `name=value`; twice the same name is a list.
        #[arg(long = "attribute", value_parser = store::attribute)]
        attributes: Vec<(String, String)>,
    },
    /// Lists consumers.
    List,
    /// Removes a consumer, with its credentials and policies.
    Remove {
        /// Its name.
        name: String,
    },
}

impl ConsumerCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut database = self.store.open()?;
        match &self.action {
            Action::Add { name, attributes } => {
                database.add_consumer(name, &store::attributes(attributes))?;
                self.store.done(&format!("added {name}"));
                Ok(())
            }
            Action::List => {
                let all = store::every(|page| database.consumers(page), |one| &one.name)?;
                self.store.list(&all, line)
            }
            Action::Remove { name } => {
                database.remove_consumer(name)?;
                self.store.done(&format!("removed {name}"));
                Ok(())
            }
        }
    }
}

fn line(consumer: &Consumer) -> String {
    let attributes = serde_json::to_string(&consumer.attributes).unwrap_or_default();
    format!("{}  {attributes}", consumer.name)
}
