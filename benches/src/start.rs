//! How long the gateway takes to start, and what it then takes up.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::Result;

use crate::Effort;
use crate::gateway::Gateway;
use crate::meter::{median, mib};
use crate::site::{Config, Site, door};
use crate::table::Table;

/// Plugin uses, each of a file of its own.
const USES: [usize; 3] = [0, 1, 100];

/// A start.
struct Start {
    listening: f64,
    listening_rss: f64,
    images: f64,
    images_rss: f64,
}

/// Measures starts with and without compiled code on disk.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let head = [
        "start",
        "until listening s",
        "RSS then MiB",
        "until every image is ready s",
        "RSS then MiB",
    ];
    let mut table = Table::new(&head);
    for uses in USES {
        let site = site(uses)?;
        // The first start of all compiles; what follows would only show the noise.
        let colds = if uses > 1 { 1 } else { effort.rounds.min(3) };
        let cold = starts(&site, uses, colds, Compiled::Nothing)?;
        let warm = starts(&site, uses, effort.rounds.min(3), Compiled::Everything)?;
        table.row(format!("cold, {uses} plugins"), row(&cold));
        table.row(format!("warm, {uses} plugins"), row(&warm));
    }
    println!("{table}");
    Ok(())
}

/// What is on disk before a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compiled {
    Nothing,
    Everything,
}

fn starts(site: &Site, uses: usize, rounds: usize, compiled: Compiled) -> Result<Vec<Start>> {
    let start = |_| {
        let state = site.path().join("state");
        if compiled == Compiled::Nothing && state.exists() {
            fs::remove_dir_all(state)?;
        }
        let gateway = Gateway::start(site)?;
        let listening_rss = mib(gateway.process.rss_bytes()?);
        let images = gateway.wait_for_images(uses)?.as_secs_f64();
        Ok(Start {
            listening: gateway.listening_after.as_secs_f64(),
            listening_rss,
            images,
            images_rss: mib(gateway.process.rss_bytes()?),
        })
    };
    (0..rounds).map(start).collect()
}

fn row(starts: &[Start]) -> [String; 4] {
    let median = |of: fn(&Start) -> f64| median(starts.iter().map(of));
    [
        format!("{:.2}", median(|start| start.listening)),
        format!("{:.0}", median(|start| start.listening_rss)),
        format!("{:.2}", median(|start| start.images)),
        format!("{:.0}", median(|start| start.images_rss)),
    ]
}

/// A site whose authorizers have a component each: the same code under another digest.
fn site(uses: usize) -> Result<Site> {
    let site = Site::new()?;
    let mut config = Config::new((Ipv4Addr::LOCALHOST, 9).into(), 1).access_log("\"off\"");
    for index in 0..uses {
        let name = format!("door-{index}");
        site.install(&name, &marked(portcullis_test_guests::component("door"), &name))?;
        let keys = door("\"fresh\"").replace("\"door\"", &format!("\"{name}\""));
        config = config.authorizer(&name, &keys);
    }
    site.configure(&config)?;
    Ok(site)
}

/// The component with a custom section of this name appended.
fn marked(component: &[u8], name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    // Lengths below 128 are one byte in LEB128; names here are shorter.
    let length = u8::try_from(name.len()).unwrap_or(0);
    [component, &[0, length + 1, length], name].concat()
}
