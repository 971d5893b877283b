//! `respond`, of routes.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Resolver;
use super::mapping::{Around, Values};
use crate::diagnostic::Place;
use crate::document::{self, ResponseValue};
use crate::gateway::{Escape, JsonPart, MediaRange, Respond, RespondBody, RespondStatus};
use crate::read::{AnyJson, Either};
use crate::template::{Placeholder, Template};

mod json;

const JSON: &[&str] = &["application/json", "*/*+json"];
const MARKUP: &[&str] = &["text/html", "text/xml", "application/xml", "*/*+xml"];
const PLAIN: &[&str] = &["text/plain"];

/// The answer as written.
pub(super) fn respond(
    written: &document::Respond,
    around: Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Option<Respond> {
    let mut values = Values::of_request(around, resolver);
    let status = status(&written.status, &mut values);
    let mut headers = Headers::read(written, &mut values);
    let body = body(written, &mut headers, &mut values);
    check_bodiless(written, status.as_ref(), &mut values);
    let mut respond = Respond {
        status: status?,
        headers: headers.fixed,
        filled_headers: headers.filled,
        body: body?,
        request_body: None,
    };
    let reads_body = respond.placeholders().any(|it| matches!(it, Placeholder::Body(_)));
    respond.request_body = reads_body.then_some(written.body_limit.0);
    Some(respond)
}

fn status(written: &ResponseValue, values: &mut Values<'_, '_, '_>) -> Option<RespondStatus> {
    match written {
        Either::That(number) => {
            let code = u16::try_from(number.value.0).ok()?;
            StatusCode::from_u16(code).ok().map(RespondStatus::Is)
        }
        Either::This(text) => {
            let template = values.template(text)?;
            if template.as_text().is_some() {
                let message = "a status is a number from 200 to 599, or a text with placeholders";
                values.problem(&text.place, message);
            }
            Some(RespondStatus::Filled(template))
        }
    }
}

/// The headers of an answer.
#[derive(Default)]
struct Headers {
    /// Those always the same.
    fixed: HeaderMap,
    /// Those with placeholders.
    filled: Vec<(HeaderName, Template)>,
}

impl Headers {
    fn read(written: &document::Respond, values: &mut Values<'_, '_, '_>) -> Self {
        let mut headers = Self::default();
        for entry in &written.headers.entries {
            let name = values.header(&entry.name, &entry.place);
            let template = entry.value.as_ref().and_then(|text| values.header_value(text));
            let Some((name, template)) = name.zip(template) else { continue };
            match template.as_text().map(HeaderValue::from_str) {
                // What a header cannot hold was noted.
                Some(value) => headers.fixed.extend(value.ok().map(|value| (name, value))),
                None => headers.filled.push((name, template)),
            }
        }
        headers
    }

    /// The media type, which is `default` where none is written; `None` where it depends on
    /// the request.
    fn content_type(&mut self, default: &'static str) -> Option<&str> {
        if self.filled.iter().any(|(name, _)| name == CONTENT_TYPE) {
            return None;
        }
        let default = HeaderValue::from_static(default);
        Some(self.fixed.entry(CONTENT_TYPE).or_insert(default).to_str().unwrap_or_default())
    }
}

fn body(
    written: &document::Respond,
    headers: &mut Headers,
    values: &mut Values<'_, '_, '_>,
) -> Option<RespondBody> {
    if let Some((_, place)) = bodies(written).nth(1) {
        values.problem(place, "an answer has one of `body`, `template` and `json`");
        return None;
    }
    if let Some(AnyJson(node)) = &written.json {
        let parts = json::parts(node, values);
        match headers.content_type("application/json") {
            Some(kind) if holds(JSON, kind) => {}
            Some(kind) => {
                let message = format!("`json` is the body, and `content-type` says `{kind}`");
                values.problem(&node.place, &message);
            }
            None => depends(&node.place, values),
        }
        return Some(match parts?.as_slice() {
            [JsonPart::Written(whole)] => RespondBody::Text(whole.clone()),
            parts => RespondBody::Json(parts.to_vec()),
        });
    }
    if let Some(text) = &written.template {
        let template = values.template(text);
        let Some(kind) = headers.content_type("text/plain; charset=utf-8") else {
            depends(&text.place, values);
            return None;
        };
        let escape = escape(kind, &text.place, values);
        return template.zip(escape).map(|(text, escape)| RespondBody::Filled(text, escape));
    }
    let body = written.body.as_ref().map(|body| body.value.clone());
    Some(RespondBody::Text(body.unwrap_or_default()))
}

fn depends(place: &Place, values: &mut Values<'_, '_, '_>) {
    let message = "`content-type` says how values are made safe, so it has no placeholders";
    values.problem(place, message);
}

/// How values are kept from being more than that in a text of this type.
fn escape(kind: &str, place: &Place, values: &mut Values<'_, '_, '_>) -> Option<Escape> {
    if holds(PLAIN, kind) {
        return Some(Escape::None);
    }
    if holds(MARKUP, kind) {
        return Some(Escape::Markup);
    }
    let message = format!("nothing makes values safe in `{kind}`");
    let help = if holds(JSON, kind) {
        "write it as `json = { id = \"{path:id}\" }`"
    } else {
        "known: `text/plain`, `text/html`, `application/xml`; JSON is written as `json`"
    };
    values.problem_with_help(place, &message, help);
    None
}

fn holds(ranges: &[&str], content_type: &str) -> bool {
    ranges.iter().filter_map(|range| MediaRange::parse(range)).any(|it| it.holds(content_type))
}

/// Notes a body where the status rules it out.
fn check_bodiless(
    written: &document::Respond,
    status: Option<&RespondStatus>,
    values: &mut Values<'_, '_, '_>,
) {
    let Some(RespondStatus::Is(status @ (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED))) =
        status
    else {
        return;
    };
    for (_, place) in bodies(written).filter(|(has_bytes, _)| *has_bytes) {
        let message = format!("a response of status {} has no body", status.as_u16());
        values.problem(place, &message);
    }
}

/// The bodies that are written: whether there is anything in it, and where.
fn bodies(written: &document::Respond) -> impl Iterator<Item = (bool, &Place)> {
    let body = written.body.as_ref().map(|body| (!body.value.is_empty(), &body.place));
    let template = written.template.as_ref().map(|text| (!text.value.is_empty(), &text.place));
    let json = written.json.as_ref().map(|AnyJson(node)| (true, &node.place));
    body.into_iter().chain(template).chain(json)
}
