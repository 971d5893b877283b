//! What asking an authorizer costs, without a proxy around it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use portcullis_plugin_host::{Engine, EngineSettings, PluginHost};
use tokio::runtime::Runtime;
use tokio::task::unconstrained;

use crate::Effort;
use crate::asked::{self, Asked};
use crate::meter::{median, spread, thread_cpu};
use crate::site::{KEY, Site, door};
use crate::table::Table;

/// How long an image may take.
const IMAGE: Duration = Duration::from_secs(30);

/// A way to use an authorizer, and the calls of a round.
struct Case {
    name: &'static str,
    keys: String,
    calls: u32,
    runs: Runs,
}

/// What a case is sure to have measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// No instance was started.
    Reused,
    /// Each call started one, from an image.
    FromImage,
    /// Each call started one and configured it.
    Configured,
    /// No call was made.
    Cached,
}

/// Measures each way.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let builtins = portcullis_builtin_plugins::components().to_vec();
    let engine = Engine::start(EngineSettings { builtins, ..EngineSettings::default() })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut table = Table::new(&["a call of an authorizer", "CPU µs", "least–most"]);
    for case in cases() {
        let mut caller = Caller::new(&engine, &case)?;
        caller.warm_up(&case, &runtime)?;
        let mut times = Vec::new();
        for _ in 0..=effort.rounds {
            if case.runs == Runs::Configured {
                // Other settings want another image, which takes a moment.
                caller = Caller::new(&engine, &case)?;
            }
            times.push(caller.round(&case, &runtime).context(case.name)?);
        }
        let (least, most) = spread(times.iter().copied());
        let cells = [format!("{:.2}", median(times)), format!("{least:.2}–{most:.2}")];
        table.row(case.name, cells);
    }
    println!("{table}");
    Ok(())
}

fn cases() -> [Case; 5] {
    let token = |more: &str| {
        format!(
            "plugin = \"api-token\"\nisolation = {{ reuse = 1_000_000 }}\n{more}\n\
             settings = {{ header = \"x-api-key\", tokens = {{ alice = {{ secret = \"key\" }} }} }}\n\
             grants = {{ secrets = {{ key = {{ file = \"key\" }} }} }}\n"
        )
    };
    [
        Case {
            name: "examples/door, reused",
            keys: door("{ reuse = 1_000_000 }"),
            calls: 20_000,
            runs: Runs::Reused,
        },
        Case {
            name: "… fresh, from its image",
            keys: door("\"fresh\""),
            calls: 5_000,
            runs: Runs::FromImage,
        },
        Case {
            name: "… fresh, configured one by one (its image is being made beside)",
            keys: door("\"fresh\""),
            calls: 200,
            runs: Runs::Configured,
        },
        Case {
            name: "built-in api-token, reused",
            keys: token(""),
            calls: 20_000,
            runs: Runs::Reused,
        },
        Case {
            name: "… an earlier answer from the cache",
            keys: token("cache = \"5m\""),
            calls: 20_000,
            runs: Runs::Cached,
        },
    ]
}

/// A loaded authorizer, and a request to ask it about.
struct Caller {
    host: PluginHost,
    request: Asked,
}

impl Caller {
    fn new(engine: &Engine, case: &Case) -> Result<Self> {
        let site = Site::new()?;
        site.install("door", portcullis_test_guests::component("door"))?;
        // A guest of this moment has settings nobody had before, so no image either.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let keys = case.keys.replace("alice", &format!("alice-{}", now.as_nanos()));
        let host = asked::authorizer(engine, &site, &keys)?;
        let request = Asked::new("GET /door", u64::try_from(now.as_millis())?);
        Ok(Self { host, request: request.with_header("x-api-key", KEY)? })
    }

    fn warm_up(&self, case: &Case, runtime: &Runtime) -> Result<()> {
        if case.runs == Runs::FromImage {
            asked::wait_for_image(&self.host, IMAGE)?;
        }
        runtime.block_on(unconstrained(self.request.authorize(&self.host, case.calls / 10)))
    }

    /// Processor time of this thread for each call, in microseconds.
    fn round(&self, case: &Case, runtime: &Runtime) -> Result<f64> {
        let before = self.counts();
        let started = thread_cpu();
        runtime.block_on(unconstrained(self.request.authorize(&self.host, case.calls)))?;
        let took = thread_cpu() - started;
        let after = self.counts();
        let (image, configured) = (after.0 - before.0, after.1 - before.1);
        let cached = after.2 - before.2;
        let calls = u64::from(case.calls);
        let as_said = match case.runs {
            Runs::Reused => image + configured + cached == 0,
            Runs::FromImage => image == calls,
            Runs::Configured => configured == calls,
            Runs::Cached => cached == calls,
        };
        ensure!(
            as_said,
            "of {calls} calls: {image} images, {configured} configured, {cached} cached"
        );
        Ok(took.as_secs_f64() * 1e6 / f64::from(case.calls))
    }

    /// Instances started from an image, those configured, and answers from the cache.
    fn counts(&self) -> (u64, u64, u64) {
        let readings = self.host.readings();
        let Some(reading) = readings.first() else { return (0, 0, 0) };
        let cached = reading.decisions.iter().find(|(kind, _)| *kind == "cached");
        let (image, configured) = reading.instances_started;
        (image, configured, cached.map_or(0, |(_, count)| *count))
    }
}
