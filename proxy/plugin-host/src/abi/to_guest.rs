//! The pipeline's view of a request, as far as a plugin declared it, in the
//! contract's records.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_pipeline::{BodyMode, HeldBody, Reads, ResponseCall, Value, View};

use super::imports::types;

/// Selects what `reads` declares; nothing else crosses.
pub(crate) fn request(view: &View<'_>, reads: &Reads, argument: Option<&str>) -> types::Request {
    types::Request {
        method: view.method().to_owned(),
        scheme: view.scheme().to_owned(),
        authority: view.authority().to_owned(),
        raw_path: view.raw_path().to_owned(),
        path: view.path().to_owned(),
        query: view.query().map(str::to_owned),
        client_address: view.client().to_string(),
        time: view.time_ms(),
        argument: argument.map(str::to_owned),
        headers: headers(
            view.headers(),
            if reads.all_headers { None } else { Some(&reads.headers) },
        ),
        parameters: parameters(view.query(), reads),
        attributes: attributes(view, reads),
        body: body(view.body(), reads.body),
    }
}

/// Selects what `reads` declares of a response.
pub(crate) fn response(call: &ResponseCall<'_>, reads: &Reads) -> types::Response {
    types::Response {
        status: call.status.as_u16(),
        headers: headers(
            call.headers,
            if reads.all_response_headers { None } else { Some(&reads.response_headers) },
        ),
        body: body(call.body, reads.response_body),
    }
}

/// Bytes of what was selected, for the metric that shows declared reads at work.
pub(crate) fn size(request: &types::Request) -> usize {
    let headers = request.headers.iter().map(|header| header.name.len() + header.value.len());
    let parameters =
        request.parameters.iter().map(|parameter| parameter.name.len() + parameter.value.len());
    let body = request.body.as_ref().map(|body| body.bytes.len());
    headers.chain(parameters).chain(body).sum()
}

/// Selects the headers of these names; all of them where no names are given.
fn headers(from: &HeaderMap, names: Option<&[HeaderName]>) -> Vec<types::Header> {
    let header = |name: &HeaderName, value: &HeaderValue| types::Header {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    let Some(names) = names else {
        return from.iter().map(|(name, value)| header(name, value)).collect();
    };
    let mut selected = Vec::with_capacity(names.len());
    for name in names {
        selected.extend(from.get_all(name).iter().map(|value| header(name, value)));
    }
    selected
}

fn parameters(query: Option<&str>, reads: &Reads) -> Vec<types::Parameter> {
    if !reads.all_parameters && reads.parameters.is_empty() {
        return Vec::new();
    }
    let declared = |name: &str| reads.all_parameters || reads.parameters.iter().any(|n| n == name);
    query_pairs(query)
        .filter(|(name, _)| declared(name))
        .map(|(name, value)| types::Parameter {
            name: name.into_owned(),
            value: value.into_owned(),
        })
        .collect()
}

/// The parameters of a query, decoded, in the order received.
pub(crate) fn query_pairs(
    query: Option<&str>,
) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(name), decode(value)))
}

/// Decodes `%41` and `+` as forms do; what is no UTF-8 is kept as it stands, so that
/// two different queries never look alike.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, after),
                _ => (b'%', tail),
            },
            _ => (first, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn attributes(view: &View<'_>, reads: &Reads) -> Vec<types::Attribute> {
    let mut selected = Vec::with_capacity(reads.attributes.len());
    for name in &reads.attributes {
        each_attribute(view, name, |name, value| selected.push(attribute(name.to_owned(), value)));
    }
    selected
}

/// Hands over the attributes that a plan's name stands for: one, or a namespace.
pub(crate) fn each_attribute(view: &View<'_>, name: &str, mut take: impl FnMut(&str, Value)) {
    if let Some(namespace) = name.strip_suffix(":*") {
        for (name, value) in view.attributes_in(namespace) {
            take(&name, value);
        }
    } else if let Some(found) = view.attribute(name) {
        take(name, found);
    }
}

fn attribute(name: String, value: Value) -> types::Attribute {
    types::Attribute { name, value: self::value(value) }
}

/// Translates a value.
pub(crate) fn value(value: Value) -> types::Value {
    match value {
        Value::Text(text) => types::Value::Text(text),
        Value::Integer(number) => types::Value::Integer(number),
        Value::Boolean(truth) => types::Value::Boolean(truth),
        Value::Texts(texts) => types::Value::Texts(texts),
        Value::Bytes(bytes) => types::Value::Bytes(bytes),
    }
}

fn body(held: Option<&HeldBody>, mode: BodyMode) -> Option<types::Body> {
    body_part(held, mode).map(|(bytes, complete)| types::Body { bytes: bytes.to_vec(), complete })
}

/// The part of a body that a mode shows, and whether it is the whole.
pub(crate) fn body_part(held: Option<&HeldBody>, mode: BodyMode) -> Option<(&[u8], bool)> {
    let held = held?;
    let most = match mode {
        BodyMode::None => return None,
        BodyMode::Peek(most) => usize::try_from(most).unwrap_or(usize::MAX),
        BodyMode::Buffer(_) => usize::MAX,
    };
    let first = held.bytes.get(..most.min(held.bytes.len())).unwrap_or_default();
    Some((first, held.complete && first.len() == held.bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn parameters_are_decoded_and_bad_sequences_kept() {
        for (text, expected) in [
            ("a", "a"),
            ("a%20b+c", "a b c"),
            ("%zz", "%zz"),
            ("%4", "%4"),
            ("%", "%"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }

    /// Decodes as the specification of forms tells it, over the whole text at once.
    fn slowly(text: &str) -> String {
        let mut bytes = Vec::new();
        let spaced = text.replace('+', " ");
        let mut rest = spaced.as_str();
        while let Some(next) = rest.chars().next() {
            let digits = rest.get(1..3).filter(|digits| !digits.starts_with(['+', '-']));
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) if next == '%' => {
                    bytes.push(byte);
                    rest = &rest[3..];
                }
                _ => {
                    bytes.extend_from_slice(next.to_string().as_bytes());
                    rest = &rest[next.len_utf8()..];
                }
            }
        }
        String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
    }

    #[test]
    fn fuzz_query() {
        let words = &["&", "=", "+", "%", "%41", "%ff", "%C3%A9", "%2", "%+1", "a", "b", "é"];
        portcullis_fuzz::target!("query", words, |input| {
            let query = String::from_utf8_lossy(input);
            let pairs: Vec<_> = query_pairs(Some(&query)).collect();
            let mut at = 0;
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let cut = pair.find('=').unwrap_or(pair.len());
                let value = pair.get(cut + 1..).unwrap_or_default();
                let expected = (slowly(&pair[..cut]), slowly(value));
                let (name, value) = &pairs[at];
                assert_eq!((name.as_ref(), value.as_ref()), (&*expected.0, &*expected.1));
                at += 1;
            }
            assert_eq!(pairs.len(), at);
            let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(bytes <= query.len(), "decoding never grows");
        });
    }
}
