//! Requests as a client sends them.

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use portcullis_pipeline::{Arrival, BodyFault, HeldBody, Incoming, Scheme};

/// A request whose body arrives when it is asked for.
pub(crate) struct Sent {
    head: Parts,
    held: HeldBody,
    body: Bytes,
    declared: Option<u64>,
    fault: Option<BodyFault>,
}

impl Sent {
    /// A request of a browser to `api.test`.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self::bare(method, target).header("host", "api.test")
    }

    /// A request without any header.
    pub(crate) fn bare(method: &str, target: &str) -> Self {
        let (head, ()) =
            Request::builder().method(method).uri(target).body(()).unwrap().into_parts();
        let held = HeldBody { bytes: Bytes::new(), complete: true };
        Self { head, held, body: Bytes::new(), declared: None, fault: None }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.head.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn version(mut self, version: http::Version) -> Self {
        self.head.version = version;
        self
    }

    /// A body whose length the head declares.
    pub(crate) fn body(mut self, body: &'static str) -> Self {
        self.declared = Some(body.len() as u64);
        self.chunked(body)
    }

    /// A body whose length shows at its end.
    pub(crate) fn chunked(mut self, body: &'static str) -> Self {
        self.body = Bytes::from_static(body.as_bytes());
        self.held.complete = false;
        self
    }

    /// A body that cannot be read.
    pub(crate) fn broken(mut self, fault: BodyFault) -> Self {
        self.fault = Some(fault);
        self.held.complete = false;
        self
    }
}

impl Incoming for Sent {
    fn head(&self) -> &Parts {
        &self.head
    }

    fn held(&self) -> &HeldBody {
        &self.held
    }

    fn declared_length(&self) -> Option<u64> {
        self.declared
    }

    async fn fill(&mut self, until: u64) -> Result<(), BodyFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.held.complete || self.held.bytes.len() as u64 >= until {
            return Ok(());
        }
        let most = self.body.len().min(usize::try_from(until).unwrap());
        self.held = HeldBody { bytes: self.body.slice(..most), complete: most == self.body.len() };
        Ok(())
    }
}

/// What is known of every request of these tests.
pub(crate) fn arrival() -> Arrival {
    Arrival {
        id: "r-1".into(),
        peer: "192.0.2.1:4711".parse().unwrap(),
        client: "192.0.2.1".parse().unwrap(),
        scheme: Scheme::Https,
        time_ms: 1_700_000_000_000,
        tls: None,
    }
}
