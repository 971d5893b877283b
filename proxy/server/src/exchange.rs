//! How far one exchange has come. Pingora carries it from callback to callback.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use portcullis_pipeline::{Forward, Record, ResponseNeed};
use tokio::time::Instant;

use crate::arrival::Peer;
use crate::failure::{self, Attempt, BODY_TOO_LARGE, NO_ENDPOINT};
use crate::forwarding::{self, Forwarding, OutgoingBody, ResponseBody};
use crate::held_session::{self, Returns};
use crate::telemetry::{RouteMetrics, UpstreamPart};
use crate::upstream::{EndpointIndex, HashInput, Lease, Outcome, UpstreamPool};

/// How far one exchange has come.
pub(crate) enum Exchange {
    /// Its request has not been decided yet.
    Arriving,
    /// The gateway answered.
    Answered(Box<Account>),
    /// The upstream will answer.
    Forwarding(Box<Forwarded>),
}

/// What is told of an exchange when it is over. Without the configuration it began with,
/// which it may outlive by days.
pub(crate) struct Account {
    /// The metrics of the routes it was decided by.
    pub(crate) routes: Arc<RouteMetrics>,
    /// How long its connection may wait for the next request.
    pub(crate) keep_alive: Duration,
    /// The request's id.
    pub(crate) id: u128,
    /// The client, through trusted proxies.
    pub(crate) client: IpAddr,
    /// When its head had arrived.
    pub(crate) began: Instant,
    /// What the pipeline learnt.
    pub(crate) record: Record,
}

/// An exchange that goes to an upstream.
pub(crate) struct Forwarded {
    pub(crate) account: Account,
    forward: Arc<Forward>,
    pool: Arc<UpstreamPool>,
    need: ResponseNeed,
    body: OutgoingBody,
    peer: Peer,
    /// The peer's address as text.
    address: HeaderValue,
    /// Where the client's session is, while another stands in its place.
    returns: Option<Arc<Returns>>,
    tries: Tries,
    /// Bytes of the body sent on in this try.
    sent: u64,
}

/// The endpoints tried so far.
#[derive(Default)]
struct Tries {
    tried: Vec<EndpointIndex>,
    lease: Option<Lease>,
    count: u32,
    stale: u32,
    last_error: Option<ErrorType>,
    began: Option<Instant>,
    answered: Option<Duration>,
}

impl Tries {
    /// No endpoint is left: what the last one met is what the client hears of.
    fn exhausted(&self) -> Box<Error> {
        match &self.last_error {
            Some(etype) => Error::explain(etype.clone(), "and no other endpoint is left").into_up(),
            None => Error::explain(NO_ENDPOINT, "no endpoint can be tried"),
        }
    }
}

impl Exchange {
    /// What is told of it; `None` before anything is known.
    pub(crate) fn account(&mut self) -> Option<&mut Account> {
        match self {
            Self::Arriving => None,
            Self::Answered(account) => Some(account),
            Self::Forwarding(forwarded) => Some(&mut forwarded.account),
        }
    }

    /// The exchange as one that goes to an upstream.
    pub(crate) fn forwarded(&mut self) -> Result<&mut Forwarded> {
        match self {
            Self::Forwarding(forwarded) => Ok(forwarded),
            Self::Arriving | Self::Answered(_) => Error::e_explain(
                ErrorType::InternalError,
                "an exchange went on that was not admitted",
            ),
        }
    }

    /// Gives the client's own session back to Pingora.
    pub(crate) fn restore(&mut self, session: &mut Box<ServerSession>) {
        let Self::Forwarding(forwarded) = self else { return };
        let Some(returns) = forwarded.returns.take() else { return };
        if let Some(learnt) = held_session::restore(session, &returns) {
            forwarded.account.record = learnt;
        }
    }

    /// The upstream's part in it.
    pub(crate) fn upstream_part(&self) -> Option<UpstreamPart> {
        let Self::Forwarding(forwarded) = self else { return None };
        let tries = &forwarded.tries;
        let endpoint = tries.lease.as_ref()?.address();
        Some(UpstreamPart { endpoint, first_byte: tries.answered, tries: tries.count })
    }
}

impl Forwarded {
    /// An exchange that no endpoint has been tried for.
    pub(crate) fn new(
        account: Account,
        (forward, pool): (Arc<Forward>, Arc<UpstreamPool>),
        held: (ResponseNeed, OutgoingBody, Option<Arc<Returns>>),
        (peer, address): (Peer, HeaderValue),
    ) -> Self {
        let (need, body, returns) = held;
        let tries = Tries::default();
        Self { account, forward, pool, need, body, peer, address, returns, tries, sent: 0 }
    }

    /// Chooses the next endpoint.
    pub(crate) fn next_peer(&mut self, client: &RequestHeader) -> Result<Box<HttpPeer>> {
        let input = HashInput {
            client_address: self.forward.arrival.client,
            headers: &client.headers,
            path: self.forward.path.as_str(),
        };
        let now = Instant::now();
        let lease = self.pool.choose(&input, &self.tries.tried, now.into_std());
        let lease = lease.ok_or_else(|| self.tries.exhausted())?;
        let peer = Box::new(self.pool.peer(&lease));
        self.tries.count += 1;
        self.tries.began = Some(now);
        self.tries.lease = Some(lease);
        self.sent = 0;
        Ok(peer)
    }

    /// Turns the client's head into what the upstream sees.
    pub(crate) fn rewrite(&self, head: &mut RequestHeader, client: &RequestHeader) -> Result<()> {
        let Some(lease) = &self.tries.lease else {
            return Error::e_explain(ErrorType::InternalError, "a head is written to no endpoint");
        };
        let spec = self.pool.spec();
        let facts = Forwarding {
            forward: &self.forward,
            peer: self.peer,
            address: &self.address,
            host: &spec.host,
            endpoint: lease.authority(),
            protocol: spec.protocol,
            body: self.body,
            response_body: match self.need {
                ResponseNeed::Nothing | ResponseNeed::Head => ResponseBody::Passes,
                ResponseNeed::Peek(_) | ResponseNeed::Whole(_) => ResponseBody::Read,
            },
        };
        forwarding::rewrite(head, client, &facts)
    }

    /// Counts body bytes on their way, which must not be more than the route takes.
    pub(crate) fn send(&mut self, bytes: usize) -> Result<()> {
        self.sent = self.sent.saturating_add(bytes as u64);
        let is_measured = matches!(self.body, OutgoingBody::Whole(_));
        if !is_measured && self.sent > self.body_limit() {
            let error = Error::explain(BODY_TOO_LARGE, "the body is longer than its route takes");
            // The client's: Pingora waits for the answer of an upstream over HTTP/2 otherwise.
            return Err(error.into_down());
        }
        Ok(())
    }

    /// Bytes a body of the route may have.
    pub(crate) fn body_limit(&self) -> u64 {
        self.forward.route.route.body_limit
    }

    /// Notes that the endpoint answers.
    pub(crate) fn answered(&mut self) {
        if self.tries.answered.is_none() {
            let now = Instant::now();
            self.tries.answered = self.tries.began.map(|began| now - began);
            self.report(Outcome::Answered, now);
        }
    }

    /// Takes in that the endpoint failed; whether another is to be tried.
    pub(crate) fn failed(&mut self, error: &Error, attempt: Attempt) -> bool {
        self.tries.last_error = Some(error.etype().clone());
        let stale = failure::is_stale(error, attempt);
        if stale {
            self.tries.stale += 1;
        } else if let Some(outcome) = Outcome::of_error(error) {
            self.report(outcome, Instant::now());
        }
        let tries = (self.tries.count - self.tries.stale.min(self.tries.count), self.tries.stale);
        let is_open = self.tries.answered.is_none();
        let again = is_open && failure::may_retry(error, attempt, tries, self.pool.spec().retries);
        // Of a stale connection the endpoint is not at fault.
        if again && !stale {
            self.tries.tried.extend(self.tries.lease.as_ref().map(Lease::index));
        }
        again
    }

    /// Prepares the response's head for the client, before transforms see it.
    pub(crate) fn respond(&self, head: &mut ResponseHeader) -> Result<()> {
        forwarding::strip_response(head);
        if head.status.is_informational() && head.status != http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        for (name, value) in &self.forward.response_headers {
            head.append_header(name.clone(), value.clone())?;
        }
        // Where somebody judges the response, the record is theirs, and so is this.
        if let Some(cors) = &self.account.record.cors {
            forwarding::set_cors(head, cors)?;
        }
        head.insert_header(crate::respond::REQUEST_ID, self.forward.arrival.id.as_str())
    }

    fn report(&self, outcome: Outcome, now: Instant) {
        if let Some(lease) = &self.tries.lease {
            self.pool.report(lease, outcome, now.into_std());
        }
    }
}
