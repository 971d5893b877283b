//! The command line of the gateway.

mod command;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Once;

use clap::{Parser, Subcommand};
use portcullis_config::Diagnostics;
use portcullis_server::configuration::BuildError;
use portcullis_server::start::{self, Fallback, StartError};
use tracing_subscriber::EnvFilter;

use crate::command::{INTERNAL, Output, REFUSED};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pingora tells of clients' mistakes as of errors of its own; the access log and the
/// metrics tell of both better.
const LOGGED: &str = "info,pingora_core=off,pingora_proxy=off";

/// An API gateway you program in any language that compiles to WebAssembly.
#[derive(Parser)]
#[command(name = "portcullis", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves a configuration.
    Run {
        /// The configuration file.
        #[arg(long, default_value = "portcullis.toml")]
        config: PathBuf,
        /// Where it cannot serve, serves the last one that did, kept in the state directory.
        /// That directory is to be named where the configuration is too broken to name it.
        #[arg(long, value_name = "STATE", num_args = 0..=1, require_equals = true)]
        or_last_good: Option<Option<PathBuf>>,
    },
    /// Checks whether a configuration can serve.
    Check {
        /// The configuration file.
        #[arg(default_value = "portcullis.toml")]
        file: PathBuf,
        /// Prints an array of problems.
        #[arg(long)]
        json: bool,
    },
    /// Prints the JSON Schema of configurations.
    Schema,
    /// Lists the routes of a configuration.
    Routes {
        /// The configuration file.
        #[arg(default_value = "portcullis.toml")]
        file: PathBuf,
        /// Prints an array of routes.
        #[arg(long)]
        json: bool,
    },
    /// Tells which route a request takes, and what it meets there.
    Explain(command::explain::Explain),
    /// Makes, builds, tests and inspects plugins.
    #[command(subcommand)]
    Plugin(command::plugin::PluginCommand),
    /// Adds, lists and removes consumers: who has credentials.
    Consumer(command::consumer::ConsumerCommand),
    /// Adds, lists, rotates and ends API keys.
    Key(command::key::KeyCommand),
    /// Adds, lists, rotates and ends access keys, which clients sign with.
    AccessKey(command::key::AccessKeyCommand),
    /// Attaches policies to credentials and consumers.
    Policy(command::policy::PolicyCommand),
    /// Shows, resets and extends what API keys of usage plans have used.
    Usage(command::usage::UsageCommand),
    /// Prints the version.
    Version,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter =
        EnvFilter::try_from_env("PORTCULLIS_LOG").unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    tell_of_contained_panics_once();
    match arguments.command {
        Command::Run { config, or_last_good } => {
            run(&config, &or_last_good.map_or(Fallback::Refuse, Fallback::LastGood))
        }
        Command::Check { file, json } => command::check::run(&file, Output::of(json)),
        Command::Schema => schema(),
        Command::Routes { file, json } => command::routes::run(&file, Output::of(json)),
        Command::Explain(command) => command.run(),
        Command::Plugin(command) => command.run().unwrap_or_else(|error| refused(&error)),
        Command::Consumer(command) => done(command.run()),
        Command::Key(command) => done(command.run()),
        Command::AccessKey(command) => done(command.run()),
        Command::Policy(command) => done(command.run()),
        Command::Usage(command) => done(command.run()),
        Command::Version => {
            println!("portcullis {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

/// A panic that the gateway contains is a fault of a detector of attacks, which clients may
/// cause as often as they like.
fn tell_of_contained_panics_once() {
    static TOLD: Once = Once::new();
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !portcullis_pipeline::is_contained() {
            return tell(panic);
        }
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        TOLD.call_once(|| {
            tracing::error!(place, "looking for attacks failed; what it fails at counts as found");
        });
    }));
}

fn run(config: &Path, fallback: &Fallback) -> ExitCode {
    match start::run(config, fallback) {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Build(BuildError::Diagnosed(problems))) => {
            eprintln!("{problems}");
            ExitCode::from(REFUSED)
        }
        Err(error @ StartError::Unsaved { .. }) => {
            eprintln!("{error}");
            ExitCode::from(REFUSED)
        }
        Err(error @ (StartError::Engine(_) | StartError::Process(_))) => told(error, INTERNAL),
        Err(error) => told(error, REFUSED),
    }
}

fn told(error: StartError, code: u8) -> ExitCode {
    eprintln!("error: {:#}", anyhow::Error::new(error));
    ExitCode::from(code)
}

/// Tells why something was not done.
fn done(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refused(&error),
    }
}

/// Tells of an error; problems of a file say themselves that they are errors.
fn refused(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<Diagnostics>() {
        Some(problems) => eprintln!("{problems}"),
        None => eprintln!("error: {error:#}"),
    }
    ExitCode::from(REFUSED)
}

fn schema() -> ExitCode {
    match serde_json::to_string_pretty(&portcullis_config::schema()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(INTERNAL)
        }
    }
}
