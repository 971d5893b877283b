//! Measures the gateway: beside others in one run, and part by part.
//!
//! ```text
//! wrk ─▶ nginx | bare Pingora | Envoy | Portcullis ─▶ nginx   proxy, jwt, rate-limit, shared-limits, faults
//! this process ─▶ Portcullis ─▶ nginx                         memory, start
//! this process ─▶ RouteTable | Limiter | PluginHost           routes, limits, plugin, jwt, sigv4, schema
//! ```
//!
//! Prints tables in Markdown; `README.md` says how to read them. Knows the gateway's
//! command line, configuration and metrics; knows its crates only to time them.

mod asked;
mod client;
mod envoy;
mod gateway;
mod meter;
mod nginx;
mod process;
mod redis;
mod side_by_side;
mod site;
mod table;
mod token;
mod wrk;

mod faults;
mod jwt;
mod limits;
mod memory;
mod plugin;
mod proxy;
mod rate_limit;
mod routes;
mod schema;
mod shared_limits;
mod sigv4;
mod start;

use std::process::ExitCode;

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

// As in the gateway: plugins are timed with the allocator they have there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures, and prints what it found.
type Measurement = fn(Effort) -> Result<()>;

/// The measurements, in the order a whole run takes them.
const MEASUREMENTS: [(&str, Measurement); 12] = [
    ("proxy", proxy::measure),
    ("routes", routes::measure),
    ("limits", limits::measure),
    ("rate-limit", rate_limit::measure),
    ("shared-limits", shared_limits::measure),
    ("plugin", plugin::measure),
    ("jwt", jwt::measure),
    ("sigv4", sigv4::measure),
    ("schema", schema::measure),
    ("start", start::measure),
    ("memory", memory::measure),
    ("faults", faults::measure),
];

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// How often each thing is measured; the median counts.
    rounds: usize,
    /// Seconds of each round under load.
    seconds: u64,
}

/// Enough for medians that hold.
const USUAL: Effort = Effort { rounds: 5, seconds: 3 };
/// Enough to see that everything runs.
const QUICK: Effort = Effort { rounds: 1, seconds: 1 };

fn main() -> ExitCode {
    let (options, mut names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let known = |name: &str| MEASUREMENTS.iter().any(|(other, _)| *other == name);
    let effort = match options.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => USUAL,
        ["--quick"] => QUICK,
        _ => return usage(),
    };
    if !names.iter().all(|name| known(name)) {
        return usage();
    }
    if names.is_empty() {
        names.extend(MEASUREMENTS.iter().map(|(name, _)| (*name).to_owned()));
    }
    allow_many_files();
    let mut code = ExitCode::SUCCESS;
    for (name, measure) in MEASUREMENTS {
        if !names.iter().any(|chosen| chosen == name) {
            continue;
        }
        println!("## {name}\n");
        let started = std::time::Instant::now();
        match measure(effort) {
            Ok(()) => eprintln!("{name}: {:.0} s", started.elapsed().as_secs_f64()),
            Err(problem) => {
                eprintln!("error: {name}: {problem:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn usage() -> ExitCode {
    let names: Vec<&str> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
    eprintln!("usage: portcullis-benches [--quick] [{}]...", names.join(" | "));
    ExitCode::from(2)
}

/// Lets this process and its children have as many connections as the machine allows.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(problem) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the limit on open files stays {:?}: {problem}", limit.current);
    }
}
