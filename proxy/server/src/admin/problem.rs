//! Why a request of an operator is refused.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use portcullis_state::StateError;
use serde_json::json;

use crate::usage::CommonUsageProblem;

/// Why a request of an operator is refused. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// Nothing is there, or not for whoever asks.
    #[error("nothing is at this path")]
    NoSuchRoute,
    /// Something is there, but not for this method.
    #[error("this path has no such method")]
    MethodNotAllowed,
    /// A page in a browser has sent it.
    #[error("requests with `Origin` come from browsers, which have no business here")]
    Origin,
    /// A name of somebody else's may resolve to us.
    #[error("`Host` is to be an address, `localhost` or one of `admin.hosts`")]
    Host,
    /// The token is missing, or another.
    #[error("the admin token is to come as `Authorization: Bearer TOKEN`")]
    Unauthorized,
    /// The path is no text.
    #[error("the path cannot be read: {0}")]
    Path(String),
    /// The query has other parameters, or other values, than the route takes.
    #[error("{0}")]
    Query(String),
    /// The body is longer than any route takes.
    #[error("a body has at most 64 KiB")]
    BodyTooLarge,
    /// The body has not come.
    #[error("the body did not come in time")]
    BodySlow,
    /// The body is not what the route takes.
    #[error("{0}")]
    Body(String),
    /// There is no place for credentials.
    #[error("the configuration has no key `state`, so there are no credentials")]
    NoState,
    /// The state says no.
    #[error(transparent)]
    State(#[from] StateError),
    /// What gateways share cannot be asked.
    #[error(transparent)]
    Common(#[from] CommonUsageProblem),
    /// Work was given up.
    #[error("this could not be done; the log has more")]
    Broken,
}

impl Problem {
    /// A stable word for it.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NoSuchRoute => "no-such-route",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Origin => "foreign-origin",
            Self::Host => "foreign-host",
            Self::Unauthorized => "unauthorized",
            Self::Path(_) => "bad-path",
            Self::Query(_) => "bad-query",
            Self::BodyTooLarge => "body-too-large",
            Self::BodySlow => "slow-body",
            Self::Body(_) => "bad-body",
            Self::NoState => "no-state",
            Self::State(StateError::Absent { .. }) => "not-found",
            Self::State(StateError::Exists { .. }) => "exists",
            Self::State(StateError::Invalid(_)) => "invalid",
            Self::State(StateError::File(_)) => "bad-file",
            Self::State(StateError::Busy { .. }) => "state-busy",
            Self::State(_) => "state-unusable",
            Self::Common(_) => "shared-limits-away",
            Self::Broken => "internal",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchRoute | Self::NoState | Self::State(StateError::Absent { .. }) => {
                StatusCode::NOT_FOUND
            }
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Origin | Self::Host => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Path(_) | Self::Query(_) | Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodySlow => StatusCode::REQUEST_TIMEOUT,
            Self::State(StateError::Exists { .. }) => StatusCode::CONFLICT,
            Self::State(StateError::Invalid(_) | StateError::File(_)) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Common(_) | Self::State(StateError::Busy { .. }) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::State(_) | Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(code = self.code(), "the admin API could not do it: {self}");
        }
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": self.code(),
            "detail": self.to_string(),
        });
        if let (Self::State(StateError::File(problems)), Some(members)) =
            (&self, body.as_object_mut())
        {
            members.insert("problems".to_owned(), json!(problems));
        }
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let mut response = (status, headers, body.to_string()).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"portcullis\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
