//! A plugin's answers, checked and in the pipeline's words.
//!
//! Whatever a guest says that the contract forbids becomes
//! [`PluginFault::BadAnswer`].

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portcullis_pipeline::{
    Answer, Denial, Grant, Identity, LimiterCharge, PluginFault, Reason, RequestEdit,
    RequestOutcome, ResponseEdit, ResponseOutcome, Value, Violation,
};
use portcullis_policy::Policy;

use super::exports::{authorizer, limiter, request_transform, response_transform, validator};
use super::imports::{edits, types};
use crate::credentials::CredentialSource;
use crate::load::PlannedLimit;

/// Bytes of the key of a charge.
const KEY_BYTES: usize = 256;
/// The most that a charge takes.
const MOST_COST: u64 = 1_000_000_000;
/// More violations than a client can use.
const MOST_VIOLATIONS: usize = 100;

/// Translates an authorizer's answer; attached policies are those of this store.
pub(crate) fn authorizer_answer(
    answer: Result<authorizer::Grant, authorizer::Denial>,
    store: Option<&dyn CredentialSource>,
) -> Result<Result<Grant, Denial>, PluginFault> {
    Ok(match answer {
        Ok(granted) => Ok(grant(granted, store)?),
        Err(authorizer::Denial::NotMine) => Err(Denial::NotMine),
        Err(authorizer::Denial::Unauthenticated(why)) => Err(Denial::Unauthenticated(reason(why)?)),
        Err(authorizer::Denial::Forbidden(why)) => Err(Denial::Forbidden(reason(why)?)),
        Err(authorizer::Denial::Unavailable(why)) => {
            return Err(PluginFault::Unavailable(why.code));
        }
        Err(authorizer::Denial::Respond(response)) => {
            Err(Denial::Respond(Box::new(self::answer(response)?)))
        }
    })
}

fn grant(
    granted: authorizer::Grant,
    store: Option<&dyn CredentialSource>,
) -> Result<Grant, PluginFault> {
    let policies = granted.policies.into_iter().map(|stated| policy(stated, store));
    Ok(Grant {
        identity: Arc::new(Identity {
            principal: granted.identity.principal,
            attributes: granted
                .identity
                .attributes
                .into_iter()
                .map(|a| (a.name, value(a.value)))
                .collect(),
            usage_key: granted.identity.usage_key,
        }),
        expires_at_ms: granted.expires_at,
        response_headers: headers(granted.response_headers)?,
        policies: policies.collect::<Result<_, _>>()?,
    })
}

fn policy(
    stated: authorizer::Policy,
    store: Option<&dyn CredentialSource>,
) -> Result<Arc<Policy>, PluginFault> {
    match stated {
        authorizer::Policy::Document(text) => {
            let problem = |problem| PluginFault::BadAnswer(format!("a policy: {problem}"));
            Policy::parse(&text).map(Arc::new).map_err(problem)
        }
        authorizer::Policy::Attached(id) => {
            store.map(|store| store.attached(&id)).ok_or_else(|| {
                let id = id.escape_debug();
                let what = format!("`{id}` has no policies: no store of credentials is granted");
                PluginFault::BadAnswer(what)
            })
        }
    }
}

fn reason(why: authorizer::Reason) -> Result<Reason, PluginFault> {
    Ok(Reason { code: why.code, public_text: why.public_text, headers: headers(why.headers)? })
}

fn value(said: types::Value) -> Value {
    match said {
        types::Value::Text(text) => Value::Text(text),
        types::Value::Integer(number) => Value::Integer(number),
        types::Value::Boolean(truth) => Value::Boolean(truth),
        types::Value::Texts(texts) => Value::Texts(texts),
        types::Value::Bytes(bytes) => Value::Bytes(bytes),
    }
}

/// Translates a validator's answer.
pub(crate) fn violations(found: Vec<validator::Violation>) -> Vec<Violation> {
    let violation =
        |v: validator::Violation| Violation { location: v.location, message: v.message };
    found.into_iter().take(MOST_VIOLATIONS).map(violation).collect()
}

/// Translates a limiter's answer, whose plan has these limits.
pub(crate) fn charges(
    said: Vec<limiter::Charge>,
    limits: &[PlannedLimit],
) -> Result<Vec<LimiterCharge>, PluginFault> {
    let mut charges: Vec<LimiterCharge> = Vec::with_capacity(said.len().min(limits.len()));
    for said in said {
        let bad = |why: &str| {
            let name = said.limit.escape_debug();
            PluginFault::BadAnswer(format!("a charge to the limit `{name}`: {why}"))
        };
        let limit = limits.iter().position(|limit| limit.name == said.limit);
        let limit = limit.ok_or_else(|| bad("the plan has no such limit"))?;
        if charges.iter().any(|other| other.limit == limit) {
            return Err(bad("another charge of this answer names it"));
        }
        if said.key.len() > KEY_BYTES {
            return Err(bad("its key is longer than 256 bytes"));
        }
        if said.cost > MOST_COST {
            return Err(bad("it costs more than 1000000000"));
        }
        charges.push(LimiterCharge { limit, key: said.key, cost: said.cost });
    }
    Ok(charges)
}

/// Translates a request-transform's answer.
pub(crate) fn request_outcome(
    outcome: request_transform::Outcome,
) -> Result<RequestOutcome, PluginFault> {
    Ok(match outcome {
        request_transform::Outcome::Edit(edits) => {
            RequestOutcome::Edit(edits.into_iter().map(request_edit).collect::<Result<_, _>>()?)
        }
        request_transform::Outcome::Respond(response) => RequestOutcome::Respond(answer(response)?),
    })
}

fn request_edit(edit: edits::RequestEdit) -> Result<RequestEdit, PluginFault> {
    Ok(match edit {
        edits::RequestEdit::SetHeader(said) => {
            let (name, value) = header(said)?;
            RequestEdit::SetHeader(name, value)
        }
        edits::RequestEdit::AppendHeader(said) => {
            let (name, value) = header(said)?;
            RequestEdit::AppendHeader(name, value)
        }
        edits::RequestEdit::RemoveHeader(name) => RequestEdit::RemoveHeader(header_name(&name)?),
        edits::RequestEdit::SetPath(path) => RequestEdit::SetPath(path),
        edits::RequestEdit::SetQuery(query) => RequestEdit::SetQuery(query),
        edits::RequestEdit::SetBody(body) => RequestEdit::SetBody(body.into()),
    })
}

/// Translates a response-transform's answer.
pub(crate) fn response_outcome(
    outcome: response_transform::Outcome,
) -> Result<ResponseOutcome, PluginFault> {
    Ok(match outcome {
        response_transform::Outcome::Edit(edits) => {
            ResponseOutcome::Edit(edits.into_iter().map(response_edit).collect::<Result<_, _>>()?)
        }
        response_transform::Outcome::Replace(response) => {
            ResponseOutcome::Replace(answer(response)?)
        }
    })
}

fn response_edit(edit: edits::ResponseEdit) -> Result<ResponseEdit, PluginFault> {
    Ok(match edit {
        edits::ResponseEdit::SetHeader(said) => {
            let (name, value) = header(said)?;
            ResponseEdit::SetHeader(name, value)
        }
        edits::ResponseEdit::AppendHeader(said) => {
            let (name, value) = header(said)?;
            ResponseEdit::AppendHeader(name, value)
        }
        edits::ResponseEdit::RemoveHeader(name) => ResponseEdit::RemoveHeader(header_name(&name)?),
        edits::ResponseEdit::SetStatus(code) => ResponseEdit::SetStatus(status(code)?),
        edits::ResponseEdit::SetBody(body) => ResponseEdit::SetBody(body.into()),
    })
}

fn answer(response: types::FullResponse) -> Result<Answer, PluginFault> {
    let mut map = HeaderMap::new();
    for (name, value) in headers(response.headers)? {
        map.append(name, value);
    }
    Ok(Answer { status: status(response.status)?, headers: map, body: Bytes::from(response.body) })
}

fn status(code: u16) -> Result<StatusCode, PluginFault> {
    match StatusCode::from_u16(code) {
        Ok(status) if (200..600).contains(&code) => Ok(status),
        _ => Err(PluginFault::BadAnswer(format!("status {code} is not between 200 and 599"))),
    }
}

fn headers(list: Vec<types::Header>) -> Result<Vec<(HeaderName, HeaderValue)>, PluginFault> {
    list.into_iter().map(header).collect()
}

fn header(said: types::Header) -> Result<(HeaderName, HeaderValue), PluginFault> {
    let name = header_name(&said.name)?;
    let value = HeaderValue::from_bytes(&said.value).map_err(|_| {
        PluginFault::BadAnswer(format!("header `{name}` has a value that cannot be sent"))
    })?;
    Ok((name, value))
}

fn header_name(name: &str) -> Result<HeaderName, PluginFault> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| PluginFault::BadAnswer(format!("`{}` is no header name", name.escape_debug())))
}
