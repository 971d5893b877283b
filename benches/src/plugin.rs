//! What asking an authorizer costs, without a proxy around it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, ensure};
use http::{HeaderMap, HeaderValue};
use portcullis_config::{PluginUseId, Use};
use portcullis_pipeline::{
    Arrival, Call, HeldBody, Plugins as _, RouteFacts, Scheme, View, ViewParts,
};
use portcullis_plugin_host::{Engine, EngineSettings, PluginHost};
use tokio::runtime::Runtime;
use tokio::task::unconstrained;

use crate::Effort;
use crate::meter::{median, thread_cpu};
use crate::site::{Config, KEY, Site, door};
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
        let (least, most) = times
            .iter()
            .fold((f64::MAX, 0.0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
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
    target: Use,
    arrival: Arrival,
    headers: HeaderMap,
    body: HeldBody,
}

impl Caller {
    fn new(engine: &Engine, case: &Case) -> Result<Self> {
        let site = Site::new()?;
        site.install("door", portcullis_test_guests::component("door"))?;
        // A guest of this moment has settings nobody had before, so no image either.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let keys = case.keys.replace("alice", &format!("alice-{}", now.as_nanos()));
        let address = (Ipv4Addr::LOCALHOST, 9).into();
        site.configure(&Config::new(address, 1).authorizer("asked", &keys))?;
        let gateway =
            portcullis_config::load(&site.config()).map_err(|problems| anyhow!("{problems}"))?;
        let host = engine.load(&gateway, None).map_err(|problems| anyhow!("{problems}"))?;
        let client = IpAddr::from(Ipv4Addr::LOCALHOST);
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost"));
        headers.insert("x-api-key", HeaderValue::from_static(KEY));
        Ok(Self {
            host,
            target: Use { plugin: PluginUseId(0), argument: None },
            arrival: Arrival {
                id: "00000000000000000000000000000000".to_owned(),
                peer: (client, 9).into(),
                client,
                scheme: Scheme::Http,
                time_ms: u64::try_from(now.as_millis())?,
                tls: None,
            },
            headers,
            body: HeldBody { complete: true, ..HeldBody::default() },
        })
    }

    fn warm_up(&self, case: &Case, runtime: &Runtime) -> Result<()> {
        let deadline = std::time::Instant::now() + IMAGE;
        while case.runs == Runs::FromImage && !self.image_ready() {
            ensure!(std::time::Instant::now() < deadline, "the image is not ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        runtime.block_on(unconstrained(self.ask(case.calls / 10)))
    }

    /// Processor time of this thread for each call, in microseconds.
    fn round(&self, case: &Case, runtime: &Runtime) -> Result<f64> {
        let before = self.counts();
        let started = thread_cpu();
        runtime.block_on(unconstrained(self.ask(case.calls)))?;
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

    async fn ask(&self, calls: u32) -> Result<()> {
        let parts = ViewParts {
            arrival: &self.arrival,
            method: "GET",
            authority: "localhost",
            raw_path: "/door",
            path: "/door",
            query: None,
            headers: &self.headers,
            body: Some(&self.body),
            route: Some(RouteFacts::Stated { key: "GET /door", api: "bench", parameters: &[] }),
            identity: None,
        };
        for _ in 0..calls {
            let call = Call { target: &self.target, view: View::of(&parts) };
            let (answer, _) = self.host.authorize(call).await?;
            ensure!(answer.is_ok(), "the authorizer denied");
        }
        Ok(())
    }

    fn image_ready(&self) -> bool {
        self.host.readings().iter().all(|reading| reading.image_ready)
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
