//! What a token costs: the signature alone, the built-in `jwt` without a proxy around it,
//! and through the gateway beside Envoy's own filter.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use portcullis_plugin_host::{Engine, EngineSettings, PluginHost};
use tokio::task::unconstrained;

use crate::Effort;
use crate::asked::{self, Asked};
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
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let request = Asked::new("GET /asked", u64::try_from(now.as_millis())?)
            .with_header("authorization", &format!("Bearer {}", token.text))?;
        let hosts =
            Way::ALL.map(|way| load(&engine, way, &token).with_context(|| format!("{way:?}")));
        let [reused, fresh, cached] = hosts;
        let hosts = [reused?, fresh?, cached?];
        for host in &hosts {
            runtime.block_on(unconstrained(request.authorize(host, CALLS / 10)))?;
        }
        let mut times: [Vec<f64>; 4] = Default::default();
        let [alone, asked @ ..] = &mut times;
        for _ in 0..=effort.rounds {
            let before = thread_cpu();
            for _ in 0..CALLS {
                ensure!(black_box(token.verify()), "the signature does not fit");
            }
            alone.push(each(thread_cpu() - before));
            for (host, times) in hosts.iter().zip(&mut *asked) {
                let before = thread_cpu();
                runtime.block_on(unconstrained(request.authorize(host, CALLS)))?;
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

/// The authorizer, loaded.
fn load(engine: &Engine, way: Way, token: &Token) -> Result<PluginHost> {
    let host = asked::authorizer(engine, &Site::new()?, &authorizer(way, token))?;
    if way == Way::Fresh {
        asked::wait_for_image(&host, IMAGE)?;
    }
    Ok(host)
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
    Subject::other(name, request, (envoy.address, Runs::Envoy(envoy)))
}
