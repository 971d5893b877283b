//! What the client receives of a refusal: headers, which stay whatever its words are, and a
//! body of problem details (RFC 9457). `aws.rs` has other words for the same headers.

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::{Rejection, denial_reason};
use crate::admitted::Answer;
use crate::edit::{append_allowed, without_reserved};
use crate::guard::Found;
use crate::plugins::{Denial, Violation};

/// Until another try may be worth it where limits cannot be counted, in seconds.
const LIMITS_RETRY_AFTER_S: u64 = 1;
/// The type of problem that the draft of the `RateLimit` fields registers.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

impl Rejection {
    /// What the client receives: `application/problem+json` (RFC 9457).
    pub fn answer(&self, request_id: &str) -> Answer {
        self.plugins_own().unwrap_or_else(|| {
            let mut headers = self.headers();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            let body = Bytes::from(self.problem(request_id).to_string());
            Answer { status: self.status(), headers, body }
        })
    }

    /// What a plugin answers itself, which stays as it is.
    pub(super) fn plugins_own(&self) -> Option<Answer> {
        let Self::Denied { denial: Denial::Respond(answer), .. } = self else { return None };
        let headers = without_reserved(answer.headers.clone());
        Some(Answer { headers, ..Answer::clone(answer) })
    }

    /// What a client can go by whatever the words are; all headers but the body's type.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::MethodNotAllowed(methods)
            | Self::Guarded { found: Found::Method(methods), .. } => {
                headers.extend(allow(methods).map(|methods| (ALLOW, methods)));
            }
            Self::Denied { denial, challenges } => {
                let reason = denial_reason(denial);
                let said = reason.map(|reason| reason.headers.as_slice()).unwrap_or_default();
                append_allowed(&mut headers, said);
                if self.status() == StatusCode::UNAUTHORIZED {
                    challenge_with(challenges, &mut headers);
                }
            }
            Self::UnsupportedMediaType(taken) => {
                // Media ranges are tokens, which header values may hold.
                headers.extend(HeaderValue::try_from(taken.join(", ")).map(|it| (ACCEPT, it)));
            }
            Self::InsufficientScope(scopes) => {
                headers.extend(challenge(scopes).map(|challenge| (WWW_AUTHENTICATE, challenge)));
            }
            Self::Throttled(throttled) => {
                headers.insert(RETRY_AFTER, throttled.retry_after_s.into());
                headers.extend(throttled.fields.iter().cloned());
            }
            Self::LimitsUnavailable => {
                headers.insert(RETRY_AFTER, LIMITS_RETRY_AFTER_S.into());
            }
            Self::Malformed(_)
            | Self::NoSuchRoute
            | Self::Preflight(_)
            | Self::Guarded { .. }
            | Self::PathUnmade(_)
            | Self::BodyTooLarge { .. }
            | Self::Body(_)
            | Self::AuthorizerFault { .. }
            | Self::PolicyDenied
            | Self::PolicyExplicitDeny(_)
            | Self::NoPlan(_)
            | Self::Invalid(_)
            | Self::PluginFault { .. }
            | Self::Upstream(_) => {}
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers
    }

    /// The problem's details (RFC 9457, section 3), with what some problems say beside them.
    fn problem(&self, request_id: &str) -> Value {
        let status = self.status();
        let mut problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": self.code(),
            "request_id": request_id,
        });
        match self {
            Self::Denied { denial, .. } => {
                let reason = denial_reason(denial);
                if let Some(text) = reason.and_then(|reason| reason.public_text.as_deref()) {
                    set(&mut problem, "detail", text.into());
                }
            }
            Self::Throttled(throttled) => {
                set(&mut problem, "type", QUOTA_EXCEEDED.into());
                set(&mut problem, "violated-policies", json!(throttled.limits));
            }
            Self::Invalid(violations) => {
                set(&mut problem, "violations", violations.iter().map(violation).collect());
            }
            _ => {}
        }
        problem
    }
}

fn allow(methods: &[Method]) -> Option<HeaderValue> {
    let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
    // Methods are tokens, which header values may hold.
    HeaderValue::try_from(methods.join(", ")).ok()
}

/// Tells a client how it may identify itself (RFC 9110, section 11.6.1), each way once,
/// unless the plugin has told it.
fn challenge_with(challenges: &[HeaderValue], headers: &mut HeaderMap) {
    if headers.contains_key(WWW_AUTHENTICATE) {
        return;
    }
    for challenge in challenges {
        if headers.get_all(WWW_AUTHENTICATE).iter().all(|said| said != challenge) {
            headers.append(WWW_AUTHENTICATE, challenge.clone());
        }
    }
}

/// What a client needs to ask its authorization server for (RFC 6750 §3.1).
fn challenge(scopes: &[String]) -> Option<HeaderValue> {
    let scopes = scopes.join(" ");
    // Scopes are tokens without quotes, which header values may hold.
    HeaderValue::try_from(format!(r#"Bearer error="insufficient_scope", scope="{scopes}""#)).ok()
}

fn set(problem: &mut Value, member: &str, value: Value) {
    if let Value::Object(members) = problem {
        members.insert(member.to_owned(), value);
    }
}

fn violation(violation: &Violation) -> Value {
    json!({ "location": violation.location, "message": violation.message })
}
