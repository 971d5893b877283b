//! Envoy: a proxy to compare with, without a filter or with one of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, free_address};

/// Where `cargo xtask bench` puts Envoy, below the target directory.
const PLACE: &str = "tools/envoy/envoy/_bin/envoy";

/// An Envoy of one worker, with a directory of its own.
pub(crate) struct Envoy {
    /// The process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _directory: TempDir,
}

impl Envoy {
    /// Passes everything on to `upstream`, over kept connections.
    pub(crate) fn proxy(upstream: SocketAddr) -> Result<Self> {
        Self::start(upstream, None)
    }

    /// Passes on what has a token of this issuer and audience, by this key set.
    pub(crate) fn with_tokens(
        upstream: SocketAddr,
        (issuer, audience, key_set): (&str, &str, &str),
    ) -> Result<Self> {
        let filter = json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": { "one": {
                    "issuer": issuer,
                    "audiences": [audience],
                    "forward": true,
                    "local_jwks": { "inline_string": key_set },
                } },
                "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "one" } }],
            },
        });
        Self::start(upstream, Some(filter))
    }

    /// Passes on what a bucket of this many tokens, refilled once in as many seconds, has
    /// tokens for.
    pub(crate) fn with_limit(upstream: SocketAddr, (tokens, seconds): (u32, u32)) -> Result<Self> {
        let always = json!({
            "runtime_key": "always",
            "default_value": { "numerator": 100, "denominator": "HUNDRED" },
        });
        let filter = json!({
            "name": "envoy.filters.http.local_ratelimit",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                "stat_prefix": "bench",
                "token_bucket": {
                    "max_tokens": tokens,
                    "tokens_per_fill": tokens,
                    "fill_interval": format!("{seconds}s"),
                },
                "filter_enabled": always,
                "filter_enforced": always,
            },
        });
        Self::start(upstream, Some(filter))
    }

    fn start(upstream: SocketAddr, filter: Option<Value>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let file = directory.path().join("envoy.json");
        fs::write(&file, config(address, upstream, filter).to_string())?;
        let program = program()?;
        let mut command = Command::new(&program);
        command
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"])
            .arg(&file)
            .stdin(Stdio::null());
        let mut process = Process::start(&mut command)
            .with_context(|| format!("{}: `cargo xtask bench` installs it", program.display()))?;
        process.wait_until_listening(address)?;
        Ok(Self { process, address, _directory: directory })
    }
}

/// The one that was installed for these measurements, or the machine's own.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let installed = own.ancestors().nth(2).map(|target| target.join(PLACE));
    Ok(installed.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("envoy")))
}

/// A configuration as small as Envoy's can be: one listener, one cluster, `filter`.
fn config(listen: SocketAddr, upstream: SocketAddr, filter: Option<Value>) -> Value {
    let address = |address: SocketAddr| {
        json!({ "socket_address": {
            "address": address.ip().to_string(), "port_value": address.port() } })
    };
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let filters: Vec<Value> = filter.into_iter().chain([router]).collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": { "virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "origin" } }] }] },
        "http_filters": filters,
    });
    json!({ "static_resources": {
        "listeners": [{
            "address": address(listen),
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager }] }] }],
        "clusters": [{
            "name": "origin", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": { "thresholds": [{ "max_connections": 1024, "max_requests": 1024 }] },
            "load_assignment": { "cluster_name": "origin", "endpoints": [{
                "lb_endpoints": [{ "endpoint": { "address": address(upstream) } }] }] } }],
    } })
}
