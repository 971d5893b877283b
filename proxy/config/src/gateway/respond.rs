//! Answers of the gateway's own.

use std::fmt;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::template::{Placeholder, Template};

/// An answer that the gateway itself gives to a route's requests.
#[derive(Debug, Clone)]
pub struct Respond {
    /// The status.
    pub status: RespondStatus,
    /// Headers that are always the same.
    pub headers: HeaderMap,
    /// Headers with placeholders, which come after the others; one with a missing value is
    /// left out.
    pub filled_headers: Vec<(HeaderName, Template)>,
    /// The body.
    pub body: RespondBody,
    /// Bytes of the request's body that are held; `None` where no value is read from it.
    pub request_body: Option<u64>,
}

/// The status of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RespondStatus {
    /// This one.
    Is(StatusCode),
    /// What a text becomes; 200 where that is no status from 200 to 599.
    Filled(Template),
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum RespondBody {
    /// This, as it is.
    Text(String),
    /// A text with placeholders; of a missing value there is nothing.
    Filled(Template, Escape),
    /// A JSON document with placeholders.
    Json(Vec<JsonPart>),
}

/// How a value is kept from being more than a value in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Not at all: the text is plain.
    None,
    /// As HTML and XML want it, between tags and within quotes.
    Markup,
}

/// A part of a JSON document whose texts may have placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonPart {
    /// JSON as it is; never empty.
    Written(String),
    /// What this alone stands for, with the type it has; `null` where it is missing.
    Typed(Placeholder),
    /// A text; `null` where one of its values is missing.
    Text(Template),
}

impl fmt::Display for RespondStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(status) => write!(f, "{}", status.as_u16()),
            Self::Filled(template) => write!(f, "{template}"),
        }
    }
}

impl Respond {
    /// The placeholders, in no order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        let status = match &self.status {
            RespondStatus::Is(_) => None,
            RespondStatus::Filled(template) => Some(template),
        };
        let (body, json) = match &self.body {
            RespondBody::Text(_) => (None, &[][..]),
            RespondBody::Filled(template, _) => (Some(template), &[][..]),
            RespondBody::Json(parts) => (None, parts.as_slice()),
        };
        let headers = self.filled_headers.iter().map(|(_, template)| template);
        let texts = json.iter().filter_map(|part| match part {
            JsonPart::Text(template) => Some(template),
            JsonPart::Written(_) | JsonPart::Typed(_) => None,
        });
        let typed = json.iter().filter_map(|part| match part {
            JsonPart::Typed(placeholder) => Some(placeholder),
            JsonPart::Written(_) | JsonPart::Text(_) => None,
        });
        let templates = status.into_iter().chain(body).chain(headers).chain(texts);
        templates.flat_map(Template::placeholders).chain(typed)
    }
}
