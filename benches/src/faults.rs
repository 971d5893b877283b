//! What a route feels of another route's broken plugin.
//!
//! A closed loop loads the healthy route; beside it a paced loop asks for another
//! route, at the same rate whether that route's plugin is sound, traps or spins.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::Effort;
use crate::client::Client;
use crate::gateway::Gateway;
use crate::meter::median;
use crate::nginx::Nginx;
use crate::site::{Config, Site, door};
use crate::table::Table;
use crate::wrk::{self, Load, Request};

/// Connections that ask for the other route.
const CONNECTIONS: usize = 4;
/// The time between two requests of one of them.
const PACE: Duration = Duration::from_millis(10);
/// Keys of an authorizer that is called however often it faults.
const NO_BREAKER: &str = "budget = { breaker_after = 0 }\n";

/// What happens on the other route: what it is called, its path, the status it gives.
const CASES: [(&str, &str, u16); 5] = [
    ("sound", "/sound", 200),
    ("traps", "/traps", 503),
    ("traps, breaker off", "/traps-on", 503),
    ("spins", "/spins", 503),
    ("spins, breaker off", "/spins-on", 503),
];

/// The healthy route in one round, and how often a second the other answered.
struct Round {
    load: Load,
    asked_per_second: f64,
}

/// Measures the healthy route beside each case.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let upstream = Nginx::upstream()?;
    let site = site(upstream.address)?;
    let gateway = Gateway::start(&site)?;
    gateway.wait_for_images(6)?;
    wrk::load(gateway.address, &Request::with_key("/healthy"), 1)?;
    let mut rounds: BTreeMap<&str, Vec<Round>> = BTreeMap::new();
    for _ in 0..effort.rounds.min(3) {
        for (name, path, status) in CASES {
            let round = beside(gateway.address, path, status, effort.seconds);
            rounds.entry(name).or_default().push(round.with_context(|| format!("it {name}"))?);
        }
    }
    println!("{}", table(&rounds)?);
    let failures: u64 = rounds.values().flatten().map(|round| round.load.failures).sum();
    ensure!(failures == 0, "{failures} requests of the healthy route failed");
    Ok(())
}

fn site(upstream: SocketAddr) -> Result<Site> {
    let site = Site::new()?;
    for guest in ["door", "trap", "spin"] {
        site.install(guest, portcullis_test_guests::component(guest))?;
    }
    let broken =
        |guest: &str, more: &str| format!("plugin = \"{guest}\"\nisolation = \"fresh\"\n{more}");
    let config = Config::new(upstream, 2)
        .access_log("\"off\"")
        .authorizer("healthy", &door("\"fresh\""))
        .authorizer("sound", &door("\"fresh\""))
        .authorizer("traps", &broken("trap", ""))
        .authorizer("traps-on", &broken("trap", NO_BREAKER))
        .authorizer("spins", &broken("spin", ""))
        .authorizer("spins-on", &broken("spin", NO_BREAKER));
    site.configure(&config)?;
    Ok(site)
}

/// Loads the healthy route while the other is asked for.
fn beside(address: SocketAddr, path: &str, status: u16, seconds: u64) -> Result<Round> {
    let over = AtomicBool::new(false);
    let started = Instant::now();
    thread::scope(|scope| {
        let ask = || ask(address, path, status, &over);
        let askers: Vec<ScopedJoinHandle<Result<u64>>> =
            (0..CONNECTIONS).map(|_| scope.spawn(ask)).collect();
        let load = wrk::load(address, &Request::with_key("/healthy"), seconds);
        over.store(true, Ordering::Relaxed);
        let mut asked = 0;
        for asker in askers {
            asked += asker.join().map_err(|_| anyhow!("an asker panicked"))??;
        }
        let asked_per_second = asked as f64 / started.elapsed().as_secs_f64();
        Ok(Round { load: load?, asked_per_second })
    })
}

/// Asks again and again; how often.
fn ask(address: SocketAddr, path: &str, status: u16, over: &AtomicBool) -> Result<u64> {
    let mut client = Client::connect(address)?;
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        let next = Instant::now() + PACE;
        let answer = client.get(path)?;
        ensure!(answer.status == status, "{path} answered {}, not {status}", answer.status);
        asked += 1;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(asked)
}

fn table(rounds: &BTreeMap<&str, Vec<Round>>) -> Result<Table> {
    let head = [
        "the other route's plugin",
        "asked/s",
        "healthy requests/s",
        "× sound",
        "p99 µs",
        "× sound",
        "failures",
    ];
    let mut table = Table::new(&head);
    let of = |name: &str| rounds.get(name).with_context(|| format!("no rounds of `{name}`"));
    let sound = of("sound")?;
    for (name, ..) in CASES {
        let own = of(name)?;
        let value = |of: fn(&Load) -> f64| median(own.iter().map(|round| of(&round.load)));
        let ratio = |of: fn(&Load) -> f64| {
            median(own.iter().zip(sound).map(|(own, sound)| of(&own.load) / of(&sound.load)))
        };
        let cells = [
            format!("{:.0}", median(own.iter().map(|round| round.asked_per_second))),
            format!("{:.0}", value(|load| load.per_second)),
            format!("{:.2}", ratio(|load| load.per_second)),
            format!("{:.0}", value(|load| load.p99_us)),
            format!("{:.2}", ratio(|load| load.p99_us)),
            own.iter().map(|round| round.load.failures).sum::<u64>().to_string(),
        ];
        table.row(name, cells);
    }
    Ok(table)
}
