//! How an upstream is connected to, in Pingora's terms.

use std::net::SocketAddr;
use std::time::Duration;

use pingora::upstreams::peer::{ALPN, HttpPeer, PeerOptions};
use portcullis_config::{Timeouts, Upstream, UpstreamProtocol};

use super::UpstreamBuildError;
use super::tls::Credentials;

/// Streams on one HTTP/2 connection: what RFC 9113 recommends servers to allow at
/// least. The upstream's own limit counts where it is lower.
const HTTP2_STREAMS: usize = 100;
/// How often an HTTP/2 connection is asked whether it still lives.
const HTTP2_PING: Duration = Duration::from_secs(30);

/// What the peers of an upstream have in common.
#[derive(Debug)]
pub(super) struct PeerTemplate {
    credentials: Option<Credentials>,
    options: PeerOptions,
}

impl PeerTemplate {
    pub(super) fn build(spec: &Upstream) -> Result<Self, UpstreamBuildError> {
        let load = |tls| {
            Credentials::load(tls)
                .map_err(|problem| UpstreamBuildError::Tls { upstream: spec.name.clone(), problem })
        };
        let credentials = spec.tls.as_ref().map(load).transpose()?;
        let mut options = PeerOptions::new();
        set_timeouts(&mut options, &spec.timeouts);
        // Without TLS nothing is negotiated: Pingora speaks HTTP/2 at once where it is
        // the only version allowed, which is prior knowledge.
        options.alpn = match spec.protocol {
            UpstreamProtocol::Http1 => ALPN::H1,
            UpstreamProtocol::Http2 => ALPN::H2,
            UpstreamProtocol::Negotiate => ALPN::H2H1,
        };
        options.max_h2_streams = HTTP2_STREAMS;
        options.h2_ping_interval = Some(HTTP2_PING);
        options.ca = credentials.as_ref().and_then(|credentials| credentials.trusted.clone());
        Ok(Self { credentials, options })
    }

    /// The peer at `address` that shows a certificate for `tls_name`.
    pub(super) fn peer(&self, address: SocketAddr, tls_name: &str) -> HttpPeer {
        let tls = self.credentials.is_some();
        let mut peer = HttpPeer::new(address, tls, tls_name.to_owned());
        peer.options = self.options.clone();
        if let Some(credentials) = &self.credentials {
            peer.client_cert_key = credentials.shown.clone();
            peer.group_key = credentials.group;
        }
        peer
    }

    /// The same for a probe, whose connection is its own and is closed after it.
    pub(super) fn probe_peer(&self, address: SocketAddr, tls_name: &str) -> HttpPeer {
        let mut peer = self.peer(address, tls_name);
        peer.options.max_h2_streams = 1;
        peer.options.h2_ping_interval = None;
        peer
    }
}

/// Pingora's read timeout covers each read, the first as the later ones, so the longer
/// of the two is set. The shorter one, and the exchange's total, are for the caller to
/// hold the exchange to.
fn set_timeouts(options: &mut PeerOptions, timeouts: &Timeouts) {
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(timeouts.first_byte.max(timeouts.idle));
    options.write_timeout = Some(timeouts.idle);
    options.idle_timeout = Some(timeouts.keep_alive);
}
