//! What requests bring, each part refused in the same form where it is wrong.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::problem::Problem;

/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Entries of a list, where the request says nothing.
const PAGE: u32 = 100;
/// Entries of a list at the most.
const LARGEST_PAGE: u32 = 1_000;

/// The variable segments of the path.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(segments) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::Path(rejection.body_text()))?;
        Ok(Self(segments))
    }
}

/// The parameters of the query, none of them unknown.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(parameters) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::Query(rejection.body_text()))?;
        Ok(Self(parameters))
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPage {
    after: Option<String>,
    limit: Option<u32>,
    consumer: Option<String>,
}

/// Which part of a list is wanted.
pub(super) struct Wanted {
    /// The last name or id of the page before.
    pub(super) after: String,
    /// Entries, at the most.
    pub(super) limit: u32,
    /// Of this consumer only.
    pub(super) consumer: Option<String>,
}

impl Wanted {
    /// The page to read: one entry more tells whether there is a next page.
    pub(super) fn page(&self) -> portcullis_state::Page<'_> {
        portcullis_state::Page { after: &self.after, limit: self.limit + 1 }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Parameters(WrittenPage { after, limit, consumer }) =
            Parameters::from_request_parts(parts, state).await?;
        let limit = limit.unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            return Err(Problem::Query(format!("`limit` is 1 to {LARGEST_PAGE}")));
        }
        Ok(Self { after: after.unwrap_or_default(), limit, consumer })
    }
}

/// A part of a list.
#[derive(Debug, Serialize)]
pub(super) struct Listing<T> {
    items: Vec<T>,
    /// What to ask for the next part `after`; absent in the last one.
    next: Option<String>,
}

impl<T> Listing<T> {
    /// Cuts what was read to what was wanted.
    pub(super) fn cut(mut items: Vec<T>, wanted: &Wanted, name: impl Fn(&T) -> &str) -> Self {
        let most = wanted.limit as usize;
        let is_last = items.len() <= most;
        items.truncate(most);
        let next = items.last().filter(|_| !is_last).map(|last| name(last).to_owned());
        Self { items, next }
    }
}

/// A body, whole.
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state));
        match read.await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Problem::BodyTooLarge)
            }
            Ok(Err(_)) => Err(Problem::Body("the body is not whole".to_owned())),
            Err(_) => Err(Problem::BodySlow),
        }
    }
}

/// A body in JSON; an empty one is an object without members.
pub(super) struct Document<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Document<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, state).await?;
        let text = if bytes.is_empty() { b"{}" } else { bytes.as_ref() };
        let document = serde_json::from_slice(text);
        Ok(Self(document.map_err(|error| Problem::Body(error.to_string()))?))
    }
}

/// A duration as configurations write it.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| portcullis_config::parse_duration(&text)).transpose().map_err(D::Error::custom)
}

/// A text that no message repeats, as serde's would.
pub(super) fn secret<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Zeroizing<String>>, D::Error> {
    match serde_json::Value::deserialize(from) {
        Ok(serde_json::Value::String(text)) => Ok(Some(Zeroizing::new(text))),
        Ok(serde_json::Value::Null) => Ok(None),
        _ => Err(D::Error::custom("`key` is to be a text")),
    }
}
