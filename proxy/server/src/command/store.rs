//! The store of credentials, as commands reach it: through the `state` directory that a
//! configuration names. A gateway that runs notices what they change.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use portcullis_state::{Attribute, Attributes, Database, Issued};
use serde::Serialize;

use super::Output;

/// Entries that one look into the database takes.
const PAGE: u32 = 1_000;

/// Where the store is, and how to tell of it.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArguments {
    /// The configuration file, whose key `state` names the directory of the store.
    #[arg(long, default_value = "portcullis.toml", global = true)]
    config: PathBuf,
    /// Prints JSON.
    #[arg(long, global = true)]
    json: bool,
}

impl StoreArguments {
    /// Opens the database; makes it where there is none.
    pub(crate) fn open(&self) -> anyhow::Result<Database> {
        let directory = portcullis_config::state_directory(&self.config)?;
        let directory = directory.with_context(|| {
            format!(
                "`{}` has no key `state`: set it to the directory that is to keep credentials",
                self.config.display()
            )
        })?;
        Ok(Database::open(&directory)?)
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> &std::path::Path {
        &self.config
    }

    pub(crate) fn output(&self) -> Output {
        Output::of(self.json)
    }

    /// Tells that something is done.
    pub(crate) fn done(&self, what: &str) {
        match self.output() {
            Output::Text => println!("{what}"),
            Output::Json => println!("{{}}"),
        }
    }

    /// Shows entries: a line each, or an array.
    pub(crate) fn list<T: Serialize>(
        &self,
        entries: &[T],
        line: impl Fn(&T) -> String,
    ) -> anyhow::Result<()> {
        match self.output() {
            Output::Text => entries.iter().for_each(|entry| println!("{}", line(entry))),
            Output::Json => println!("{}", serde_json::to_string_pretty(entries)?),
        }
        Ok(())
    }

    /// Shows what was issued: the only time that its secret is seen.
    pub(crate) fn issued(&self, issued: &Issued) -> anyhow::Result<()> {
        let shown = issued.shown();
        match self.output() {
            Output::Json => println!("{}", serde_json::to_string_pretty(&shown)?),
            Output::Text => {
                for name in ["id", "key", "secret", "session_token"] {
                    if let Some(value) = shown.get(name).and_then(serde_json::Value::as_str) {
                        println!("{name:13} {value}");
                    }
                }
                eprintln!("this is the only time that it is shown");
            }
        }
        Ok(())
    }
}

/// Reads every page of a list.
pub(crate) fn every<T>(
    mut page: impl FnMut(portcullis_state::Page<'_>) -> Result<Vec<T>, portcullis_state::StateError>,
    name: impl Fn(&T) -> &str,
) -> anyhow::Result<Vec<T>> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let after = all.last().map(&name).unwrap_or_default().to_owned();
        let read = page(portcullis_state::Page { after: &after, limit: PAGE })?;
        let is_last = read.len() < PAGE as usize;
        all.extend(read);
        if is_last {
            return Ok(all);
        }
    }
}

/// `name=value` as the command line has it.
pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as `name=value`")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Texts by name; a name that comes several times is a list.
pub(crate) fn attributes(pairs: &[(String, String)]) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, value) in pairs {
        let together = match attributes.remove(name) {
            None => Attribute::Text(value.clone()),
            Some(Attribute::Texts(mut texts)) => {
                texts.push(value.clone());
                Attribute::Texts(texts)
            }
            Some(Attribute::Text(first)) => Attribute::Texts(vec![first, value.clone()]),
            Some(other) => other,
        };
        attributes.insert(name.clone(), together);
    }
    attributes
}

/// A duration as configurations write it.
pub(crate) fn duration(text: &str) -> Result<Duration, portcullis_config::DurationProblem> {
    portcullis_config::parse_duration(text)
}
