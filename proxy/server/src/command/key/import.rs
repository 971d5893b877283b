//! `portcullis key import`: API keys from a file of comma-separated values.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use portcullis_state::{
    Database, Effect, Existing, Import, Imported, LineProblem, MOST_FILE_BYTES, StateError,
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::command::Output;
use crate::command::store::StoreArguments;

/// What is imported, and how. All keys of the file, or none.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Arguments {
    /// The file, `-` for standard input. Its first line names the columns: `name` and `key`,
    /// and if need be `description`, `enabled`, `usageplanIds`, `consumer`, `attribute:NAME`.
    file: PathBuf,
    /// Whose the keys are that have no `consumer`; each its own name's where absent.
    /// Consumers that are not there are added.
    #[arg(long)]
    consumer: Option<String>,
    /// Gives keys that are there already what the file says of them, in the place of refusing
    /// the file.
    #[arg(long)]
    replace: bool,
    /// Tells what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub(super) fn run(
        &self,
        store: &StoreArguments,
        database: &mut Database,
    ) -> anyhow::Result<()> {
        let text = read(&self.file).with_context(|| self.file.display().to_string())?;
        let import = Import {
            consumer: self.consumer.as_deref(),
            existing: if self.replace { Existing::Replace } else { Existing::Refuse },
            effect: if self.dry_run { Effect::DryRun } else { Effect::Kept },
        };
        match database.import_api_keys(&text, import) {
            Ok(imported) => {
                self.tell(&imported, store.output());
                Ok(())
            }
            Err(StateError::File(problems)) => {
                self.complain(&problems, store.output());
                Err(StateError::File(problems).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn tell(&self, imported: &Imported, output: Output) {
        if output == Output::Json {
            println!("{}", json!({ "dry_run": self.dry_run, "imported": imported }));
            return;
        }
        let Imported { added, replaced, consumers } = imported;
        let would = if self.dry_run { "would be " } else { "" };
        println!("keys {would}added      {added}");
        println!("keys {would}replaced   {replaced}");
        println!("consumers {would}added {}", consumers.len());
        for consumer in consumers {
            println!("  {consumer}");
        }
    }

    fn complain(&self, problems: &[LineProblem], output: Output) {
        if output == Output::Json {
            println!("{}", json!({ "problems": problems }));
            return;
        }
        for LineProblem { line, problem } in problems {
            eprintln!("{}:{line}: {problem}", self.file.display());
        }
    }
}

/// Reads the file; a byte more than it may have tells that it is too long.
fn read(file: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let most = u64::try_from(MOST_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Zeroizing::new(Vec::new());
    let from: &mut dyn Read =
        if file == Path::new("-") { &mut std::io::stdin() } else { &mut File::open(file)? };
    from.take(most).read_to_end(&mut text)?;
    Ok(text)
}
