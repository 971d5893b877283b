//! `portcullis key` and `portcullis access-key`: what callers prove themselves with.

mod import;

use std::io::Read as _;
use std::time::Duration;

use portcullis_state::{Credential, Database, Kind, NewCredential, Page, Session, Status, now_ms};

use super::store::{self, StoreArguments};

/// Bytes that a key from standard input may have; an API key has at most 128.
const INPUT_BYTES: u64 = 256;

/// Adds, lists and ends API keys.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyCommand {
    #[command(flatten)]
    store: StoreArguments,
    #[command(subcommand)]
    action: KeyAction,
}

#[derive(Debug, clap::Subcommand)]
enum KeyAction {
    /// Adds an API key, and shows it this once.
    Add {
        #[command(flatten)]
        new: New,
        /// Its usage plan.
        #[arg(long)]
        plan: Option<String>,
        /// Takes a key of your own from standard input: 20 to 128 visible ASCII characters.
        #[arg(long)]
        value_from_stdin: bool,
    },
    /// Imports API keys from a file of comma-separated values, as AWS API Gateway takes them.
    Import(import::Arguments),
    /// Puts an API key into a usage plan.
    Plan {
        /// Its id.
        id: String,
        /// The plan's name in the configuration.
        #[arg(required_unless_present = "none", conflicts_with = "none")]
        plan: Option<String>,
        /// Takes it out of the plan that it has.
        #[arg(long)]
        none: bool,
    },
    #[command(flatten)]
    Other(Action),
}

/// Adds, lists and ends access keys, which clients sign with.
#[derive(Debug, clap::Args)]
pub(crate) struct AccessKeyCommand {
    #[command(flatten)]
    store: StoreArguments,
    #[command(subcommand)]
    action: AccessKeyAction,
}

#[derive(Debug, clap::Subcommand)]
enum AccessKeyAction {
    /// Adds an access key, and shows its secret this once.
    Add {
        #[command(flatten)]
        new: New,
        /// Makes a session token that must come with it, and shows it too.
        #[arg(long)]
        session_token: bool,
    },
    #[command(flatten)]
    Other(Action),
}

/// What is added.
#[derive(Debug, clap::Args)]
struct New {
    /// Whose it is.
    consumer: String,
    /// What you call it.
    #[arg(long)]
    name: Option<String>,
    /// What else is known of it, as `name=value`; twice the same name is a list.
    #[arg(long = "attribute", value_parser = store::attribute)]
    attributes: Vec<(String, String)>,
    /// How long it holds: `90d`, `12h`; always where absent.
    #[arg(long, value_parser = store::duration)]
    expires: Option<Duration>,
}

/// What can be done with one that is there.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists them, without their secrets.
    List {
        /// Those of this consumer only.
        #[arg(long)]
        consumer: Option<String>,
    },
    /// Ends it until it is enabled again.
    Disable {
        /// Its id.
        id: String,
    },
    /// Lets a disabled one hold again.
    Enable {
        /// Its id.
        id: String,
    },
    /// Makes another in its place, and shows that this once.
    Rotate {
        /// Its id.
        id: String,
        /// How long the old one goes on: `24h`; not at all where absent.
        #[arg(long, value_parser = store::duration)]
        grace: Option<Duration>,
    },
    /// Removes it, with its policies.
    Remove {
        /// Its id.
        id: String,
    },
}

impl KeyCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut database = self.store.open()?;
        match &self.action {
            KeyAction::Add { new, plan, value_from_stdin } => {
                let value = if *value_from_stdin { Some(from_stdin()?) } else { None };
                let value = value.as_ref().map(|value| value.as_str().trim_end());
                let described = NewCredential { plan: plan.clone(), ..new.described() };
                let issued = database.add_api_key(&new.consumer, described, value)?;
                self.store.issued(&issued)
            }
            KeyAction::Import(arguments) => arguments.run(&self.store, &mut database),
            KeyAction::Plan { id, plan, none: _ } => {
                database.set_plan(Kind::ApiKey, id, plan.as_deref())?;
                self.store.done(&match plan {
                    Some(plan) => format!("{id} has plan {plan}"),
                    None => format!("{id} has no plan"),
                });
                Ok(())
            }
            KeyAction::Other(action) => action.run(Kind::ApiKey, &self.store, &mut database),
        }
    }
}

impl AccessKeyCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut database = self.store.open()?;
        match &self.action {
            AccessKeyAction::Add { new, session_token } => {
                let session = if *session_token { Session::Token } else { Session::None };
                let issued = database.add_access_key(&new.consumer, new.described(), session)?;
                self.store.issued(&issued)
            }
            AccessKeyAction::Other(action) => {
                action.run(Kind::AccessKey, &self.store, &mut database)
            }
        }
    }
}

impl New {
    fn described(&self) -> NewCredential {
        NewCredential {
            name: self.name.clone(),
            attributes: store::attributes(&self.attributes),
            expires_at: portcullis_state::expiry(self.expires),
            plan: None,
        }
    }
}

impl Action {
    fn run(
        &self,
        kind: Kind,
        store: &StoreArguments,
        database: &mut Database,
    ) -> anyhow::Result<()> {
        match self {
            Self::List { consumer } => {
                let page = |page: Page<'_>| database.credentials(kind, consumer.as_deref(), page);
                return store.list(&store::every(page, |one| &one.id)?, line);
            }
            Self::Rotate { id, grace } => {
                let grace = portcullis_state::milliseconds(grace.unwrap_or_default());
                return store.issued(&database.rotate(kind, id, grace)?);
            }
            Self::Disable { id } => {
                database.set_status(kind, id, Status::Disabled)?;
                store.done(&format!("disabled {id}"));
            }
            Self::Enable { id } => {
                database.set_status(kind, id, Status::Enabled)?;
                store.done(&format!("enabled {id}"));
            }
            Self::Remove { id } => {
                database.remove_credential(kind, id)?;
                store.done(&format!("removed {id}"));
            }
        }
        Ok(())
    }
}

/// A key of the operator's own, which no list of processes and no history shows.
fn from_stdin() -> anyhow::Result<zeroize::Zeroizing<String>> {
    let mut text = zeroize::Zeroizing::new(String::new());
    std::io::stdin().take(INPUT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn line(credential: &Credential) -> String {
    let state = match (credential.status, credential.expires_at) {
        (Status::Disabled, _) => "disabled",
        (Status::Enabled, Some(at)) if at <= now_ms() => "expired",
        (Status::Enabled, Some(_)) => "expires",
        (Status::Enabled, None) => "enabled",
    };
    let name = credential.name.as_deref().unwrap_or("-");
    let plan = credential.plan.as_deref().unwrap_or("-");
    format!("{}  {}  {state}  {name}  {plan}", credential.id, credential.consumer)
}
