//! Refusals as Amazon API Gateway words them, for clients that were written for it.
//!
//! Of an HTTP API they are fixed: `{"message": "Forbidden"}`. Of a REST API they are the
//! gateway responses that nobody customised ("Gateway response types" in its developer
//! guide), with the type of the error in `x-amzn-errortype`. Headers that a client can use
//! and Amazon's do not have, such as `retry-after`, stay.

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::admitted::Answer;
use crate::guard::Found;
use crate::incoming::BodyFault;
use crate::limits::ThrottleKind;
use crate::plugins::{Denial, Violation};
use crate::rejection::{Rejection, UpstreamFailure};

const HTTP_API_REQUEST_ID: HeaderName = HeaderName::from_static("apigw-requestid");
const REST_API_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// A gateway response of a REST API.
struct GatewayResponse {
    status: StatusCode,
    /// The type of the error.
    error: &'static str,
    body: Value,
}

impl Rejection {
    /// What the client of an HTTP API receives.
    pub(crate) fn answer_of_http_api(&self, request_id: &str) -> Answer {
        self.plugins_own().unwrap_or_else(|| {
            let (status, message) = self.in_http_api();
            let headers = self.reworded(request_id, HTTP_API_REQUEST_ID);
            Answer { status, headers, body: body(&json!({ "message": message })) }
        })
    }

    /// What the client of a REST API receives.
    pub(crate) fn answer_of_rest_api(&self, request_id: &str) -> Answer {
        self.plugins_own().unwrap_or_else(|| {
            let GatewayResponse { status, error, body: said } = self.in_rest_api();
            let mut headers = self.reworded(request_id, REST_API_REQUEST_ID);
            headers.insert(ERROR_TYPE, HeaderValue::from_static(error));
            Answer { status, headers, body: body(&said) }
        })
    }

    /// The headers of a refusal in other words.
    fn reworded(&self, request_id: &str, id_header: HeaderName) -> HeaderMap {
        let mut headers = self.headers();
        headers.remove(ALLOW);
        headers.remove(ACCEPT);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // An id is letters, digits and hyphens, which header values may hold.
        headers.extend(HeaderValue::from_str(request_id).map(|id| (id_header, id)));
        headers
    }

    fn in_http_api(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoSuchRoute | Self::MethodNotAllowed(_) => (StatusCode::NOT_FOUND, "Not Found"),
            Self::Guarded { .. } => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::BodyTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
            }
            Self::AuthorizerFault { .. } | Self::PluginFault { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
            Self::Upstream(_) => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            other => {
                let status = other.status();
                (status, status.canonical_reason().unwrap_or_default())
            }
        }
    }

    fn in_rest_api(&self) -> GatewayResponse {
        let (status, error, message) = match self {
            Self::NoSuchRoute | Self::MethodNotAllowed(_) => (
                StatusCode::FORBIDDEN,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token".to_owned(),
            ),
            Self::Denied { denial: Denial::Forbidden(_), .. }
            | Self::PolicyDenied
            | Self::InsufficientScope(_) => return access_denied(""),
            Self::PolicyExplicitDeny(_) => return access_denied(" with an explicit deny"),
            Self::AuthorizerFault { .. } => {
                return GatewayResponse {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    error: "AuthorizerFailureException",
                    body: json!({ "message": null }),
                };
            }
            Self::NoPlan(_) | Self::Preflight(_) => {
                plain(StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden")
            }
            Self::Guarded { found: Found::ContentType, .. } | Self::UnsupportedMediaType(_) => {
                let message = "Unsupported Media Type";
                plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BadRequestException", message)
            }
            Self::Guarded { .. } => {
                plain(StatusCode::FORBIDDEN, "WafFilteredException", "Forbidden")
            }
            Self::BodyTooLarge { .. } => {
                let message = "Request Too Long";
                plain(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", message)
            }
            Self::Throttled(throttled) if throttled.kind == ThrottleKind::Quota => {
                plain(self.status(), "LimitExceededException", "Limit Exceeded")
            }
            Self::Throttled(_) => {
                plain(self.status(), "TooManyRequestsException", "Too Many Requests")
            }
            Self::Denied { .. } => plain(self.status(), "UnauthorizedException", "Unauthorized"),
            Self::Invalid(violations) => {
                (StatusCode::BAD_REQUEST, "BadRequestException", invalid(violations))
            }
            Self::Malformed(_) | Self::PathUnmade(_) | Self::Body(BodyFault::Broken) => {
                plain(StatusCode::BAD_REQUEST, "BadRequestException", "Bad Request")
            }
            Self::Body(BodyFault::TimedOut) => {
                plain(self.status(), "RequestTimeoutException", "Request Timeout")
            }
            Self::Body(BodyFault::NoRoom) | Self::LimitsUnavailable => {
                plain(self.status(), "ServiceUnavailableException", "Service Unavailable")
            }
            Self::Upstream(UpstreamFailure::TimedOut) => {
                let message = "Endpoint request timed out";
                plain(StatusCode::GATEWAY_TIMEOUT, "InternalServerErrorException", message)
            }
            Self::Upstream(_) => internal("Network error communicating with endpoint"),
            Self::PluginFault { .. } => internal("Internal server error"),
        };
        GatewayResponse { status, error, body: json!({ "message": message }) }
    }
}

fn body(said: &Value) -> Bytes {
    Bytes::from(said.to_string())
}

fn plain(
    status: StatusCode,
    error: &'static str,
    message: &str,
) -> (StatusCode, &'static str, String) {
    (status, error, message.to_owned())
}

fn internal(message: &str) -> (StatusCode, &'static str, String) {
    plain(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerErrorException", message)
}

/// The one answer whose key has a capital letter.
fn access_denied(how: &str) -> GatewayResponse {
    let message = format!("User is not authorized to access this resource{how}");
    GatewayResponse {
        status: StatusCode::FORBIDDEN,
        error: "AccessDeniedException",
        body: json!({ "Message": message }),
    }
}

/// As Amazon's validator: every parameter that is missing, headers before paths before
/// queries, else the body. A parameter that is there and wrong, which it does not look at,
/// is said in words like those.
fn invalid(violations: &[Violation]) -> String {
    // What is there and blank is missing to it too.
    let is_missing = |violation: &&Violation| violation.message.starts_with("is required");
    let names = |of: &dyn Fn(&&Violation) -> bool| -> Vec<&str> {
        let mut parameters: Vec<(&str, &str)> = violations
            .iter()
            .filter(of)
            .filter_map(|violation| violation.location.split_once(':'))
            .filter(|(place, _)| ["header", "path", "query", "cookie"].contains(place))
            .collect();
        parameters.sort_unstable();
        parameters.into_iter().map(|(_, name)| name).collect()
    };
    let (missing, wrong) = (names(&is_missing), names(&|violation| !is_missing(violation)));
    if !missing.is_empty() {
        return format!("Missing required request parameters: [{}]", missing.join(", "));
    }
    if !wrong.is_empty() {
        return format!("Invalid request parameters: [{}]", wrong.join(", "));
    }
    "Invalid request body".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Throttled;

    fn throttled(kind: ThrottleKind) -> Rejection {
        let limits = vec!["plan-gold-quota".to_owned()];
        Rejection::Throttled(Throttled { kind, limits, retry_after_s: 7, fields: Vec::new() })
    }

    fn said(answer: &Answer) -> (u16, &str, &str) {
        let header = |name: &str| answer.headers.get(name).and_then(|it| it.to_str().ok());
        let body = std::str::from_utf8(&answer.body).unwrap();
        (answer.status.as_u16(), header("x-amzn-errortype").unwrap_or("-"), body)
    }

    #[test]
    fn a_spent_quota_is_told_from_a_throttle() {
        let answer = throttled(ThrottleKind::Quota).answer_of_rest_api("id");
        let expected = (429, "LimitExceededException", r#"{"message":"Limit Exceeded"}"#);
        assert_eq!(said(&answer), expected);
        assert_eq!(answer.headers.get("retry-after").unwrap(), "7");
        assert_eq!(answer.headers.get("x-amzn-requestid").unwrap(), "id");
        let answer = throttled(ThrottleKind::Rate).answer_of_rest_api("id");
        let expected = (429, "TooManyRequestsException", r#"{"message":"Too Many Requests"}"#);
        assert_eq!(said(&answer), expected);
        let answer = throttled(ThrottleKind::Quota).answer_of_http_api("id");
        assert_eq!(said(&answer), (429, "-", r#"{"message":"Too Many Requests"}"#));
        assert_eq!(answer.headers.get("apigw-requestid").unwrap(), "id");
    }

    #[test]
    fn missing_parameters_come_before_wrong_ones_and_these_before_the_body() {
        let violation = |location: &str, message: &str| Violation {
            location: location.to_owned(),
            message: message.to_owned(),
        };
        let (body, wrong) = (violation("/a", "is required"), violation("query:n", "is no number"));
        let missing = ["query:qs1", "header:x-a", "path:b"].map(|it| violation(it, "is required"));
        let all: Vec<_> = [body.clone(), wrong.clone()].into_iter().chain(missing).collect();
        assert_eq!(invalid(&all), "Missing required request parameters: [x-a, b, qs1]");
        assert_eq!(invalid(&[body.clone(), wrong]), "Invalid request parameters: [n]");
        assert_eq!(invalid(&[body]), "Invalid request body");
    }
}
