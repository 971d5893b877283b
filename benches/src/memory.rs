//! What an idle connection and a live plugin instance take up.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::client::Client;
use crate::gateway::Gateway;
use crate::meter::mib;
use crate::nginx::Nginx;
use crate::process::{Process, free_address, sibling};
use crate::site::{Config, Site};
use crate::table::Table;
use crate::{Effort, QUICK};

/// How long the plugin sleeps: long enough that all instances live at once.
const SLEEP: Duration = Duration::from_secs(6);

/// Measures connections and instances.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let (connections, instances) =
        if effort.rounds == QUICK.rounds { (500, 100) } else { (5_000, 1_000) };
    let upstream = Nginx::upstream()?;
    let mut table = Table::new(&["memory", "count", "RSS before MiB", "RSS with MiB", "KiB each"]);

    let bare = free_address()?;
    let mut process = Process::start(
        Command::new(sibling("bare-pingora")?)
            .args([bare.to_string(), upstream.address.to_string()])
            .stdin(Stdio::null()),
    )?;
    process.wait_until_listening(bare)?;
    let (before, with, _) = connect(&process, bare, connections)?;
    table.row("idle connections, bare Pingora", grown(connections, before, with));

    let site = site(upstream.address, instances)?;
    let gateway = Gateway::start(&site)?;
    let (before, with, clients) = connect(&gateway.process, gateway.address, connections)?;
    table.row("idle connections, Portcullis", grown(connections, before, with));
    drop(clients);

    let (before, with, after) = occupy(&site, instances)?;
    table.row("instances that wait in a host call", grown(instances, before, with));
    table.row("… what stays resident once they have ended", grown(instances, before, after));
    println!("{table}");
    Ok(())
}

fn grown(count: usize, before: u64, with: u64) -> [String; 4] {
    let each = with.saturating_sub(before) as f64 / 1024.0 / count as f64;
    [
        count.to_string(),
        format!("{:.1}", mib(before)),
        format!("{:.1}", mib(with)),
        format!("{each:.1}"),
    ]
}

/// Opens connections that make one request each and then wait: the bytes resident
/// before and with them.
fn connect(
    process: &Process,
    address: SocketAddr,
    count: usize,
) -> Result<(u64, u64, Vec<Client>)> {
    let mut first = Client::connect(address)?;
    ensure!(first.get("/open")?.status == 200, "a request failed");
    let before = process.rss_bytes()?;
    let clients = open(address, count)?;
    Ok((before, process.rss_bytes()?, clients))
}

fn open(address: SocketAddr, count: usize) -> Result<Vec<Client>> {
    let client = |_| {
        let mut client = Client::connect(address)?;
        ensure!(client.get("/open")?.status == 200, "a request failed");
        Ok(client)
    };
    (0..count).map(client).collect()
}

/// Lets instances of a plugin wait at once: the bytes resident before, with and after.
fn occupy(site: &Site, count: usize) -> Result<(u64, u64, u64)> {
    let gateway = Gateway::start(site)?;
    gateway.wait_for_images(1)?;
    let mut clients = open(gateway.address, count)?;
    let before = gateway.process.rss_bytes()?;
    let started = Instant::now();
    for client in &mut clients {
        client.send("/sleep")?;
    }
    while gateway.instances_started()?.0 < count as f64 {
        ensure!(started.elapsed() < SLEEP, "the first instances ended before the last began");
        std::thread::sleep(Duration::from_millis(20));
    }
    let with = gateway.process.rss_bytes()?;
    ensure!(started.elapsed() < SLEEP, "the first instances ended before the last began");
    for client in &mut clients {
        ensure!(client.receive()?.status == 200, "a request that slept failed");
    }
    Ok((before, with, gateway.process.rss_bytes()?))
}

fn site(upstream: SocketAddr, instances: usize) -> Result<Site> {
    let site = Site::new()?;
    site.install("sleep", portcullis_test_guests::component("sleep"))?;
    let seconds = SLEEP.as_secs();
    let keys = format!(
        "plugin = \"sleep\"\nsettings = {{ seconds = {seconds} }}\nisolation = \"fresh\"\n\
         budget = {{ instances = {instances}, wall_time = \"1m\" }}\n"
    );
    let config = Config::new(upstream, 1).access_log("\"off\"").authorizer("sleep", &keys);
    site.configure(&config)?;
    Ok(site)
}
