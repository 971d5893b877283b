//! An endpoint as configured, with the names that follow from it.

use http::HeaderValue;
use pingora::tls::ServerName;
use portcullis_config::{Endpoint, Upstream};

use super::UpstreamBuildError;

/// An endpoint and what it is called in `Host` and in certificates.
#[derive(Debug)]
pub(super) struct NamedEndpoint {
    pub(super) spec: Endpoint,
    /// The `Host` it expects.
    pub(super) authority: HeaderValue,
    /// The name its certificate must hold; empty without TLS.
    pub(super) tls_name: String,
}

impl NamedEndpoint {
    pub(super) fn build(spec: &Upstream, endpoint: &Endpoint) -> Result<Self, UpstreamBuildError> {
        Ok(Self {
            spec: endpoint.clone(),
            authority: authority(spec, endpoint)?,
            tls_name: tls_name(spec, endpoint)?,
        })
    }

    /// The endpoint as the configuration writes it.
    pub(super) fn label(&self) -> String {
        host_and_port(&self.spec)
    }

    /// Whether it is the same place, whatever its weight.
    pub(super) fn is_at(&self, other: &Endpoint) -> bool {
        (&self.spec.host, self.spec.port) == (&other.host, other.port)
    }
}

/// The endpoint's own `Host`: its port is left out where the scheme implies it.
fn authority(spec: &Upstream, endpoint: &Endpoint) -> Result<HeaderValue, UpstreamBuildError> {
    let implied = if spec.tls.is_some() { ":443" } else { ":80" };
    let text = host_and_port(endpoint);
    let text = text.strip_suffix(implied).unwrap_or(&text);
    HeaderValue::from_str(text).map_err(|_| UpstreamBuildError::Host {
        upstream: spec.name.clone(),
        host: endpoint.host.clone(),
    })
}

/// The name the certificate must hold. Checked here because Pingora verifies no
/// certificate of a peer without a name.
fn tls_name(spec: &Upstream, endpoint: &Endpoint) -> Result<String, UpstreamBuildError> {
    let Some(tls) = &spec.tls else { return Ok(String::new()) };
    let name = tls.name.as_ref().unwrap_or(&endpoint.host);
    match ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(name.clone()),
        Err(_) => {
            Err(UpstreamBuildError::TlsName { upstream: spec.name.clone(), name: name.clone() })
        }
    }
}

fn host_and_port(endpoint: &Endpoint) -> String {
    let Endpoint { host, port, .. } = endpoint;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
