//! What goes on beside the requests: names are resolved again, endpoints are probed.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use portcullis_config::{HealthCheck, HostRewrite};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, timeout};

use super::Upstreams;
use super::due::Due;
use super::endpoint::NamedEndpoint;
use super::health::Probe;
use super::pool::{Resolved, UpstreamPool};
use super::target::Target;

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(250);
/// How long resolving a name may take.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);
/// How soon a name that did not resolve is tried again.
const RESOLVE_AGAIN: Duration = Duration::from_secs(2);

/// Resolves and probes the endpoints of the current configuration until `shutdown`.
///
/// One task serves the whole process: it asks for `current` at every turn, so a reload
/// needs to tell it nothing.
pub(crate) async fn maintain(
    current: impl Fn() -> Arc<Upstreams>,
    shutdown: impl Future<Output = ()>,
) {
    let connector = Arc::new(Connector::new(None));
    let mut under_way = JoinSet::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = tick.tick() => start_due(&current(), &connector, &mut under_way),
            Some(ended) = under_way.join_next() => log_fault(ended),
        }
    }
}

/// Resolves every name that has no address yet.
pub(super) async fn resolve_unresolved(pools: &[Arc<UpstreamPool>]) {
    let mut under_way = JoinSet::new();
    for pool in pools {
        let set = pool.targets();
        let has_address = |resolved: &Resolved| {
            set.targets.iter().any(|target| target.belongs_to(resolved.endpoint()))
        };
        for resolved in pool.endpoints().iter().filter(|resolved| !has_address(resolved)) {
            if let Some(due) = resolved.resolve_due() {
                under_way.spawn(resolve(
                    Arc::clone(pool),
                    Arc::clone(resolved.endpoint()),
                    Arc::clone(due),
                ));
            }
        }
    }
    while let Some(ended) = under_way.join_next().await {
        log_fault(ended);
    }
}

fn start_due(upstreams: &Upstreams, connector: &Arc<Connector>, under_way: &mut JoinSet<()>) {
    let now = Instant::now();
    for pool in &upstreams.pools {
        for resolved in pool.endpoints() {
            let Some(due) = resolved.resolve_due() else { continue };
            if due.take(now, pool.spec().resolve_every + RESOLVE_DEADLINE) {
                let endpoint = Arc::clone(resolved.endpoint());
                under_way.spawn(resolve(Arc::clone(pool), endpoint, Arc::clone(due)));
            }
        }
        let Some(check) = &pool.spec().health_check else { continue };
        for target in &pool.targets().targets {
            if target.state.probe_due.take(now, check.interval + check.timeout) {
                under_way.spawn(probe(
                    Arc::clone(pool),
                    Arc::clone(target),
                    check.clone(),
                    Arc::clone(connector),
                ));
            }
        }
    }
}

/// Resolves the name of one endpoint. Where that fails, the last addresses stay.
async fn resolve(pool: Arc<UpstreamPool>, endpoint: Arc<NamedEndpoint>, due: Arc<Due>) {
    let again = match look_up(&endpoint).await {
        Ok(addresses) => {
            pool.replace_addresses(&endpoint, &addresses);
            pool.spec().resolve_every
        }
        Err(problem) => {
            let upstream = &pool.spec().name;
            tracing::warn!(%upstream, host = %endpoint.spec.host, %problem, "name not resolved");
            pool.spec().resolve_every.min(RESOLVE_AGAIN)
        }
    };
    due.set(Instant::now() + again);
}

/// The addresses of an endpoint's name, sorted; never empty.
async fn look_up(endpoint: &NamedEndpoint) -> io::Result<Vec<SocketAddr>> {
    let name = (endpoint.spec.host.as_str(), endpoint.spec.port);
    let found = timeout(RESOLVE_DEADLINE, tokio::net::lookup_host(name)).await??;
    let mut addresses: Vec<_> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses"));
    }
    Ok(addresses)
}

/// Probes one address and takes in what it answers.
async fn probe(
    pool: Arc<UpstreamPool>,
    target: Arc<Target>,
    check: HealthCheck,
    connector: Arc<Connector>,
) {
    let started = Instant::now();
    let asked = ask(&pool, &target, &check.path, &connector);
    let found = match timeout(check.timeout, asked).await {
        Ok(Ok(status)) if status.is_success() => Ok(()),
        Ok(Ok(status)) => Err(format!("answered {status}")),
        Ok(Err(problem)) => Err(problem.to_string()),
        Err(_elapsed) => Err("no answer in time".to_owned()),
    };
    let probe = if found.is_ok() { Probe::Passed } else { Probe::Failed };
    let (upstream, address) = (&pool.spec().name, target.address);
    match (target.state.health.probed(probe, &check), found) {
        (Some(_), Ok(())) => tracing::info!(%upstream, %address, "endpoint healthy again"),
        (Some(_), Err(problem)) => {
            tracing::warn!(%upstream, %address, %problem, "endpoint unhealthy");
        }
        (None, _) => {}
    }
    target.state.probe_due.set(started + check.interval);
}

/// Asks for `path` over a connection of its own, made the way requests make theirs.
async fn ask(
    pool: &UpstreamPool,
    target: &Target,
    path: &str,
    connector: &Connector,
) -> pingora::Result<StatusCode> {
    let host = match &pool.spec().host {
        HostRewrite::Preserve | HostRewrite::Endpoint => &target.endpoint.authority,
        HostRewrite::Literal(host) => host,
    };
    let mut head = RequestHeader::build("GET", path.as_bytes(), Some(2))?;
    head.insert_header(http::header::HOST, host)?;
    head.insert_header(http::header::USER_AGENT, "portcullis-health-check")?;

    let (mut exchange, _reused) = connector.get_http_session(&pool.probe_peer(target)).await?;
    exchange.write_request_header(Box::new(head)).await?;
    exchange.finish_request_body().await?;
    exchange.read_response_header().await?;
    let status = exchange.response_header().map(|head| head.status);
    exchange.shutdown().await;
    status.ok_or_else(|| pingora::Error::new_up(pingora::ErrorType::ReadError))
}

fn log_fault(ended: Result<(), JoinError>) {
    if let Err(fault) = ended {
        tracing::error!(%fault, "a probe or the resolution of a name broke off");
    }
}

#[cfg(test)]
mod tests {
    use portcullis_config::{Upstream, UpstreamProtocol};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::testing;
    use super::*;

    #[tokio::test]
    async fn a_probe_believes_only_a_2xx_answer() {
        let check = async |answer: &'static [u8], healthy| {
            let (pool, _asked) = probed(UpstreamProtocol::Http1, answer).await;
            assert_eq!(pool.health()[0].healthy, healthy);
        };

        check(b"HTTP/1.1 204 No Content\r\n\r\n", true).await;
        check(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", false).await;
        check(b"", false).await;
    }

    #[tokio::test]
    async fn a_probe_asks_as_a_request_would() {
        let (_, asked) = probed(UpstreamProtocol::Http1, b"").await;
        assert!(asked.starts_with("GET /healthz HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_ascii_lowercase().contains("\r\nhost: 127.0.0.1:"), "{asked}");

        let (_, asked) = probed(UpstreamProtocol::Http2, b"").await;
        assert!(asked.starts_with("PRI * HTTP/2.0\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_name_is_resolved_before_it_serves() {
        let spec = Arc::new(testing::upstream(&[("localhost", 80), ("nowhere.invalid", 80)]));
        let pools = [Arc::new(UpstreamPool::build(&spec, None).unwrap())];
        assert!(pools[0].targets().targets.is_empty());

        resolve_unresolved(&pools).await;

        assert!(pools[0].targets().targets.iter().all(|target| target.address.ip().is_loopback()));
        assert_eq!(pools[0].health().last().unwrap().address, None);
    }

    /// An upstream probed once, and what its endpoint was asked.
    async fn probed(
        protocol: UpstreamProtocol,
        answer: &'static [u8],
    ) -> (Arc<UpstreamPool>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let check = HealthCheck {
            path: "/healthz".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
            healthy_after: 1,
            unhealthy_after: 1,
        };
        let spec = Upstream {
            protocol,
            health_check: Some(check.clone()),
            ..testing::upstream(&[("127.0.0.1", port)])
        };
        let pool = Arc::new(UpstreamPool::build(&Arc::new(spec), None).unwrap());
        let target = Arc::clone(&pool.targets().targets[0]);
        let connector = Arc::new(Connector::new(None));

        let endpoint = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 1024];
            let length = connection.read(&mut asked).await.unwrap();
            connection.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        };
        let ((), asked) =
            tokio::join!(probe(Arc::clone(&pool), target, check, connector), endpoint);
        (pool, asked)
    }
}
