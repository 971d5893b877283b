//! What a token costs: the signature alone, the built-in `jwt` without a proxy around it,
//! and through the gateway beside Envoy's own filter.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, ensure};
use http::{HeaderMap, HeaderValue};
use portcullis_config::{PluginUseId, Use};
use portcullis_pipeline::{
    Arrival, Call, HeldBody, Plugins as _, RouteFacts, Scheme, View, ViewParts,
};
use portcullis_plugin_host::{Engine, EngineSettings, PluginHost};
use tokio::task::unconstrained;

use crate::Effort;
use crate::envoy::Envoy;
use crate::meter::{median, thread_cpu};
use crate::nginx::Nginx;
use crate::side_by_side::{self, Plugin, Runs, Subject};
use crate::site::{Config, Site};
use crate::table::Table;
use crate::token::{AUDIENCE, Algorithm, ISSUER, Token};
use crate::wrk::Request;

/// Calls of a round.
const CALLS: u32 = 4_000;
/// How long an image may take.
const IMAGE: Duration = Duration::from_secs(60);

const ENVOY: &str = "Envoy, no filter";
const ENVOY_RS256: &str = "… jwt_authn, RS256";
const ENVOY_ES256: &str = "… jwt_authn, ES256";
const OPEN: &str = "Portcullis, no plugin";
const REUSED_RS256: &str = "… jwt, RS256, reused";
const REUSED_ES256: &str = "… jwt, ES256, reused";
const FRESH_RS256: &str = "… jwt, RS256, fresh";
const CACHED_RS256: &str = "… jwt, RS256, from the cache";

/// What is added, by what, to what.
const ADDED: [(&str, &str, &str); 6] = [
    ("Envoy's jwt_authn, RS256", ENVOY_RS256, ENVOY),
    ("Envoy's jwt_authn, ES256", ENVOY_ES256, ENVOY),
    ("jwt, RS256, reused", REUSED_RS256, OPEN),
    ("jwt, ES256, reused", REUSED_ES256, OPEN),
    ("jwt, RS256, fresh", FRESH_RS256, OPEN),
    ("jwt, RS256, from the cache", CACHED_RS256, OPEN),
];

/// Measures the calls, then the proxies.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    calls(effort)?;
    let upstream = Nginx::upstream()?;
    side_by_side::measure(subjects(upstream.address)?, effort, |measured| {
        println!("{}", side_by_side::absolute(measured));
        println!("{}", side_by_side::relative(measured, ENVOY)?);
        println!("{}", side_by_side::added(measured, &ADDED)?);
        Ok(())
    })
}

/// How the plugin answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Reused,
    Fresh,
    Cached,
}

impl Way {
    const ALL: [Self; 3] = [Self::Reused, Self::Fresh, Self::Cached];

    fn keys(self) -> &'static str {
        match self {
            Self::Reused => "isolation = { reuse = 1_000_000 }",
            Self::Fresh => "isolation = \"fresh\"",
            Self::Cached => "isolation = { reuse = 1_000_000 }\ncache = \"1h\"",
        }
    }
}

/// The authorizer, as its table is written.
fn authorizer(way: Way, token: &Token) -> String {
    format!(
        "plugin = \"jwt\"\n{}\nsettings = {{ issuer = \"{ISSUER}\", audience = [\"{AUDIENCE}\"], \
         keys = {} }}\n",
        way.keys(),
        inline(&token.key_set),
    )
}

/// A key set as TOML: its names and values have no colon.
fn inline(key_set: &str) -> String {
    key_set.replace(':', " = ")
}

fn calls(effort: Effort) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let engine = Engine::start(EngineSettings {
        builtins: portcullis_builtin_plugins::components().to_vec(),
        ..EngineSettings::default()
    })?;
    let head = ["CPU µs", "signature alone", "jwt, reused", "× alone", "fresh", "from the cache"];
    let mut table = Table::new(&head);
    for algorithm in Algorithm::ALL {
        let token = Token::issue(algorithm)?;
        let callers = Way::ALL
            .map(|way| Caller::new(&engine, way, &token).with_context(|| format!("{way:?}")));
        let [reused, fresh, cached] = callers;
        let callers = [reused?, fresh?, cached?];
        for caller in &callers {
            runtime.block_on(unconstrained(caller.ask(CALLS / 10)))?;
        }
        let mut times: [Vec<f64>; 4] = Default::default();
        let [alone, asked @ ..] = &mut times;
        for _ in 0..=effort.rounds {
            let before = thread_cpu();
            for _ in 0..CALLS {
                ensure!(black_box(token.verify()), "the signature does not fit");
            }
            alone.push(each(thread_cpu() - before));
            for (caller, times) in callers.iter().zip(&mut *asked) {
                let before = thread_cpu();
                runtime.block_on(unconstrained(caller.ask(CALLS)))?;
                times.push(each(thread_cpu() - before));
            }
        }
        let ratio = {
            let [alone, reused, ..] = &times;
            median(reused.iter().zip(alone).map(|(reused, alone)| reused / alone))
        };
        let [alone, reused, fresh, cached] = times.map(|times| format!("{:.2}", median(times)));
        table.row(algorithm.name(), [alone, reused, format!("{ratio:.2}"), fresh, cached]);
    }
    println!("{table}");
    Ok(())
}

fn each(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(CALLS)
}

/// A loaded authorizer, and a request to ask it about.
struct Caller {
    host: PluginHost,
    arrival: Arrival,
    headers: HeaderMap,
}

impl Caller {
    fn new(engine: &Engine, way: Way, token: &Token) -> Result<Self> {
        let site = Site::new()?;
        let address = (Ipv4Addr::LOCALHOST, 9).into();
        site.configure(&Config::new(address, 1).authorizer("asked", &authorizer(way, token)))?;
        let gateway =
            portcullis_config::load(&site.config()).map_err(|problems| anyhow!("{problems}"))?;
        let host = engine.load(&gateway, None).map_err(|problems| anyhow!("{problems}"))?;
        let deadline = Instant::now() + IMAGE;
        let ready = |host: &PluginHost| host.readings().iter().all(|reading| reading.image_ready);
        while way == Way::Fresh && !ready(&host) {
            ensure!(Instant::now() < deadline, "the image is not ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        let client = IpAddr::from(Ipv4Addr::LOCALHOST);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost"));
        let value = format!("Bearer {}", token.text);
        headers.insert("authorization", HeaderValue::from_str(&value)?);
        Ok(Self {
            host,
            arrival: Arrival {
                id: format!("{:032x}", now.as_nanos()),
                peer: (client, 9).into(),
                client,
                scheme: Scheme::Http,
                time_ms: u64::try_from(now.as_millis())?,
                tls: None,
            },
            headers,
        })
    }

    async fn ask(&self, calls: u32) -> Result<()> {
        let target = Use { plugin: PluginUseId(0), argument: None };
        let body = HeldBody { complete: true, ..HeldBody::default() };
        let parts = ViewParts {
            arrival: &self.arrival,
            method: "GET",
            authority: "localhost",
            raw_path: "/asked",
            path: "/asked",
            query: None,
            headers: &self.headers,
            body: Some(&body),
            route: Some(RouteFacts::Stated { key: "GET /asked", api: "bench", parameters: &[] }),
            identity: None,
        };
        for _ in 0..calls {
            let call = Call { target: &target, view: View::of(&parts) };
            let (answer, _) = self.host.authorize(call).await?;
            ensure!(answer.is_ok(), "the authorizer denied: {:?}", answer.err());
        }
        Ok(())
    }
}

/// Every proxy, with a token of its own algorithm.
fn subjects(upstream: SocketAddr) -> Result<Vec<Subject>> {
    let rs256 = Token::issue(Algorithm::Rs256)?;
    let es256 = Token::issue(Algorithm::Es256)?;
    let config = || Config::new(upstream, 1).access_log("\"off\"");
    let open = |token: &Token| Request::with_token("/open", &token.text);
    let asked = |token: &Token| Request::with_token("/asked", &token.text);
    let jwt = |name, way, token: &Token| {
        let config = config().authorizer("asked", &authorizer(way, token));
        let plugin = match way {
            Way::Reused => Plugin::Reused,
            Way::Fresh => Plugin::FromImage,
            Way::Cached => Plugin::Asleep,
        };
        Subject::portcullis(name, asked(token), plugin, (&config, &[]))
    };
    let filter = |token: &Token| Envoy::with_tokens(upstream, (ISSUER, AUDIENCE, &token.key_set));
    Ok(vec![
        envoy(ENVOY, Envoy::proxy(upstream)?, open(&rs256)),
        envoy(ENVOY_RS256, filter(&rs256)?, open(&rs256)),
        envoy(ENVOY_ES256, filter(&es256)?, open(&es256)),
        Subject::portcullis(OPEN, open(&rs256), Plugin::Asleep, (&config(), &[]))?,
        jwt(REUSED_RS256, Way::Reused, &rs256)?,
        jwt(REUSED_ES256, Way::Reused, &es256)?,
        jwt(FRESH_RS256, Way::Fresh, &rs256)?,
        jwt(CACHED_RS256, Way::Cached, &rs256)?,
    ])
}

fn envoy(name: &str, envoy: Envoy, request: Request) -> Subject {
    Subject {
        name: name.to_owned(),
        address: envoy.address,
        request,
        runs: Runs::Envoy(envoy),
        plugin: Plugin::Asleep,
    }
}
