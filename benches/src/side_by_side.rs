//! Proxies side by side: the same requests to each in turn, round by round, so that what
//! disturbs one disturbs all.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};

use crate::Effort;
use crate::envoy::Envoy;
use crate::gateway::Gateway;
use crate::meter::{median, mib, spread};
use crate::nginx::Nginx;
use crate::process::Process;
use crate::site::{Config, Site};
use crate::table::Table;
use crate::wrk::{self, Load, Request};

/// A proxy that listens, and what it is asked.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) request: Request,
    pub(crate) runs: Runs,
    /// How its plugin runs.
    pub(crate) plugin: Plugin,
    /// What it says to every request, but for a few that a limit lets pass.
    pub(crate) answers: Answers,
}

/// Requests that a limit may let pass in a round where everything is over it.
const LET_PASS: u64 = 4;

/// Whether a proxy is to pass requests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Everything is passed on.
    Upstream,
    /// Everything is over a limit.
    Refusal,
    /// Some is.
    Either,
}

/// Whose process it is.
pub(crate) enum Runs {
    Nginx(Nginx),
    Envoy(Envoy),
    Bare(Process),
    Portcullis(Gateway, #[expect(dead_code, reason = "the directory lives as long")] Site),
}

/// How a gateway's plugin is said to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugin {
    /// None is asked, or another asked first is remembered: no instance is started.
    Asleep,
    /// Few instances serve all requests.
    Reused,
    /// Each request has one from an image.
    FromImage,
    /// Each request has one that is configured for it.
    Configured,
}

/// One proxy under load, once.
pub(crate) struct Round {
    load: Load,
    /// Processor time for each request, in microseconds: in all, and of the program.
    pub(crate) cpu_us: (f64, f64),
    rss_bytes: u64,
}

/// A proxy and its rounds.
pub(crate) struct Measured {
    subject: Subject,
    rounds: Vec<Round>,
}

/// Measures each round by round; fails where a request failed or a plugin ran otherwise
/// than its row says. `shown` gets the rounds before that.
pub(crate) fn measure(
    subjects: Vec<Subject>,
    effort: Effort,
    shown: impl FnOnce(&[Measured]) -> Result<()>,
) -> Result<()> {
    let mut measured = Vec::new();
    for subject in subjects {
        // What a first second costs, such as connecting to the upstream, counts for nobody.
        wrk::load(subject.address, &subject.request, 1).with_context(|| subject.name.clone())?;
        subject.process().freeze()?;
        measured.push(Measured { subject, rounds: Vec::new() });
    }
    for _ in 0..effort.rounds {
        for Measured { subject, rounds } in &mut measured {
            rounds.push(subject.round(effort.seconds).with_context(|| subject.name.clone())?);
        }
    }
    shown(&measured)?;
    for Measured { subject, rounds } in &measured {
        subject.check_instances(rounds)?;
    }
    let failures: u64 = measured.iter().map(Measured::failures).sum();
    ensure!(failures == 0, "{failures} requests failed");
    Ok(())
}

impl Subject {
    /// A gateway with this configuration and these guests, asked for `request`.
    pub(crate) fn portcullis(
        name: &str,
        request: Request,
        plugin: Plugin,
        (config, guests): (&Config, &[&str]),
    ) -> Result<Self> {
        let site = Site::new()?;
        for guest in guests {
            site.install(guest, portcullis_test_guests::component(guest))?;
        }
        site.configure(config)?;
        let gateway = Gateway::start(&site).with_context(|| name.to_owned())?;
        if plugin == Plugin::FromImage {
            gateway.wait_for_images(1)?;
        }
        Ok(Self {
            name: name.to_owned(),
            address: gateway.address,
            request,
            runs: Runs::Portcullis(gateway, site),
            plugin,
            answers: Answers::Upstream,
        })
    }

    /// Another proxy, asked for `request`.
    pub(crate) fn other(name: &str, request: Request, (address, runs): (SocketAddr, Runs)) -> Self {
        let (plugin, answers) = (Plugin::Asleep, Answers::Upstream);
        Self { name: name.to_owned(), address, request, runs, plugin, answers }
    }

    /// The same, which gives these answers.
    pub(crate) fn answering(self, answers: Answers) -> Self {
        Self { answers, ..self }
    }

    fn process(&self) -> &Process {
        match &self.runs {
            Runs::Nginx(nginx) => &nginx.process,
            Runs::Envoy(envoy) => &envoy.process,
            Runs::Bare(process) => process,
            Runs::Portcullis(gateway, _) => &gateway.process,
        }
    }

    fn round(&self, seconds: u64) -> Result<Round> {
        let process = self.process();
        process.thaw()?;
        let before = process.cpu()?;
        let load = self.answers.check(wrk::load(self.address, &self.request, seconds)?);
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
        let as_said = match self.plugin {
            Plugin::Reused => image + configured < requests / 1_000.0,
            Plugin::FromImage => image >= requests && configured == 0.0,
            Plugin::Configured => image == 0.0 && configured >= requests,
            Plugin::Asleep => image + configured < 10.0,
        };
        let name = &self.name;
        ensure!(as_said, "{name}: {image} and {configured} instances for {requests} requests");
        Ok(())
    }
}

impl Answers {
    /// Counts as failures what was answered otherwise than it should be.
    fn check(self, mut load: Load) -> Load {
        let passed = (load.requests as u64).saturating_sub(load.refusals);
        load.failures -= match self {
            Self::Upstream => 0,
            Self::Refusal | Self::Either => load.refusals,
        };
        if self == Self::Refusal {
            load.failures += passed.saturating_sub(LET_PASS);
        }
        load
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

    /// The proxy's name.
    pub(crate) fn name(&self) -> &str {
        &self.subject.name
    }

    /// The sum of a gateway's metric over the samples whose line holds `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let Runs::Portcullis(gateway, _) = &self.subject.runs else {
            bail!("{} has no metrics", self.subject.name);
        };
        self.subject.process().thaw()?;
        let value = gateway.metric(name, label);
        self.subject.process().freeze()?;
        value
    }

    fn failures(&self) -> u64 {
        self.rounds.iter().map(|round| round.load.failures).sum()
    }
}

fn find<'a>(measured: &'a [Measured], name: &str) -> Result<&'a Measured> {
    measured.iter().find(|one| one.subject.name == name).with_context(|| name.to_owned())
}

/// What each proxy took and gave.
pub(crate) fn absolute(measured: &[Measured]) -> Table {
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
        table.row(&one.subject.name, cells);
    }
    table
}

/// The same as ratios to the proxy named `to`.
pub(crate) fn relative(measured: &[Measured], to: &str) -> Result<Table> {
    let head = [&format!("× {to}"), "CPU/request", "least–most", "requests/s", "p50", "p99", "RSS"];
    let mut table = Table::new(&head);
    let bare = find(measured, to)?;
    for one in measured {
        let ratios =
            one.rounds.iter().zip(&bare.rounds).map(|(own, bare)| own.cpu_us.0 / bare.cpu_us.0);
        let (least, most) = spread(ratios);
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
        table.row(&one.subject.name, cells);
    }
    Ok(table)
}

/// What each of `rows` (words, with, without) adds.
pub(crate) fn added(measured: &[Measured], rows: &[(&str, &str, &str)]) -> Result<Table> {
    let mut table = Table::new(&["added by", "CPU µs/request", "least–most"]);
    for (what, with, without) in rows {
        let (with, without) = (find(measured, with)?, find(measured, without)?);
        let more = |with: &Round, without: &Round| with.cpu_us.0 - without.cpu_us.0;
        let each = with.rounds.iter().zip(&without.rounds).map(|(own, other)| more(own, other));
        let (least, most) = spread(each);
        let cells =
            [format!("{:+.1}", with.beside(without, more)), format!("{least:+.1} to {most:+.1}")];
        table.row(*what, cells);
    }
    Ok(table)
}
