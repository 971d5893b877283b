//! `[upstreams.NAME]`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::names::Names;
use super::{Resolver, address, check_names, files};
use crate::document::{self, BalanceWord, HostWord, Protocol};
use crate::gateway::{
    Balance, CertificateFiles, Endpoint, HashKey, HealthCheck, HostRewrite, Timeouts, Upstream,
    UpstreamProtocol, UpstreamTls,
};
use crate::read::{Either, Named};

pub(super) fn upstreams(
    written: &Named<document::Upstream>,
    resolver: &mut Resolver<'_>,
) -> Names<Arc<Upstream>> {
    check_names("an upstream", written, resolver);
    let mut names = Names::new("upstream");
    for entry in &written.entries {
        let written = entry.value.as_ref();
        let upstream = written.map(|written| upstream(&entry.name, written, resolver));
        names.define(&entry.name, upstream.flatten().map(Arc::new));
    }
    names
}

fn upstream(
    name: &str,
    written: &document::Upstream,
    resolver: &mut Resolver<'_>,
) -> Option<Upstream> {
    let endpoints = endpoints(written, resolver);
    let balance = balance(&written.balance, resolver);
    let tls = match &written.tls {
        None | Some(Either::This(false)) => None,
        Some(Either::This(true)) => {
            Some(UpstreamTls { ca: None, name: None, client_certificate: None })
        }
        Some(Either::That(table)) => Some(tls(table, resolver)),
    };
    let protocol = protocol(written, tls.as_ref(), resolver);
    let host = host(&written.host, resolver);
    let health_check = written.health_check.as_ref().map(|check| health_check(check, resolver));
    Some(Upstream {
        name: name.to_owned(),
        endpoints: endpoints?,
        balance: balance?,
        tls,
        protocol,
        host: host?,
        timeouts: timeouts(&written.timeouts),
        retries: written.retries.0,
        health_check,
        resolve_every: written.resolve_every.0,
    })
}

/// The endpoints; never an empty list.
fn endpoints(written: &document::Upstream, resolver: &mut Resolver<'_>) -> Option<Vec<Endpoint>> {
    if written.endpoints.value.is_empty() {
        resolver.problem(&written.endpoints.place, "an upstream needs at least one endpoint");
        return None;
    }
    let mut endpoints = Vec::new();
    for endpoint in &written.endpoints.value {
        let (address, weight) = match endpoint {
            Either::This(address) => (address, 1),
            Either::That(table) => (&table.address, table.weight.0),
        };
        let found = address::to_reach(address, resolver);
        endpoints.extend(found.map(|at| Endpoint { host: at.host, port: at.port, weight }));
    }
    (endpoints.len() == written.endpoints.value.len()).then_some(endpoints)
}

fn balance(written: &document::Balance, resolver: &mut Resolver<'_>) -> Option<Balance> {
    let key = match written {
        Either::This(BalanceWord::RoundRobin) => return Some(Balance::RoundRobin),
        Either::This(BalanceWord::LeastConnections) => return Some(Balance::LeastConnections),
        Either::This(BalanceWord::PowerOfTwo) => return Some(Balance::PowerOfTwo),
        Either::That(table) => &table.consistent_hash,
    };
    let found = match (key.value.as_str(), key.value.strip_prefix("header:")) {
        ("client-address", _) => Some(HashKey::ClientAddress),
        ("path", _) => Some(HashKey::Path),
        (_, Some(name)) => HeaderName::try_from(name).ok().map(HashKey::Header),
        _ => None,
    };
    if found.is_none() {
        let message = format!("`{}` is nothing to take a hash of", key.value);
        let help = "known: `client-address`, `path`, `header:NAME`";
        resolver.problem_with_help(&key.place, message, help);
    }
    found.map(Balance::ConsistentHash)
}

fn tls(written: &document::UpstreamTls, resolver: &mut Resolver<'_>) -> UpstreamTls {
    let mut existing = |file: &Option<_>| file.as_ref().map(|file| files::existing(file, resolver));
    let (ca, certificate, key) =
        (existing(&written.ca), existing(&written.certificate), existing(&written.key));
    if written.whole && certificate.is_some() != key.is_some() {
        let message = "a client certificate needs both `certificate` and `key`";
        resolver.problem(&written.place, message);
    }
    let pair = certificate.zip(key);
    let client_certificate = pair.map(|(certificate, key)| CertificateFiles { certificate, key });
    UpstreamTls { ca, name: written.name.clone(), client_certificate }
}

fn protocol(
    written: &document::Upstream,
    tls: Option<&UpstreamTls>,
    resolver: &mut Resolver<'_>,
) -> UpstreamProtocol {
    match &written.protocol {
        None if tls.is_some() => UpstreamProtocol::Negotiate,
        None => UpstreamProtocol::Http1,
        Some(protocol) => match protocol.value {
            Protocol::Http1 => UpstreamProtocol::Http1,
            Protocol::Http2 => UpstreamProtocol::Http2,
            Protocol::Negotiate => {
                if tls.is_none() && written.whole {
                    let message =
                        "a protocol is negotiated within TLS, which this upstream has not";
                    let help = "write `http1` or `http2`, or add `tls = true`";
                    resolver.problem_with_help(&protocol.place, message, help);
                }
                UpstreamProtocol::Negotiate
            }
        },
    }
}

fn host(written: &document::Host, resolver: &mut Resolver<'_>) -> Option<HostRewrite> {
    let literal = match written {
        Either::This(HostWord::Preserve) => return Some(HostRewrite::Preserve),
        Either::This(HostWord::Endpoint) => return Some(HostRewrite::Endpoint),
        Either::That(table) => &table.literal,
    };
    let authority = literal.value.parse::<http::uri::Authority>().is_ok();
    let header = HeaderValue::from_str(&literal.value).ok().filter(|_| authority);
    if header.is_none() || literal.value.contains('@') {
        resolver.problem(&literal.place, format!("`{}` is no host", literal.value));
    }
    header.map(HostRewrite::Literal)
}

fn timeouts(written: &document::Timeouts) -> Timeouts {
    Timeouts {
        connect: written.connect.0,
        first_byte: written.first_byte.0,
        idle: written.idle.0,
        total: written.total.map(|total| total.0),
        keep_alive: written.keep_alive.0,
    }
}

fn health_check(written: &document::HealthCheck, resolver: &mut Resolver<'_>) -> HealthCheck {
    let path = &written.path;
    if !path.value.starts_with('/') || path.value.parse::<http::uri::PathAndQuery>().is_err() {
        let message = format!("`{}` is no path to ask for", path.value);
        resolver.problem_with_help(&path.place, message, "a path starts with `/`");
    }
    HealthCheck {
        path: path.value.clone(),
        interval: written.interval.0,
        timeout: written.timeout.0,
        healthy_after: written.healthy_after.0,
        unhealthy_after: written.unhealthy_after.0,
    }
}
