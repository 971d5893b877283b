//! From the configuration as typed to the configuration as proven: names become what
//! they name, texts are parsed, and every problem on the way is noted.

use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Place, Problems};
use crate::document::{self, Document};
use crate::gateway::{AccessLog, Gateway, Grants, Shutdown};
use crate::read::{Either, Named};
use crate::surroundings::Surroundings;

mod address;
mod admin;
mod api;
mod authorization;
mod checks;
mod compression;
mod cors;
mod files;
mod grants;
mod guard;
mod identity;
mod issuer;
mod limits;
mod listener;
mod mapping;
mod names;
mod openapi;
mod plans;
mod plugin_use;
mod policy;
mod reachable;
mod respond;
mod route;
mod schemas;
mod shared_limits;
mod source;
mod stages;
mod upstream;

/// What a check needs beside what it checks.
pub(crate) struct Resolver<'a> {
    surroundings: &'a dyn Surroundings,
    problems: &'a mut Problems,
}

impl Resolver<'_> {
    fn problem(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.add(Diagnostic::at(place, message));
    }

    fn problem_with_help(&mut self, place: &Place, message: impl Into<String>, help: &str) {
        self.problems.add(Diagnostic::at(place, message).with_help(help));
    }
}

/// Resolves a whole configuration.
pub(crate) fn gateway(
    document: &Document,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<Gateway> {
    let mut resolver = Resolver { surroundings, problems };
    let resolver = &mut resolver;
    let admin = admin::admin(document, resolver);
    let listeners = listener::listeners(document, admin.as_ref(), resolver);
    let upstreams = upstream::upstreams(&document.upstreams, resolver);
    let mut plugins = plugin_use::plugin_uses(document, resolver);
    let shared_limits = shared_limits::shared_limits(document, resolver);
    let mut throttles = limits::Throttles::of(document, resolver);
    let mut apis = api::apis(document, &upstreams, &mut plugins, &mut throttles, resolver);
    reachable::check(&apis, resolver);
    let plans = plans::plans(document, &mut apis, &mut throttles, resolver);
    Some(Gateway {
        plugin_directory: plugin_directory(document, resolver),
        listeners,
        upstreams: upstreams.into_values(),
        plugin_uses: plugins.finish(),
        apis,
        admin,
        access_log: access_log(document),
        limits: limits::limits(&document.limits),
        throttles: throttles.finish(),
        plans,
        shared_limits,
        shutdown: Shutdown { grace: document.shutdown.grace.0 },
        workers: document.workers.map(|workers| workers.0 as usize),
        trusted_proxies: trusted_proxies(document, resolver),
        state_directory: state_directory(document),
    })
}

/// Resolves grants that stand in no configuration.
pub(crate) fn stated_grants(
    written: &document::Grants,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Grants {
    grants::grants(written, &mut Resolver { surroundings, problems })
}

/// Where state is kept.
pub(crate) fn state_directory(document: &Document) -> Option<PathBuf> {
    document.state.as_ref().map(|state| files::joined(&state.place, &state.value))
}

fn plugin_directory(document: &Document, resolver: &mut Resolver<'_>) -> Option<PathBuf> {
    let written = document.plugins.as_ref()?;
    let path = files::joined(&written.place, &written.value);
    if !resolver.surroundings.is_directory(&path) {
        resolver.problem(&written.place, format!("there is no directory `{}`", path.display()));
    }
    Some(path)
}

fn access_log(document: &Document) -> AccessLog {
    match &document.access_log {
        Either::This(document::AccessLogWord::Stdout) => AccessLog::Stdout,
        Either::This(document::AccessLogWord::Off) => AccessLog::Off,
        Either::That(table) => AccessLog::File(files::joined(&table.file.place, &table.file.value)),
    }
}

fn trusted_proxies(document: &Document, resolver: &mut Resolver<'_>) -> Vec<ipnet::IpNet> {
    let mut networks = Vec::new();
    for text in document.trusted_proxies.iter().flatten() {
        let address = text.value.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
        match text.value.parse::<ipnet::IpNet>().or(address) {
            Ok(network) => networks.push(network),
            Err(_) => {
                let message = format!("`{}` is no network", text.value);
                resolver.problem_with_help(
                    &text.place,
                    message,
                    "write it as `10.0.0.0/8` or `10.0.0.1`",
                );
            }
        }
    }
    networks
}

/// Notes names that no metric or command line could hold.
fn check_names<T>(kind: &str, named: &Named<T>, resolver: &mut Resolver<'_>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    for entry in &named.entries {
        if entry.name.is_empty() || !entry.name.chars().all(plain) {
            let message = format!("`{}` cannot name {kind}", entry.name);
            let help = "names hold letters, digits, `_`, `-` and `.`";
            resolver.problem_with_help(&entry.place, message, help);
        }
    }
}
