//! What the rules of a guard find in a request.

use std::net::IpAddr;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, StatusCode};
use portcullis_config::{GuardCondition, GuardMost, GuardPart, GuardRule, Listed, MediaRange};

use crate::attack::{Suspicion, find_attack};
use crate::incoming::HeldBody;
use crate::phase::body::is_encoded;
use crate::phase::canonical::{CanonicalPath, decode_bytes};

/// A request as the rules of a guard see it.
#[derive(Debug, Clone, Copy)]
pub struct GuardView<'a> {
    /// The client, through trusted proxies.
    pub client: IpAddr,
    /// The head.
    pub head: &'a Parts,
    /// The canonical path.
    pub path: &'a CanonicalPath,
    /// The body, as far as it is held.
    pub body: &'a HeldBody,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Found {
    /// The client's address.
    #[error("the client's address")]
    Address,
    /// The country of the client's address.
    #[error("the country of the client's address")]
    Country,
    /// The method; these are allowed.
    #[error("the method")]
    Method(Vec<Method>),
    /// The body's media type.
    #[error("the body's media type")]
    ContentType,
    /// Too many header fields, or one too long.
    #[error("the headers")]
    Headers,
    /// Too long a path or query, or too many parameters.
    #[error("the target")]
    Target,
    /// What the expression looks for, in this part.
    #[error("a match in {}", shown(.0))]
    Match(GuardPart),
    /// A body that an expression cannot be looked for in, as it is encoded.
    #[error("{} in body", Suspicion::Unreadable)]
    Unreadable,
    /// What looks like an attack, or cannot be told from one, in this part.
    #[error("{suspicion} in {}", shown(.part))]
    Attack {
        /// Why it is suspected.
        suspicion: Suspicion,
        /// Where it stands.
        part: GuardPart,
    },
}

impl Found {
    /// The status with which a rule refuses what it found.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Address
            | Self::Country
            | Self::Match(_)
            | Self::Unreadable
            | Self::Attack { .. } => StatusCode::FORBIDDEN,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Target => StatusCode::URI_TOO_LONG,
        }
    }

    /// The code with which a rule refuses what it found.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Address => "address-refused",
            Self::Country => "country-refused",
            Self::Match(_) | Self::Unreadable => "match-refused",
            Self::Attack { .. } => "attack-refused",
            Self::Method(_) => "method-refused",
            Self::ContentType => "content-type-refused",
            Self::Headers => "headers-too-large",
            Self::Target => "target-too-large",
        }
    }
}

/// What a rule finds in a request. Of a body, what is held of it is looked at.
pub fn find(rule: &GuardRule, view: GuardView<'_>) -> Option<Found> {
    match &rule.condition {
        GuardCondition::Addresses(listed, networks) => {
            (networks.contains(view.client) == finds_listed(*listed)).then_some(Found::Address)
        }
        GuardCondition::Countries(listed, countries, database) => {
            let country = database.country(view.client);
            let is_in = country.is_some_and(|country| countries.contains(&country));
            (is_in == finds_listed(*listed)).then_some(Found::Country)
        }
        GuardCondition::Methods(methods) => {
            (!methods.contains(&view.head.method)).then(|| Found::Method(methods.clone()))
        }
        GuardCondition::ContentTypes(types) => {
            is_of_other_type(view, types).then_some(Found::ContentType)
        }
        GuardCondition::Most(most) => more_than(most, view.head),
        GuardCondition::Matching { expression, parts, .. } => {
            let mut wanted = |text: &[u8]| expression.is_match(text);
            parts.iter().find_map(|part| match part {
                GuardPart::Body if is_unreadable(view) => Some(Found::Unreadable),
                part => any_text(part, view, &mut wanted).then(|| Found::Match(part.clone())),
            })
        }
        GuardCondition::Attacks { kinds, parts, body } => find_attack(kinds, parts, *body, view),
    }
}

/// Whether those on the list are found, or all others.
fn finds_listed(listed: Listed) -> bool {
    match listed {
        Listed::Allow => false,
        Listed::Deny => true,
    }
}

/// Whether there is a body whose bytes say nothing of what an upstream reads in it.
fn is_unreadable(view: GuardView<'_>) -> bool {
    !view.body.is_absent() && is_encoded(&view.head.headers)
}

/// Whether there is a body, or a word about one, and it says of itself to be none of these.
fn is_of_other_type(view: GuardView<'_>, types: &[MediaRange]) -> bool {
    let mut written = view.head.headers.get_all(CONTENT_TYPE).iter();
    let first = written.next();
    if first.is_none() && view.body.is_absent() {
        return false;
    }
    // Two types are one too many: who knows which the upstream takes.
    let text = first.filter(|_| written.next().is_none()).and_then(|value| value.to_str().ok());
    !text.is_some_and(|text| types.iter().any(|allowed| allowed.holds(text)))
}

fn more_than(most: &GuardMost, head: &Parts) -> Option<Found> {
    let exceeds = |count: usize, most: Option<usize>| most.is_some_and(|most| count > most);
    let longest = |most| {
        let mut fields = head.headers.iter();
        fields.any(|(name, value)| exceeds(name.as_str().len() + value.len(), most))
    };
    if exceeds(head.headers.len(), most.headers) || longest(most.header_bytes) {
        return Some(Found::Headers);
    }
    let query = head.uri.query().unwrap_or_default();
    let parameters = || query.split('&').filter(|pair| !pair.is_empty()).count();
    let is_long = exceeds(head.uri.path().len(), most.path_bytes)
        || exceeds(query.len(), most.query_bytes)
        || most.query_parameters.is_some() && exceeds(parameters(), most.query_parameters);
    is_long.then_some(Found::Target)
}

/// Whether any text of a part is as wanted: as sent, and decoded where that differs.
fn any_text(part: &GuardPart, view: GuardView<'_>, wanted: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    match part {
        GuardPart::Path => {
            wanted(view.head.uri.path().as_bytes()) || wanted(&decode_bytes(view.path.as_str()))
        }
        GuardPart::Query => {
            let query = view.head.uri.query().unwrap_or_default();
            wanted(query.as_bytes()) || wanted(&decode_bytes(query.replace('+', " ")))
        }
        GuardPart::Parameter(name) => {
            let query = view.head.uri.query().unwrap_or_default();
            query.split('&').any(|written| {
                let (found, value) = written.split_once('=').unwrap_or((written, ""));
                let plain = |text: &str| decode_bytes(text.replace('+', " "));
                plain(found) == name.as_bytes()
                    && (wanted(value.as_bytes()) || wanted(&plain(value)))
            })
        }
        GuardPart::Header(name) => {
            let mut values = view.head.headers.get_all(name).iter();
            values.any(|value| wanted(value.as_bytes()))
        }
        GuardPart::Body => wanted(&view.body.bytes),
    }
}

fn shown(part: &GuardPart) -> String {
    match part {
        GuardPart::Path => "path".to_owned(),
        GuardPart::Query => "query".to_owned(),
        GuardPart::Parameter(name) => format!("query:{name}"),
        GuardPart::Header(name) => format!("header:{name}"),
        GuardPart::Body => "body".to_owned(),
    }
}
