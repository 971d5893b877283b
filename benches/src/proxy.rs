//! Proxies side by side: the same requests to the same upstream through each in turn,
//! round by round, so that what disturbs one disturbs all.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::Effort;
use crate::gateway::Gateway;
use crate::meter::{median, mib};
use crate::nginx::Nginx;
use crate::process::{Process, free_address, sibling};
use crate::site::{Config, Site, door};
use crate::table::Table;
use crate::wrk::{self, Load};

const BARE: &str = "bare Pingora";
const OPEN: &str = "Portcullis, no plugin";
const LOGGED: &str = "… with an access log";
const REUSED: &str = "… header authorizer, reused";
const IMAGE: &str = "… header authorizer, fresh";
const CONFIGURED: &str = "… a smaller authorizer, fresh without image";

/// What is added, to what, and by what.
const ADDED: [(&str, &str, &str); 4] = [
    ("a header authorizer, reused (goal: at most 2 µs)", REUSED, OPEN),
    ("a header authorizer, fresh from its image (goal: at most 13 µs)", IMAGE, OPEN),
    ("a smaller authorizer, fresh, configured for each request", CONFIGURED, OPEN),
    ("an access log", LOGGED, OPEN),
];

/// Measures every proxy.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let upstream = Nginx::upstream()?;
    let mut measured = Vec::new();
    for subject in subjects(upstream.address)? {
        // What a first second costs, such as connecting to the upstream, counts for nobody.
        wrk::load(subject.address, subject.path, 1).with_context(|| subject.name.to_owned())?;
        subject.process().freeze()?;
        measured.push(Measured { subject, rounds: Vec::new() });
    }
    for _ in 0..effort.rounds {
        for Measured { subject, rounds } in &mut measured {
            rounds.push(subject.round(effort.seconds).with_context(|| subject.name.to_owned())?);
        }
    }
    println!("{}", absolute(&measured));
    println!("{}", relative(&measured)?);
    println!("{}", added(&measured)?);
    for Measured { subject, rounds } in &measured {
        subject.check_instances(rounds)?;
    }
    let failures: u64 = measured.iter().map(Measured::failures).sum();
    ensure!(failures == 0, "{failures} requests failed");
    Ok(())
}

/// A proxy that listens.
struct Subject {
    name: &'static str,
    address: SocketAddr,
    path: &'static str,
    runs: Runs,
}

enum Runs {
    Nginx(Nginx),
    Bare(Process),
    Portcullis(Gateway, #[expect(dead_code, reason = "the directory lives as long")] Site),
}

/// One proxy under load, once.
struct Round {
    load: Load,
    /// Processor time for each request, in microseconds: in all, and of the program.
    cpu_us: (f64, f64),
    rss_bytes: u64,
}

struct Measured {
    subject: Subject,
    rounds: Vec<Round>,
}

/// Everything that is measured. The gateways run one authorizer each, or none.
fn subjects(upstream: SocketAddr) -> Result<Vec<Subject>> {
    let config = || Config::new(upstream, 1);
    let off = || config().access_log("\"off\"");
    // Not beside the configuration, whose directory is watched.
    let logged = config().access_log("{ file = \"logs/access.log\" }");
    let reused = off().authorizer("door", &door("{ reuse = 1_000_000 }"));
    let image = off().authorizer("door", &door("\"fresh\""));
    // Randomness drawn in `configure` keeps the host from making an image.
    let configured =
        off().authorizer("random", "plugin = \"random-in-configure\"\nisolation = \"fresh\"");
    let nginx = Nginx::proxy(upstream)?;
    let bare = free_address()?;
    let mut process = Process::start(
        Command::new(sibling("bare-pingora")?)
            .args([bare.to_string(), upstream.to_string()])
            .stdin(Stdio::null()),
    )?;
    process.wait_until_listening(bare)?;
    Ok(vec![
        Subject { name: "nginx", address: nginx.address, path: "/open", runs: Runs::Nginx(nginx) },
        Subject { name: BARE, address: bare, path: "/open", runs: Runs::Bare(process) },
        portcullis(OPEN, "/open", &off())?,
        portcullis(LOGGED, "/open", &logged)?,
        portcullis(REUSED, "/door", &reused)?,
        portcullis(IMAGE, "/door", &image)?,
        portcullis(CONFIGURED, "/random", &configured)?,
    ])
}

fn portcullis(name: &'static str, path: &'static str, config: &Config) -> Result<Subject> {
    let site = Site::new()?;
    for guest in ["door", "random-in-configure"] {
        site.install(guest, portcullis_test_guests::component(guest))?;
    }
    site.configure(config)?;
    let gateway = Gateway::start(&site).context(name)?;
    if name == IMAGE {
        gateway.wait_for_images(1)?;
    }
    Ok(Subject { name, address: gateway.address, path, runs: Runs::Portcullis(gateway, site) })
}

impl Subject {
    fn process(&self) -> &Process {
        match &self.runs {
            Runs::Nginx(nginx) => &nginx.process,
            Runs::Bare(process) => process,
            Runs::Portcullis(gateway, _) => &gateway.process,
        }
    }

    fn round(&self, seconds: u64) -> Result<Round> {
        let process = self.process();
        process.thaw()?;
        let before = process.cpu()?;
        let load = wrk::load(self.address, self.path, seconds)?;
        let (all, user) = process.cpu()?.micros_since(before);
        let rss_bytes = process.rss_bytes()?;
        process.freeze()?;
        Ok(Round { load, cpu_us: (all / load.requests, user / load.requests), rss_bytes })
    }

    /// Whether the plugin ran as this row says it did.
    fn check_instances(&self, rounds: &[Round]) -> Result<()> {
        let Runs::Portcullis(gateway, _) = &self.runs else { return Ok(()) };
        let requests: f64 = rounds.iter().map(|round| round.load.requests).sum();
        self.process().thaw()?;
        let (image, configured) = gateway.instances_started()?;
        let as_said = match self.name {
            REUSED => image == 0.0 && configured < requests / 1_000.0,
            IMAGE => image >= requests && configured == 0.0,
            CONFIGURED => image == 0.0 && configured >= requests,
            _ => image == 0.0 && configured == 0.0,
        };
        let name = self.name;
        ensure!(as_said, "{name}: {image} and {configured} instances for {requests} requests");
        Ok(())
    }
}

impl Measured {
    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of))
    }

    /// The median of what `of` gives for this proxy and another in the same round.
    fn beside(&self, other: &Self, of: impl Fn(&Round, &Round) -> f64) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(own, other)| of(own, other)))
    }

    fn failures(&self) -> u64 {
        self.rounds.iter().map(|round| round.load.failures).sum()
    }
}

fn find<'a>(measured: &'a [Measured], name: &str) -> Result<&'a Measured> {
    measured.iter().find(|one| one.subject.name == name).with_context(|| name.to_owned())
}

fn absolute(measured: &[Measured]) -> Table {
    let head = [
        "proxy",
        "CPU µs/request",
        "of it user",
        "requests/s",
        "p50 µs",
        "p99 µs",
        "RSS MiB",
        "failures",
    ];
    let mut table = Table::new(&head);
    for one in measured {
        let cells = [
            format!("{:.1}", one.median(|round| round.cpu_us.0)),
            format!("{:.1}", one.median(|round| round.cpu_us.1)),
            format!("{:.0}", one.median(|round| round.load.per_second)),
            format!("{:.0}", one.median(|round| round.load.p50_us)),
            format!("{:.0}", one.median(|round| round.load.p99_us)),
            format!("{:.1}", mib(one.median(|round| round.rss_bytes as f64) as u64)),
            one.failures().to_string(),
        ];
        table.row(one.subject.name, cells);
    }
    table
}

fn relative(measured: &[Measured]) -> Result<Table> {
    let head = ["× bare Pingora", "CPU/request", "least–most", "requests/s", "p50", "p99", "RSS"];
    let mut table = Table::new(&head);
    let bare = find(measured, BARE)?;
    for one in measured {
        let ratios =
            one.rounds.iter().zip(&bare.rounds).map(|(own, bare)| own.cpu_us.0 / bare.cpu_us.0);
        let (least, most) = ratios
            .fold((f64::MAX, 0.0_f64), |(least, most), ratio| (least.min(ratio), most.max(ratio)));
        let beside = |of: fn(&Round) -> f64| {
            format!("{:.2}", one.beside(bare, |own, bare| of(own) / of(bare)))
        };
        let cells = [
            format!("{:.3}", one.beside(bare, |own, bare| own.cpu_us.0 / bare.cpu_us.0)),
            format!("{least:.2}–{most:.2}"),
            beside(|round| round.load.per_second),
            beside(|round| round.load.p50_us),
            beside(|round| round.load.p99_us),
            beside(|round| round.rss_bytes as f64),
        ];
        table.row(one.subject.name, cells);
    }
    Ok(table)
}

fn added(measured: &[Measured]) -> Result<Table> {
    let mut table = Table::new(&["added by", "CPU µs/request", "× bare Pingora's"]);
    let bare = find(measured, BARE)?.median(|round| round.cpu_us.0);
    for (what, with, without) in ADDED {
        let (with, without) = (find(measured, with)?, find(measured, without)?);
        let more = with.beside(without, |with, without| with.cpu_us.0 - without.cpu_us.0);
        table.row(what, [format!("{more:+.1}"), format!("{:+.2}", more / bare)]);
    }
    Ok(table)
}
