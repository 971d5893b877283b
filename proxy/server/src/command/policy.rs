//! `portcullis policy`: what credentials are for.

use std::path::PathBuf;

use anyhow::Context as _;
use portcullis_state::PolicyTarget;

use super::store::StoreArguments;

/// Attaches, detaches and lists policies.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyCommand {
    #[command(flatten)]
    store: StoreArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Attaches a policy; one of the same name is replaced.
    Attach {
        #[command(flatten)]
        target: Target,
        /// Its name.
        name: String,
        /// The file of the document.
        file: PathBuf,
    },
    /// Detaches a policy.
    Detach {
        #[command(flatten)]
        target: Target,
        /// Its name.
        name: String,
    },
    /// Lists what is attached.
    List {
        #[command(flatten)]
        target: Target,
    },
}

/// What policies are attached to.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The credential with this id.
    #[arg(long)]
    credential: Option<String>,
    /// Every credential of this consumer.
    #[arg(long)]
    consumer: Option<String>,
}

impl PolicyCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut database = self.store.open()?;
        match &self.action {
            Action::Attach { target, name, file } => {
                let document =
                    std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
                database.attach_policy(&target.named()?, name, &document)?;
                self.store.done(&format!("attached {name}"));
            }
            Action::Detach { target, name } => {
                database.detach_policy(&target.named()?, name)?;
                self.store.done(&format!("detached {name}"));
            }
            Action::List { target } => {
                let attached = database.policies(&target.named()?)?;
                self.store.list(&attached, |policy| policy.name.clone())?;
            }
        }
        Ok(())
    }
}

impl Target {
    fn named(&self) -> anyhow::Result<PolicyTarget> {
        match (&self.credential, &self.consumer) {
            (Some(id), _) => Ok(PolicyTarget::Credential(id.clone())),
            (None, Some(name)) => Ok(PolicyTarget::Consumer(name.clone())),
            (None, None) => anyhow::bail!("name a `--credential` or a `--consumer`"),
        }
    }
}
