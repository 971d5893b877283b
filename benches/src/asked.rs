//! A request that plugins are asked about in this process, without a proxy around it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::{PluginUseId, Use};
use portcullis_pipeline::{
    Arrival, Call, HeldBody, Plugins as _, RouteFacts, Scheme, View, ViewParts,
};
use portcullis_plugin_host::{Engine, ImageState, PluginHost};

use crate::site::{Config, Site};

/// A request to ask about.
pub(crate) struct Asked {
    arrival: Arrival,
    /// The key of its route, which is also its method and path.
    key: &'static str,
    query: Option<&'static str>,
    headers: HeaderMap,
    body: HeldBody,
}

impl Asked {
    /// A request by the key of its route, such as `GET /asked`, at a time in milliseconds
    /// since 1970.
    pub(crate) fn new(key: &'static str, time_ms: u64) -> Self {
        let client = IpAddr::from(Ipv4Addr::LOCALHOST);
        let arrival = Arrival {
            id: "00000000000000000000000000000000".to_owned(),
            peer: (client, 9).into(),
            client,
            scheme: Scheme::Http,
            time_ms,
            tls: None,
        };
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost"));
        let body = HeldBody { complete: true, ..HeldBody::default() };
        Self { arrival, key, query: None, headers, body }
    }

    /// The same with a query.
    pub(crate) fn with_query(self, query: &'static str) -> Self {
        Self { query: Some(query), ..self }
    }

    /// The same with a header.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Result<Self> {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        Ok(self)
    }

    /// The same with a body.
    pub(crate) fn with_body(mut self, bytes: Vec<u8>) -> Self {
        self.body.bytes = bytes.into();
        self
    }

    /// As plugins are given it.
    pub(crate) fn parts(&self) -> ViewParts<'_> {
        let (method, path) = self.key.split_once(' ').unwrap_or(("GET", self.key));
        ViewParts {
            arrival: &self.arrival,
            method,
            authority: "localhost",
            raw_path: path,
            path,
            query: self.query,
            headers: &self.headers,
            body: Some(&self.body),
            route: Some(RouteFacts::Stated {
                key: self.key,
                api: "bench",
                parameters: &[],
                stage: None,
            }),
            identity: None,
        }
    }

    /// Asks the only plugin use of a host, an authorizer that grants, so often.
    pub(crate) async fn authorize(&self, host: &PluginHost, calls: u32) -> Result<()> {
        let target = Use { plugin: PluginUseId(0), argument: None };
        let parts = self.parts();
        for _ in 0..calls {
            let call = Call { target: &target, view: View::of(&parts) };
            let (answer, _) = host.authorize(call).await?;
            ensure!(answer.is_ok(), "the authorizer denied: {:?}", answer.err());
        }
        Ok(())
    }
}

/// Loads the configuration of a site whose only plugin use is this authorizer. `keys` are
/// lines of its table.
pub(crate) fn authorizer(engine: &Engine, site: &Site, keys: &str) -> Result<PluginHost> {
    let nobody = (Ipv4Addr::LOCALHOST, 9).into();
    site.configure(&Config::new(nobody, 1).authorizer("asked", keys))?;
    let gateway =
        portcullis_config::load(&site.config()).map_err(|problems| anyhow!("{problems}"))?;
    engine.load(&gateway, None).map_err(|problems| anyhow!("{problems}"))
}

/// Waits until fresh instances start from an image.
pub(crate) fn wait_for_image(host: &PluginHost, at_most: Duration) -> Result<()> {
    let deadline = Instant::now() + at_most;
    while !host.readings().iter().all(|reading| reading.image == ImageState::Ready) {
        ensure!(Instant::now() < deadline, "the image is not ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Waits until no image is being made, whether or not there is one then.
pub(crate) fn wait_while_images_are_made(host: &PluginHost, at_most: Duration) -> Result<()> {
    let deadline = Instant::now() + at_most;
    while host.readings().iter().any(|reading| reading.image == ImageState::Pending) {
        ensure!(Instant::now() < deadline, "an image is still being made");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
