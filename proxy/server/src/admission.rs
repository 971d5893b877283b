//! From a head that has been read to a request that goes on, or an answer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use pingora::protocols::http::ServerSession;
use pingora::proxy::{FailToProxy, Session};
use pingora::{Error, Result};
use portcullis_config::{Integration, Timeouts};
use portcullis_pipeline::{
    Admitted, Answer, Forward, HeldBody, Record, Rejection, ResponseNeed, UpstreamFailure,
};
use tokio::time::Instant;

use crate::arrival;
use crate::compression::{self, Compressor};
use crate::current::Running;
use crate::exchange::{Account, Exchange, Forwarded};
use crate::failure::{self, Failure};
use crate::forwarding::OutgoingBody;
use crate::guarded_stream;
use crate::held_bytes::Room;
use crate::held_session::{self, Collector, Due, Holding, ReplayedBody, ResponseJudge, Returns};
use crate::received::Received;
use crate::respond::{self, Connection};
use crate::shared::Shared;
use crate::strict_head::{self, HeadFault};
use crate::telemetry::{Asked, Finished};
use crate::upstream::UpstreamPool;

/// Decides about a request; whether it has been answered.
pub(crate) async fn admit(
    shared: &Shared,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<bool> {
    let client = &mut session.downstream_session;
    guarded_stream::head_arrived(client);
    shared.telemetry.exchange_began();
    let running = shared.current.load();
    prepare(client, &running);
    let peer = arrival::peer_address(client);
    let account = Account {
        id: rand::random(),
        client: peer.ip(),
        began: Instant::now(),
        record: Record::default(),
        routes: Arc::clone(&running.route_metrics),
        keep_alive: running.limits.keep_alive,
    };
    match check_head(client, &running) {
        Ok(()) => decide(shared, client, (account, peer, running), exchange).await,
        // Boxed, as answers are: what few requests need would make the future of all
        // of them larger, and each is moved as a whole.
        Err(fault) => {
            drop(running);
            Box::pin(refuse_head(client, account, fault, exchange)).await
        }
    }
}

/// Sets what the configuration says of a client's connection.
fn prepare(client: &mut ServerSession, running: &Running) {
    let limits = &running.limits;
    if client.is_upgrade_req() {
        // Where an upgrade is refused, nobody can tell body from protocol any more.
        client.set_keepalive(None);
    }
    client.set_pipelining_enabled(true);
    client.set_read_timeout(Some(limits.body_timeout));
    client.set_write_timeout(Some(limits.body_timeout));
}

fn check_head(client: &mut ServerSession, running: &Running) -> Result<(), HeadFault> {
    match client.as_http1() {
        Some(http1) => {
            strict_head::check_raw(&http1.get_headers_raw_bytes(), running.head_limits())?;
            guarded_stream::follow_body(client)?;
            arrival::to_origin_form(client)
        }
        None => {
            let head = client.req_header();
            strict_head::check_parsed(&head.uri, &head.headers, running.head_limits())
        }
    }
}

async fn refuse_head(
    client: &mut ServerSession,
    mut account: Account,
    fault: HeadFault,
    exchange: &mut Exchange,
) -> Result<bool> {
    account.record.decision = Some(failure::head_decision(fault));
    let id = arrival::request_id(account.id);
    *exchange = Exchange::Answered(Box::new(account));
    respond::respond(client, &failure::head_answer(fault, &id), &id, Connection::Close).await?;
    Ok(true)
}

async fn decide(
    shared: &Shared,
    client: &mut Box<ServerSession>,
    (mut account, peer, running): (Account, SocketAddr, Arc<Running>),
    exchange: &mut Exchange,
) -> Result<bool> {
    let arrival = arrival::arrival(client, &running.trusted_proxies, (account.id, peer));
    account.client = arrival.client;
    let room = shared.held_bytes.room(running.limits.held_body_bytes);
    let mut received = Received::new(client, room, running.limits.body_timeout);
    let admitted = running.pipeline.admit(arrival, &mut received, &mut account.record).await;
    let (held, room) = received.into_held();
    let going_on = match admitted {
        Ok(Admitted::Forward(forward)) => {
            going_on(&running, *forward).map(Ok).map_err(Rejection::from)
        }
        Ok(Admitted::Answer(answer)) => Ok(Err(answer)),
        Err(rejection) => Err(rejection),
    };
    match going_on {
        Ok(Ok((forward, pool))) => {
            *exchange = Exchange::Forwarding(Box::new(go_on(
                client,
                (account, running),
                (forward, pool),
                (held, room),
            )));
            Ok(false)
        }
        Ok(Err(answer)) => {
            drop(running);
            Box::pin(answer_with(client, account, answer, exchange)).await
        }
        Err(rejection) => {
            drop(running);
            account.record.decision = Some(rejection.decision());
            let answer = account.record.refusal(&rejection, &arrival::request_id(account.id));
            Box::pin(answer_with(client, account, answer, exchange)).await
        }
    }
}

async fn answer_with(
    client: &mut ServerSession,
    mut account: Account,
    answer: Answer,
    exchange: &mut Exchange,
) -> Result<bool> {
    let id = arrival::request_id(account.id);
    let compression = account.record.compression.take();
    *exchange = Exchange::Answered(Box::new(account));
    let answer = match &compression {
        Some(negotiated) => {
            let method = &client.req_header().method;
            compression::compressed(answer, negotiated, method)?
        }
        None => answer,
    };
    respond::respond(client, &answer, &id, Connection::Keep).await?;
    Ok(true)
}

/// Finds the upstream that a route's requests go to.
fn going_on(
    running: &Running,
    forward: Forward,
) -> Result<(Arc<Forward>, Arc<UpstreamPool>), UpstreamFailure> {
    let pool = match &forward.route.route.integration {
        Integration::Proxy { upstream, .. } => running.upstreams.find(upstream),
        Integration::Respond(_) => None,
    };
    let pool = pool.ok_or(UpstreamFailure::NoHealthyEndpoint)?;
    Ok((Arc::new(forward), Arc::clone(pool)))
}

/// Prepares an exchange for its upstream; puts another session in the place of the
/// client's where something is held or looked at. Only the response's judge keeps the
/// configuration.
fn go_on(
    client: &mut Box<ServerSession>,
    (mut account, running): (Account, Arc<Running>),
    (forward, pool): (Arc<Forward>, Arc<UpstreamPool>),
    (held, room): (HeldBody, Room),
) -> Forwarded {
    let need = running.pipeline.response_need(&forward);
    let body = replayed(&forward, &held);
    let outgoing = match &body {
        ReplayedBody::Streaming => OutgoingBody::Unread,
        ReplayedBody::Prefix(_) => OutgoingBody::Begun,
        ReplayedBody::Whole(bytes) => OutgoingBody::Whole(bytes.len()),
    };
    let peer = forward.arrival.peer.ip();
    let address = guarded_stream::address_text(client, peer);
    let peer = arrival::trust(peer, &running.trusted_proxies);
    let streams = outgoing == OutgoingBody::Unread || outgoing == OutgoingBody::Begun;
    // Over HTTP/1, Pingora times each read.
    let pause = (client.is_http2() && streams && !client.is_body_done())
        .then_some(running.limits.body_timeout);
    let due = due(&pool.spec().timeouts, account.began).pausing(pause);
    let mut returns: Option<Arc<Returns>> = None;
    let compressor = account.record.compression.clone().map(Compressor::new);
    let is_held = need != ResponseNeed::Nothing || outgoing != OutgoingBody::Unread;
    if is_held || due.is_set() || compressor.is_some() {
        let responses = (need != ResponseNeed::Nothing).then(|| ResponseJudge {
            running: Some(running),
            forward: Arc::clone(&forward),
            held,
            record: std::mem::take(&mut account.record),
            collector: Collector::new(need),
        });
        let holding = Holding { body, responses, compressor, due, room };
        returns = Some(held_session::install(client, holding));
    }
    Forwarded::new(account, (forward, pool), (need, outgoing, returns), (peer, address))
}

/// What Pingora does not time by itself. Its read timeout is the longer of the two an
/// upstream has, so that only a shorter wait for the first byte is left to watch.
fn due(timeouts: &Timeouts, began: Instant) -> Due {
    let first_byte = (timeouts.first_byte < timeouts.idle).then_some(timeouts.first_byte);
    Due::by(timeouts.total.map(|total| began + total), first_byte)
}

fn replayed(forward: &Forward, held: &HeldBody) -> ReplayedBody {
    if let Some(body) = &forward.outgoing.body {
        return ReplayedBody::Whole(body.clone());
    }
    match (held.bytes.is_empty(), held.complete) {
        (true, _) => ReplayedBody::Streaming,
        (false, true) => ReplayedBody::Whole(held.bytes.clone()),
        (false, false) => ReplayedBody::Prefix(held.bytes.clone()),
    }
}

/// Lets a piece of the body go on. What follows an upgrade is no body.
pub(crate) fn send(session: &Session, body: Option<&Bytes>, exchange: &mut Exchange) -> Result<()> {
    match body {
        Some(bytes) if !session.was_upgraded() => exchange.forwarded()?.send(bytes.len()),
        Some(_) | None => Ok(()),
    }
}

/// Tells the client why there is no response, where it can still be told.
pub(crate) async fn fail(
    session: &mut Session,
    error: &Error,
    exchange: &mut Exchange,
) -> FailToProxy {
    exchange.restore(&mut session.downstream_session);
    let body_limit = exchange.forwarded().map_or(0, |forwarded| forwarded.body_limit());
    let failure = failure::failure_of(error, body_limit);
    let id = exchange.account().map(|account| arrival::request_id(account.id)).unwrap_or_default();
    let is_open = session.response_written().is_none_or(|head| {
        head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS
    });
    let (decision, status) = match failure {
        Failure::ClientGone => (failure::client_gone(error), 0),
        Failure::Rejected(rejection) => {
            if is_open {
                let answer = match exchange.account() {
                    Some(account) => account.record.refusal(&rejection, &id),
                    None => rejection.answer(&id),
                };
                let client = &mut session.downstream_session;
                if let Err(error) = respond::respond(client, &answer, &id, Connection::Close).await
                {
                    tracing::debug!("the client did not take the answer: {error}");
                }
            }
            let mut decision = rejection.decision();
            decision.detail = format!("{}: {error}", decision.detail);
            (decision, rejection.status().as_u16())
        }
    };
    if let Some(account) = exchange.account() {
        account.record.decision.get_or_insert(decision);
    }
    FailToProxy { error_code: status, can_reuse_downstream: false }
}

/// Records an exchange that is over, and lets the connection serve the next.
pub(crate) fn conclude(shared: &Shared, session: &mut Session, exchange: &mut Exchange) {
    exchange.restore(&mut session.downstream_session);
    let upstream = exchange.upstream_part();
    let Some(account) = exchange.account() else { return };
    // Before anything else: the client may have the response, and ask again.
    account.record.permits.clear();
    let now = Instant::now();
    guarded_stream::head_expected(&session.downstream_session, now + account.keep_alive);
    shared.telemetry.exchange_ended();
    let client = &session.downstream_session;
    let head = client.req_header();
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let finished = Finished {
        record: &account.record,
        id: account.id,
        client: account.client,
        request: Asked {
            method: &head.method,
            host: host
                .or_else(|| head.uri.authority().map(|authority| authority.as_str()))
                .unwrap_or_default(),
            path: head.uri.path(),
        },
        status: client.response_written().map(|head| head.status),
        bytes: (client.body_bytes_read(), client.body_bytes_sent()),
        duration: now - account.began,
        upstream,
    };
    shared.telemetry.record(&finished, &account.routes);
}
