//! Request headers that tell the upstream who calls, and that no client can write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::IdentityHeader;

use crate::edit::end_to_end;
use crate::plugins::Value;
use crate::view::View;

/// Bytes a value may have. Upstreams take heads of about as much in all.
pub(crate) const LONGEST: usize = 8 * 1024;

/// The headers of a request, with those of the table as the gateway knows them and
/// nothing of a client's that an upstream may take for one of them; `None` where the
/// table is empty.
pub(crate) fn identity_headers(view: View<'_>, table: &[IdentityHeader]) -> Option<HeaderMap> {
    if table.is_empty() {
        return None;
    }
    let mut headers = end_to_end(view.headers());
    let is_taken = |name: &&HeaderName| table.iter().any(|header| header.is_taken_for(name));
    let forged: Vec<HeaderName> = headers.keys().filter(is_taken).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
    for header in table {
        let value = view.attribute(&header.attribute);
        let value = value.and_then(|value| attribute_text(&header.attribute, value));
        // Where it cannot be told as it is, it is not told at all.
        if let Some(value) = value.filter(|text| text.len() <= LONGEST && is_kept(text))
            && let Ok(value) = HeaderValue::try_from(value.into_bytes())
        {
            headers.insert(&header.name, value);
        }
    }
    Some(headers)
}

/// A value as one text; `None` where the upstream could read it in two ways.
pub(crate) fn attribute_text(attribute: &str, value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        Value::Texts(texts) => {
            let is_one = |text: &String| !text.is_empty() && !text.contains(',') && is_kept(text);
            (!texts.is_empty() && texts.iter().all(is_one)).then(|| texts.join(","))
        }
        Value::Bytes(bytes) if attribute.ends_with("sha256") => {
            Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        // As RFC 9440 wants it of a certificate.
        Value::Bytes(bytes) if attribute.ends_with(".der") => {
            Some(format!(":{}:", STANDARD.encode(bytes)))
        }
        Value::Bytes(_) => None,
    }
}

/// Whether a receiver, which takes white space off both ends (RFC 9110 §5.5), reads the
/// same text.
pub(crate) fn is_kept(text: &str) -> bool {
    text.trim_matches([' ', '\t']) == text
}
