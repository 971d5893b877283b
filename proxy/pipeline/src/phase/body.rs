//! Finds who judges a body, by its media type and before a byte of it is read.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use portcullis_config::{BodyRule, Judge, OtherMediaTypes, Use};

use crate::rejection::Rejection;

/// What is to be done with the body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BodyCheck<'r> {
    /// Nothing.
    Nothing,
    /// It must be there where it is required, and nobody judges it.
    Presence,
    /// This validator judges it.
    Judged(&'r Use),
    /// A body would have needed a media type; no body needs none.
    Absence,
}

/// Finds what a rule wants of a body under these headers.
pub(crate) fn check<'r>(
    rule: &'r BodyRule,
    headers: &HeaderMap,
) -> Result<BodyCheck<'r>, Rejection> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else {
        return match (headers.contains_key(CONTENT_TYPE), rule.others) {
            // Two types: upstreams differ on which counts.
            (true, _) => Err(unsupported(rule)),
            (false, OtherMediaTypes::Refuse) => Ok(BodyCheck::Absence),
            (false, OtherMediaTypes::Pass) => Ok(BodyCheck::Nothing),
        };
    };
    let text = content_type.to_str().unwrap_or_default();
    let found = rule.media_types.iter().find(|(range, _)| range.holds(text));
    match (found, rule.others) {
        (Some((_, Judge::Nobody)), _) => Ok(BodyCheck::Presence),
        // What is compressed cannot be judged as it stands, and is not unpacked.
        (Some((_, Judge::Validator(_))), _) if is_encoded(headers) => Err(unsupported(rule)),
        (Some((_, Judge::Validator(judge))), _) => Ok(BodyCheck::Judged(judge)),
        (None, OtherMediaTypes::Pass) => Ok(BodyCheck::Nothing),
        (None, OtherMediaTypes::Refuse) => Err(unsupported(rule)),
    }
}

/// The refusal of a body that has no media type, or another.
pub(crate) fn unsupported(rule: &BodyRule) -> Rejection {
    Rejection::UnsupportedMediaType(
        rule.media_types.iter().map(|(range, _)| range.to_string()).collect(),
    )
}

/// Whether a body under these headers has a content coding, which is not undone.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    !headers.get_all(CONTENT_ENCODING).iter().all(plain)
}
