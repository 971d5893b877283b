//! Rewrites a request for its upstream, or answers it.

use http::{HeaderName, HeaderValue};
use portcullis_config::{Integration, Respond, Role, Use};

use crate::admitted::{Admitted, Answer, Forward, Outgoing};
use crate::edit::{BodyAccess, append_allowed, apply_to_request, without_reserved};
use crate::fill::{self, Known};
use crate::incoming::{HeldBody, Incoming};
use crate::mapping::map_request;
use crate::phase::authorize::Authorized;
use crate::phase::hold::{check_replaced, hold, hold_whole};
use crate::phase::identity_headers::identity_headers;
use crate::phase::skip_or_reject;
use crate::phase::validate::Validated;
use crate::plugins::{BodyMode, Call, PluginFault, Plugins, RequestOutcome};
use crate::record::{Decision, DecisionKind, Record};
use crate::rejection::Rejection;
use crate::respond::respond;
use crate::view::{View, ViewParts};

/// Applies the route's rewrite, its identity headers, its mapping and its transforms, in
/// order.
pub(crate) async fn transform_request<I: Incoming>(
    validated: Validated,
    plugins: &impl Plugins,
    incoming: &mut I,
    record: &mut Record,
) -> Result<Admitted, Rejection> {
    let authorized = validated.authorized();
    let route = authorized.routed().route();
    if let Some(limit) = route.request.as_ref().and_then(|mapping| mapping.body) {
        hold_whole(limit.min(route.body_limit), incoming).await?;
    }
    let subject = authorized.subject();
    let path = subject.route.rewritten(incoming.head().uri.path(), subject.path);
    let parts = subject.as_received(incoming);
    let headers = identity_headers(View::of(&parts), &route.identity_headers);
    let mut outgoing = Outgoing { headers, path, ..Outgoing::default() };
    if let Some(mapping) = &route.request {
        let body = mapping.body.and_then(|_| fill::json(incoming.held()));
        let known = Known { view: View::of(&parts), body, response: None };
        map_request(mapping, &known, subject, &mut outgoing)?;
    }
    for transform in &route.request_transforms {
        match ask(authorized, transform, plugins, incoming, &outgoing).await? {
            Ok(RequestOutcome::Edit(edits)) => {
                let access = access(plugins, transform);
                let applied =
                    apply_to_request(edits, &mut outgoing, &incoming.head().headers, access);
                if let Err(problem) = applied {
                    let fault = PluginFault::BadAnswer(problem.to_string());
                    skip_or_reject(plugins, transform.plugin, fault, record)?;
                }
            }
            Ok(RequestOutcome::Respond(answer)) => {
                let detail =
                    format!("request-transform `{}` answered", plugins.name(transform.plugin));
                record.decision = Some(Decision {
                    kind: DecisionKind::Answered,
                    code: "answered-by-plugin",
                    reason: None,
                    detail,
                });
                return Ok(answered(answer, validated));
            }
            Err(fault) => skip_or_reject(plugins, transform.plugin, fault, record)?,
        }
    }
    if let Integration::Respond(own) = &route.integration {
        let answer = answer(own, authorized, incoming).await?;
        record.decision = Some(Decision {
            kind: DecisionKind::Answered,
            code: "fixed-response",
            reason: None,
            detail: "the route is answered by the gateway itself".to_owned(),
        });
        return Ok(answered(answer, validated));
    }
    // The last chance: from here on the body streams past.
    if let Some(limit) = route.response.as_ref().and_then(|mapping| mapping.request_body) {
        hold_whole(limit.min(route.body_limit), incoming).await?;
    }
    for transform in &route.response_transforms {
        hold(plugins.reads(transform.plugin, Role::ResponseTransform), route.body_limit, incoming)
            .await?;
    }
    Ok(Admitted::Forward(Box::new(forward(validated, outgoing))))
}

/// Shows a transform the request as those before it left it. The outer result is
/// whether the body could be held, the inner one the transform's.
async fn ask<I: Incoming>(
    authorized: &Authorized,
    transform: &Use,
    plugins: &impl Plugins,
    incoming: &mut I,
    outgoing: &Outgoing,
) -> Result<Result<RequestOutcome, PluginFault>, Rejection> {
    let reads = plugins.reads(transform.plugin, Role::RequestTransform);
    let replaced = outgoing.body.clone().map(|bytes| HeldBody { bytes, complete: true });
    match &replaced {
        Some(body) => check_replaced(reads, body.bytes.len())?,
        None => hold(reads, authorized.routed().route().body_limit, incoming).await?,
    }
    let received = authorized.subject().as_received(incoming);
    let parts = ViewParts {
        path: outgoing.path.as_deref().unwrap_or(received.path),
        query: outgoing.query.as_ref().map_or(received.query, Option::as_deref),
        headers: outgoing.headers.as_ref().unwrap_or(received.headers),
        body: replaced.as_ref().or(received.body),
        ..received
    };
    Ok(plugins.transform_request(Call { target: transform, view: View::of(&parts) }).await)
}

/// The answer that the gateway itself gives.
async fn answer<I: Incoming>(
    own: &Respond,
    authorized: &Authorized,
    incoming: &mut I,
) -> Result<Answer, Rejection> {
    if let Some(limit) = own.request_body {
        hold_whole(limit.min(authorized.routed().route().body_limit), incoming).await?;
    }
    let parts = authorized.subject().as_received(incoming);
    let body = own.request_body.and_then(|_| fill::json(incoming.held()));
    Ok(respond(own, &Known { view: View::of(&parts), body, response: None }))
}

fn access(plugins: &impl Plugins, transform: &Use) -> BodyAccess {
    match plugins.reads(transform.plugin, Role::RequestTransform).body {
        BodyMode::Buffer(_) => BodyAccess::Buffered,
        BodyMode::None | BodyMode::Peek(_) => BodyAccess::Streaming,
    }
}

/// An answer in the place of the upstream's, with what the authorizer adds to it.
fn answered(answer: Answer, validated: Validated) -> Admitted {
    let (_, _, response_headers) = validated.into_authorized().into_parts();
    let mut headers = without_reserved(answer.headers);
    append_allowed(&mut headers, &response_headers);
    Admitted::Answer(Answer { headers, ..answer })
}

fn forward(validated: Validated, outgoing: Outgoing) -> Forward {
    let (routed, identity, response_headers) = validated.into_authorized().into_parts();
    let (received, route) = routed.into_parts();
    let (arrival, authority, path) = received.into_parts();
    let response_headers: Vec<(HeaderName, HeaderValue)> =
        response_headers.into_iter().filter(|(name, _)| !crate::edit::is_reserved(name)).collect();
    Forward { arrival, authority, path, route, identity, response_headers, outgoing }
}
