//! Answers of the gateway's own.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};
use portcullis_config::{Escape, JsonPart, Part, Respond, RespondBody, RespondStatus, Template};
use serde_json::Value as Json;

use crate::admitted::Answer;
use crate::fill::Known;
use crate::mapping::header_value;

/// The answer, with the values that this request gives it.
pub(crate) fn respond(respond: &Respond, known: &Known<'_>) -> Answer {
    Answer {
        status: status(&respond.status, known),
        headers: headers(respond, known),
        body: match &respond.body {
            RespondBody::Text(text) => text.clone().into(),
            RespondBody::Filled(template, escape) => text(template, *escape, known).into(),
            RespondBody::Json(parts) => json(parts, known).into(),
        },
    }
}

fn status(status: &RespondStatus, known: &Known<'_>) -> StatusCode {
    match status {
        RespondStatus::Is(status) => *status,
        RespondStatus::Filled(template) => {
            let code = known.fill(template).and_then(|text| text.parse::<u16>().ok());
            let code = code.filter(|code| (200..=599).contains(code));
            code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK)
        }
    }
}

fn headers(respond: &Respond, known: &Known<'_>) -> HeaderMap {
    let mut headers = respond.headers.clone();
    for (name, template) in &respond.filled_headers {
        if let Some(value) = header_value(known, template) {
            headers.append(name, value);
        }
    }
    headers
}

fn text(template: &Template, escape: Escape, known: &Known<'_>) -> String {
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Text(own) => text.push_str(own),
            Part::Value(placeholder) => {
                let value = known.text(placeholder).unwrap_or_default();
                text.push_str(&escaped(&value, escape));
            }
        }
    }
    text
}

/// A value that cannot end the text or the quotes it stands in.
fn escaped(value: &str, escape: Escape) -> Cow<'_, str> {
    if escape == Escape::None || !value.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(value);
    }
    let mut safe = String::with_capacity(value.len() + 16);
    for character in value.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    Cow::Owned(safe)
}

fn json(parts: &[JsonPart], known: &Known<'_>) -> String {
    let mut text = String::new();
    for part in parts {
        let value = match part {
            JsonPart::Written(own) => {
                text.push_str(own);
                continue;
            }
            JsonPart::Typed(placeholder) => known.value(placeholder),
            JsonPart::Text(template) => known.fill(template).map(Json::from),
        };
        text.push_str(&value.unwrap_or(Json::Null).to_string());
    }
    text
}
