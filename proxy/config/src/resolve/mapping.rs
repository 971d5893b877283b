//! `request` and `response`, of APIs and routes.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};

use super::Resolver;
use super::identity::CONNECTION;
use super::stages;
use crate::diagnostic::Place;
use crate::document::{self, ResponseValue, Text};
use crate::gateway::{
    Access, Change, IdentityHeader, Integration, RESERVED_HEADERS, RequestMapping, ResponseChanges,
    ResponseMapping, Route, Stage, StatusMatch,
};
use crate::path::PathPattern;
use crate::read::{Either, Named};
use crate::suggest;
use crate::template::{Part, Placeholder, Template};

/// What is known where a mapping is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around<'a> {
    /// The path parameters; `None` where that depends on the route.
    pub(super) parameters: Option<&'a [String]>,
    /// Who decides, where that is known.
    pub(super) access: Option<&'a Access>,
    /// The stages of the API.
    pub(super) stages: &'a [Arc<Stage>],
}

/// Whose message is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// What a change is about.
enum Target {
    Header(HeaderName),
    Query(String),
    Path,
    Status,
}

/// What is changed of requests.
pub(super) fn request(
    written: &document::RequestMapping,
    around: Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Arc<RequestMapping> {
    let mut values = Values::of_request(around, resolver);
    let mut mapping = RequestMapping::default();
    for text in written.remove.iter().flatten() {
        match values.target(&text.value, &text.place) {
            Some(Target::Header(name)) => mapping.headers.push(Change::Remove(name)),
            Some(Target::Query(name)) => mapping.query.push(Change::Remove(name)),
            Some(Target::Path | Target::Status) => values.not_here(text, "removed"),
            None => {}
        }
    }
    for entry in &written.set.entries {
        let target = values.target(&entry.name, &entry.place);
        let Some((target, text)) = target.zip(entry.value.as_ref()) else { continue };
        match target {
            Target::Header(name) => {
                let value = values.header_value(text);
                mapping.headers.extend(value.map(|value| Change::Set(name, value)));
            }
            Target::Query(name) => {
                let value = values.template(text);
                mapping.query.extend(value.map(|value| Change::Set(name, value)));
            }
            Target::Path | Target::Status => mapping.path = values.path(text),
        }
    }
    for entry in &written.append.entries {
        let target = values.target(&entry.name, &entry.place);
        let Some((target, text)) = target.zip(entry.value.as_ref()) else { continue };
        match target {
            Target::Header(name) => {
                let value = values.header_value(text);
                mapping.headers.extend(value.map(|value| Change::Append(name, value)));
            }
            Target::Query(name) => {
                let value = values.template(text);
                mapping.query.extend(value.map(|value| Change::Append(name, value)));
            }
            Target::Path | Target::Status => {
                let key = Text { value: entry.name.clone(), place: entry.place.clone() };
                values.not_here(&key, "appended to");
            }
        }
    }
    let reads_body = reads(mapping.templates(), |it| matches!(it, Placeholder::Body(_)));
    mapping.body = reads_body.then_some(written.body_limit.0);
    Arc::new(mapping)
}

/// What is changed of responses.
pub(super) fn response(
    written: &document::ResponseMapping,
    around: Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Arc<ResponseMapping> {
    let mut values = Values { side: Side::Response, around, resolver };
    let always = values.changes(written.remove.as_ref(), &written.set, &written.append);
    let mut mapping = ResponseMapping { always, ..ResponseMapping::default() };
    for entry in &written.on.entries {
        let statuses = status_match(&entry.name);
        if statuses.is_none() {
            let message = format!("`{}` is no status", entry.name);
            let help = "write one as `404`, or a class as `4xx`, from 200 to 599";
            values.resolver.problem_with_help(&entry.place, message, help);
        }
        let Some(table) = &entry.value else { continue };
        let changes = values.changes(table.remove.as_ref(), &table.set, &table.append);
        mapping.on.extend(statuses.map(|statuses| (statuses, changes)));
    }
    mapping.on.sort_by_key(|(statuses, _)| *statuses);
    let limit = written.body_limit.0;
    let reads_request = reads(mapping.templates(), |it| matches!(it, Placeholder::Body(_)));
    let reads_own = reads(mapping.templates(), |it| matches!(it, Placeholder::ResponseBody(_)));
    mapping.request_body = reads_request.then_some(limit);
    mapping.body = reads_own.then_some(limit);
    Arc::new(mapping)
}

/// Notes what of a route's mappings its other keys rule out.
pub(super) fn check_route(written: &document::Route, route: &Route, resolver: &mut Resolver<'_>) {
    let own_request = written.request.as_ref().map(|own| &own.place);
    let own_response = written.response.as_ref().map(|own| &own.place);
    if let Integration::Respond(respond) = &route.integration {
        if let (Some(_), Some(own)) = (respond.request_body, &written.respond) {
            check_streams(route, "respond", &own.place, resolver);
        }
        for place in own_request.into_iter().chain(own_response) {
            let message = "a route with `respond` forwards nothing, so nothing can be changed";
            resolver.problem(place, message);
        }
        return;
    }
    if let Some(request) = &route.request {
        let place = own_request.unwrap_or(&route.place);
        check_identity(request, &route.identity_headers, place, resolver);
        if let (Some(_), Some(rewrite)) = (&request.path, &written.rewrite) {
            let message = "`request` sets the whole path, so none can be rewritten";
            resolver.problem(&rewrite.place, message);
        }
        if request.body.is_some() {
            check_streams(route, "request", place, resolver);
        }
    }
    if let Some(response) = &route.response
        && (response.body.is_some() || response.request_body.is_some())
    {
        check_streams(route, "response", own_response.unwrap_or(&route.place), resolver);
    }
}

fn check_streams(route: &Route, key: &str, place: &Place, resolver: &mut Resolver<'_>) {
    if route.streams {
        let message = format!("route `{}` streams, and `{key}` reads a value of a body", route.key);
        let help = "a body that is read has to be held; take the value from elsewhere";
        resolver.problem_with_help(place, message, help);
    }
}

/// Notes changes of headers that only `identity_headers` writes: a client could say
/// through them what the gateway is asked to say.
fn check_identity(
    mapping: &RequestMapping,
    identity: &[IdentityHeader],
    place: &Place,
    resolver: &mut Resolver<'_>,
) {
    for name in mapping.headers.iter().map(Change::name) {
        if identity.iter().any(|header| header.is_taken_for(name)) {
            let message = format!("header `{name}` is written by `identity_headers`");
            let help = "let one of the two write it";
            resolver.problem_with_help(place, message, help);
        }
    }
}

fn reads<'a>(
    templates: impl Iterator<Item = &'a Template>,
    wanted: impl Fn(&Placeholder) -> bool,
) -> bool {
    templates.flat_map(Template::placeholders).any(wanted)
}

fn status_match(text: &str) -> Option<StatusMatch> {
    if let Some(class) = text.strip_suffix("xx") {
        let class = class.parse().ok().filter(|class| (2..=5).contains(class))?;
        return Some(StatusMatch::Class(class));
    }
    let code = text.parse().ok().filter(|code| (200..=599).contains(code))?;
    Some(StatusMatch::Is(code))
}

/// What stands for values, while a table about one message is read.
pub(super) struct Values<'r, 'a, 's> {
    side: Side,
    around: Around<'a>,
    resolver: &'r mut Resolver<'s>,
}

impl<'r, 'a, 's> Values<'r, 'a, 's> {
    /// Values that are known before there is a response.
    pub(super) fn of_request(around: Around<'a>, resolver: &'r mut Resolver<'s>) -> Self {
        Self { side: Side::Request, around, resolver }
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, place: &Place, message: &str) {
        self.resolver.problem(place, message);
    }

    /// Notes a problem, and what can be done about it.
    pub(super) fn problem_with_help(&mut self, place: &Place, message: &str, help: &str) {
        self.resolver.problem_with_help(place, message, help);
    }

    fn changes(
        &mut self,
        remove: Option<&Vec<Text>>,
        set: &Named<ResponseValue>,
        append: &Named<Text>,
    ) -> ResponseChanges {
        let mut changes = ResponseChanges::default();
        for text in remove.into_iter().flatten() {
            match self.target(&text.value, &text.place) {
                Some(Target::Header(name)) => changes.headers.push(Change::Remove(name)),
                Some(Target::Query(_) | Target::Path | Target::Status) => {
                    self.not_here(text, "removed");
                }
                None => {}
            }
        }
        for entry in &set.entries {
            let target = self.target(&entry.name, &entry.place);
            match (target, &entry.value) {
                (Some(Target::Header(name)), Some(Either::This(text))) => {
                    let value = self.header_value(text);
                    changes.headers.extend(value.map(|value| Change::Set(name, value)));
                }
                (Some(Target::Header(_)), Some(Either::That(number))) => {
                    let help = "a header's value is written in quotes";
                    self.resolver.problem_with_help(&number.place, "expected a string", help);
                }
                (Some(_), Some(Either::That(number))) => {
                    let code = u16::try_from(number.value.0).ok();
                    changes.status = code.and_then(|code| StatusCode::from_u16(code).ok());
                }
                (Some(_), Some(Either::This(text))) => {
                    let message = "a status is a number from 200 to 599";
                    self.resolver.problem(&text.place, message);
                }
                (None, _) | (_, None) => {}
            }
        }
        for entry in &append.entries {
            let target = self.target(&entry.name, &entry.place);
            let Some((target, text)) = target.zip(entry.value.as_ref()) else { continue };
            if let Target::Header(name) = target {
                let value = self.header_value(text);
                changes.headers.extend(value.map(|value| Change::Append(name, value)));
            } else {
                let key = Text { value: entry.name.clone(), place: entry.place.clone() };
                self.not_here(&key, "appended to");
            }
        }
        changes
    }

    fn target(&mut self, name: &str, place: &Place) -> Option<Target> {
        let known = match self.side {
            Side::Request => &["header:", "query:", "path"][..],
            Side::Response => &["header:", "status"],
        };
        let (kind, rest) = match name.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (name, None),
        };
        match (self.side, kind, rest) {
            (_, "header", Some(rest)) => self.header(rest, place).map(Target::Header),
            (Side::Request, "query", Some(rest)) if !rest.is_empty() => {
                Some(Target::Query(rest.to_owned()))
            }
            (Side::Request, "path", None) => Some(Target::Path),
            (Side::Response, "status", None) => Some(Target::Status),
            _ => {
                let message = format!("`{name}` is nothing that can be changed here");
                let shown = |kind: &&str| match kind.strip_suffix(':') {
                    Some(_) => format!("`{kind}NAME`"),
                    None => format!("`{kind}`"),
                };
                let near = suggest::nearest(kind, known.iter().map(|it| it.trim_end_matches(':')));
                let near = known.iter().find(|it| Some(it.trim_end_matches(':')) == near);
                let help = match near {
                    Some(near) => format!("did you mean {}?", shown(near)),
                    None => {
                        let all: Vec<String> = known.iter().map(shown).collect();
                        format!("known: {}", all.join(", "))
                    }
                };
                self.resolver.problem_with_help(place, message, &help);
                None
            }
        }
    }

    /// A header that may be written here.
    pub(super) fn header(&mut self, text: &str, place: &Place) -> Option<HeaderName> {
        let Ok(name) = HeaderName::try_from(text) else {
            self.resolver.problem(place, format!("`{text}` is no header"));
            return None;
        };
        if RESERVED_HEADERS.iter().chain(&CONNECTION).any(|reserved| name == *reserved) {
            let message = format!("header `{name}` is the gateway's own to write");
            self.resolver.problem(place, message);
            return None;
        }
        Some(name)
    }

    fn not_here(&mut self, text: &Text, what: &str) {
        self.resolver.problem(&text.place, format!("`{}` cannot be {what}", text.value));
    }

    /// A text whose placeholders can stand for something here.
    pub(super) fn template(&mut self, text: &Text) -> Option<Template> {
        let template = match Template::parse(&text.value) {
            Ok(template) => template,
            Err(problem) => {
                let help = problem.help();
                self.resolver.problem_with_help(&text.place, problem.to_string(), &help);
                return None;
            }
        };
        for placeholder in template.placeholders() {
            self.check(placeholder, &text.place);
        }
        Some(template)
    }

    /// A text that a header can hold, whatever its placeholders stand for.
    pub(super) fn header_value(&mut self, text: &Text) -> Option<Template> {
        let template = self.template(text)?;
        let mut plain = template.parts().iter().filter_map(|part| match part {
            Part::Text(text) => Some(text),
            Part::Value(_) => None,
        });
        let is_kept = template.as_text().is_none_or(|text| text.trim() == text);
        if !is_kept || plain.any(|text| HeaderValue::from_str(text).is_err()) {
            self.resolver.problem(&text.place, "a header cannot hold this");
            return None;
        }
        Some(template)
    }

    /// A path: the text around the placeholders is one, whatever they stand for.
    fn path(&mut self, text: &Text) -> Option<Template> {
        let template = self.template(text)?;
        let stand_in = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(_) => "x".to_owned(),
        };
        let filled: String = template.parts().iter().map(stand_in).collect();
        let is_rooted = matches!(template.parts().first(), Some(Part::Text(_)));
        let problem = match PathPattern::parse(&filled) {
            Ok(_) if is_rooted => return Some(template),
            Ok(_) => "a path starts with `/`".to_owned(),
            Err(problem) => problem.to_string(),
        };
        self.resolver.problem(&text.place, problem);
        None
    }

    /// Notes what never has a value here.
    fn check(&mut self, placeholder: &Placeholder, place: &Place) {
        if self.side == Side::Request && placeholder.is_of_response() {
            let message = format!("there is no response yet that `{{{placeholder}}}` could be of");
            self.resolver.problem(place, message);
        }
        let Placeholder::Attribute(attribute) = placeholder else { return };
        match (attribute.split_once(':'), self.around) {
            (Some(("path", name)), Around { parameters: Some(known), .. })
                if !known.iter().any(|parameter| parameter == name) =>
            {
                let message = format!("the route's path has no parameter `{name}`");
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                self.resolver.problem_with_help(place, message, &suggest::name(name, &known));
            }
            (Some(("route", "stage")), Around { stages: [], .. }) => {
                stages::no_stage(place, self.resolver);
            }
            (Some(("stage", name)), Around { stages, .. }) => {
                stages::check_value(name, (stages, place), self.resolver);
            }
            (Some(("identity", _)), Around { access: Some(Access::Open), .. }) => {
                let message = "the route is open, so nobody has an identity";
                let help = "name an authorizer";
                self.resolver.problem_with_help(place, message, help);
            }
            _ => {}
        }
    }
}
