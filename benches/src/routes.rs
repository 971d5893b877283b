//! What finding a route costs as routes become many.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use portcullis_pipeline::{CanonicalPath, RouteTable};

use crate::Effort;
use crate::meter::{median, thread_cpu};
use crate::table::Table;

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];
/// Lookups of each kind in a round.
const LOOKUPS: usize = 100_000;
/// Different paths of each kind: too many for the nearest caches, as real paths are.
const PATHS: usize = 4_096;

/// What a lookup finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Literal,
    Parameter,
    Greedy,
    Miss,
}

const KINDS: [Kind; 4] = [Kind::Literal, Kind::Parameter, Kind::Greedy, Kind::Miss];

impl Kind {
    /// A route of the service with this number, or of none.
    fn path(self, service: usize) -> String {
        match self {
            Self::Literal => format!("/service-{service}/orders"),
            Self::Parameter => format!("/service-{service}/orders/4711"),
            Self::Greedy => format!("/service-{service}/files/2026/08/invoice.pdf"),
            Self::Miss => format!("/service-{service}/nothing/here"),
        }
    }
}

/// Measures tables of each size.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let head = [
        "routes",
        "literal ns",
        "parameter ns",
        "greedy ns",
        "no such route ns",
        "read file ms",
        "build table ms",
    ];
    let mut table = Table::new(&head);
    let mut all = Vec::new();
    for size in SIZES {
        let (routes, read_ms, build_ms) = build(size)?;
        let times: Vec<f64> = KINDS
            .iter()
            .map(|kind| time(&routes, size, *kind, effort.rounds))
            .collect::<Result<_>>()?;
        let cells = times.iter().map(|ns| format!("{ns:.0}"));
        table.row(
            size.to_string(),
            cells.chain([format!("{read_ms:.1}"), format!("{build_ms:.1}")]),
        );
        all.push(times);
    }
    if let (Some(first), Some(last)) = (all.first(), all.last()) {
        let ratios = first.iter().zip(last).map(|(first, last)| format!("{:.2} ×", last / first));
        table.row("most : fewest", ratios);
    }
    println!("{table}");
    println!("Bringing the path into canonical form first: {:.0} ns.\n", canonical(effort.rounds)?);
    Ok(())
}

/// A table of this many routes, and the milliseconds its file and it itself took.
fn build(size: usize) -> Result<(RouteTable, f64, f64)> {
    let text = config(size);
    let started = Instant::now();
    let gateway = portcullis_config::parse(&text, "routes.toml", Path::new("."))
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let read_ms = started.elapsed().as_secs_f64() * 1e3;
    let started = Instant::now();
    let table = RouteTable::new(gateway.apis);
    let build_ms = started.elapsed().as_secs_f64() * 1e3;
    ensure!(table.routes().count() == size, "the table has another size than asked for");
    Ok((table, read_ms, build_ms))
}

/// Services of four routes each, and what is left over.
fn config(size: usize) -> String {
    let mut text = "listeners.public.address = \"127.0.0.1:0\"\nauthorizer = \"none\"\n".to_owned();
    for index in 0..size {
        let service = index / 4;
        let key = match index % 4 {
            0 => format!("GET /service-{service}/orders"),
            1 => format!("GET /service-{service}/orders/{{id}}"),
            2 => format!("ANY /service-{service}/files/{{rest+}}"),
            _ => format!("POST /service-{service}/orders"),
        };
        // Writing to a string cannot fail.
        let _infallible =
            writeln!(text, "[apis.bench.routes.\"{key}\"]\nrespond = {{ status = 204 }}");
    }
    text
}

/// Paths of one kind, spread over all services.
fn paths(size: usize, kind: Kind) -> Result<Vec<CanonicalPath>> {
    let services = (size / 4).max(1);
    // A stride with no common factor visits services in no order a cache would like.
    let path = |index: usize| CanonicalPath::parse(&kind.path(index * 7919 % services));
    (0..PATHS).map(|index| path(index).context("a path")).collect()
}

fn time(table: &RouteTable, size: usize, kind: Kind, rounds: usize) -> Result<f64> {
    let paths = paths(size, kind)?;
    let missed = |path| table.find("localhost", &Method::GET, path).is_err();
    ensure!(
        paths.iter().all(|path| missed(path) == (kind == Kind::Miss)),
        "{kind:?} finds otherwise"
    );
    let round = || {
        let before = thread_cpu();
        for path in paths.iter().cycle().take(LOOKUPS) {
            // What is found, or not found, is looked at by nobody.
            let _found =
                black_box(table.find(black_box("localhost"), &Method::GET, black_box(path)));
        }
        (thread_cpu() - before).as_secs_f64() * 1e9 / LOOKUPS as f64
    };
    Ok(median((0..=rounds).map(|_| round())))
}

fn canonical(rounds: usize) -> Result<f64> {
    let path = Kind::Parameter.path(4_711);
    CanonicalPath::parse(&path)?;
    let round = || {
        let before = thread_cpu();
        for _ in 0..LOOKUPS {
            let _parsed = black_box(CanonicalPath::parse(black_box(&path)));
        }
        (thread_cpu() - before).as_secs_f64() * 1e9 / LOOKUPS as f64
    };
    Ok(median((0..=rounds).map(|_| round())))
}
