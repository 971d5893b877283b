//! Rewrites a response for its client, or replaces it.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use portcullis_config::{ResponseMapping, Role, Use};

use crate::admitted::{Answer, Forward};
use crate::edit::{BodyAccess, apply_to_response, without_reserved};
use crate::fill::{self, Known, KnownResponse};
use crate::incoming::HeldBody;
use crate::mapping::map_response;
use crate::phase::skip_or_reject;
use crate::pipeline::Answered;
use crate::plugins::{BodyMode, Call, PluginFault, Plugins, ResponseCall, ResponseOutcome};
use crate::record::{Decision, DecisionKind, Record};
use crate::rejection::{Rejection, UpstreamFailure};
use crate::view::{Subject, View, ViewParts};

/// A forwarded request, as the client sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// What was decided of it.
    pub(crate) forward: &'a Forward,
    /// Its head.
    pub(crate) head: &'a Parts,
    /// What is held of its body.
    pub(crate) held: &'a HeldBody,
}

/// Asks the route's response-transforms, in order, with the request as the client
/// sent it and the response as the transforms before left it; then applies its mapping.
pub(crate) async fn transform_response(
    request: Request<'_>,
    response: (StatusCode, HeaderMap),
    mut body: HeldBody,
    plugins: &impl Plugins,
    record: &mut Record,
) -> Result<Answered, Rejection> {
    let parts = view_parts(request);
    let mut edited: (StatusCode, HeaderMap, Option<Bytes>) = (response.0, response.1, None);
    for transform in &request.forward.route.route.response_transforms {
        let access = access(plugins, transform, &body)?;
        let call = ResponseCall {
            request: Call { target: transform, view: View::of(&parts) },
            status: edited.0,
            headers: &edited.1,
            body: Some(&body),
        };
        match plugins.transform_response(call).await {
            Ok(ResponseOutcome::Edit(edits)) => match apply_to_response(edits, &mut edited, access)
            {
                Ok(()) => {
                    if let Some(bytes) = &edited.2 {
                        body = HeldBody { bytes: bytes.clone(), complete: true };
                    }
                }
                Err(problem) => {
                    let fault = PluginFault::BadAnswer(problem.to_string());
                    skip_or_reject(plugins, transform.plugin, fault, record)?;
                }
            },
            Ok(ResponseOutcome::Replace(answer)) => {
                let detail =
                    format!("response-transform `{}` answered", plugins.name(transform.plugin));
                record.decision = Some(Decision {
                    kind: DecisionKind::Answered,
                    code: "answered-by-plugin",
                    reason: None,
                    detail,
                });
                let headers = without_reserved(answer.headers);
                return Ok(Answered::Replaced(Answer { headers, ..answer }));
            }
            Err(fault) => skip_or_reject(plugins, transform.plugin, fault, record)?,
        }
    }
    if let Some(mapping) = &request.forward.route.route.response {
        check_length(mapping.body, &body)?;
        map(mapping, View::of(&parts), &mut edited, &body);
    }
    let (status, headers, body) = edited;
    Ok(Answered::Edited { status, headers, body })
}

/// Applies the route's mapping to what the transforms left.
fn map(
    mapping: &ResponseMapping,
    view: View<'_>,
    edited: &mut (StatusCode, HeaderMap, Option<Bytes>),
    body: &HeldBody,
) {
    let received = edited.1.clone();
    let known = Known {
        view,
        body: mapping.request_body.and(view.body()).and_then(fill::json),
        response: Some(KnownResponse {
            status: edited.0,
            headers: &received,
            body: mapping.body.and_then(|_| fill::json(body)),
        }),
    };
    let mut head = (edited.0, std::mem::take(&mut edited.1));
    map_response(mapping, &known, edited.0, &mut head);
    (edited.0, edited.1) = head;
}

/// Refuses a response that is longer than may be held.
fn check_length(limit: Option<u64>, body: &HeldBody) -> Result<(), Rejection> {
    let is_more = |limit| u64::try_from(body.bytes.len()).is_ok_and(|length| length > limit);
    match limit {
        Some(limit) if !body.complete || is_more(limit) => {
            Err(Rejection::Upstream(UpstreamFailure::ResponseTooLarge))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a response that is longer than a transform takes whole.
fn access(
    plugins: &impl Plugins,
    transform: &Use,
    body: &HeldBody,
) -> Result<BodyAccess, Rejection> {
    match plugins.reads(transform.plugin, Role::ResponseTransform).response_body {
        BodyMode::None | BodyMode::Peek(_) => Ok(BodyAccess::Streaming),
        BodyMode::Buffer(limit) => {
            let fits = u64::try_from(body.bytes.len()).is_ok_and(|length| length <= limit);
            if body.complete && fits {
                Ok(BodyAccess::Buffered)
            } else {
                Err(Rejection::Upstream(UpstreamFailure::ResponseTooLarge))
            }
        }
    }
}

fn view_parts(request: Request<'_>) -> ViewParts<'_> {
    let forward = request.forward;
    let subject = Subject {
        arrival: &forward.arrival,
        authority: &forward.authority,
        path: &forward.path,
        route: &forward.route,
        identity: forward.identity.as_deref(),
    };
    subject.parts(request.head, request.held)
}
