//! What the tests of this module begin with.

use std::time::Duration;

use portcullis_config::{Balance, Endpoint, HostRewrite, Timeouts, Upstream, UpstreamProtocol};

/// A plain upstream with these endpoints.
pub(super) fn upstream(endpoints: &[(&str, u16)]) -> Upstream {
    let endpoint =
        |(host, port): &(&str, u16)| Endpoint { host: (*host).to_owned(), port: *port, weight: 1 };
    let wait = Duration::from_secs(1);
    Upstream {
        name: "orders".to_owned(),
        endpoints: endpoints.iter().map(endpoint).collect(),
        balance: Balance::RoundRobin,
        tls: None,
        protocol: UpstreamProtocol::Http1,
        host: HostRewrite::Preserve,
        timeouts: Timeouts {
            connect: wait,
            first_byte: wait,
            idle: wait,
            total: None,
            keep_alive: wait,
        },
        retries: 1,
        health_check: None,
        resolve_every: wait,
    }
}
