//! Parts of a request that tell callers apart, and their values.

use std::borrow::Cow;

use http::header::COOKIE;
use portcullis_config::RequestPart;
use portcullis_pipeline::{Reads, Value, View, cookies, query_pairs};

/// Hands over each value a request has of a part, in the order received.
pub(crate) fn each_value(part: &RequestPart, view: &View<'_>, mut take: impl FnMut(&[u8])) {
    match part {
        RequestPart::Header(name) => {
            view.headers().get_all(name).iter().for_each(|value| take(value.as_bytes()));
        }
        RequestPart::Query(name) => {
            for (found, value) in query_pairs(view.query()) {
                if found == name.as_str() {
                    take(value.as_bytes());
                }
            }
        }
        RequestPart::Cookie(name) => {
            cookies(view.headers(), name).for_each(take);
        }
        RequestPart::Attribute(name) => {
            if let Some(value) = view.attribute(name) {
                each_of(&value, take);
            }
        }
        RequestPart::Path => take(view.path().as_bytes()),
        RequestPart::Method => take(view.method().as_bytes()),
        RequestPart::Host => take(view.authority().as_bytes()),
        RequestPart::ClientAddress => take(view.client().to_string().as_bytes()),
    }
}

/// Namespaces of attributes that say nothing of who a client claims to be: having one is no
/// credential.
const OF_NOBODY: [&str; 7] = ["api", "body", "client", "path", "request", "route", "stage"];

/// Whether each request has a value of this part, or may have one without a credential.
pub(crate) fn is_certain(part: &RequestPart) -> bool {
    match part {
        RequestPart::Attribute(name) => {
            name.split_once(':').is_some_and(|(namespace, _)| OF_NOBODY.contains(&namespace))
        }
        RequestPart::Path
        | RequestPart::Method
        | RequestPart::Host
        | RequestPart::ClientAddress => true,
        RequestPart::Header(_) | RequestPart::Query(_) | RequestPart::Cookie(_) => false,
    }
}

/// Whether a role that reads this is shown the part.
pub(crate) fn is_read(part: &RequestPart, reads: &Reads) -> bool {
    match part {
        RequestPart::Header(name) => reads.all_headers || reads.headers.contains(name),
        RequestPart::Cookie(_) => reads.all_headers || reads.headers.contains(&COOKIE),
        RequestPart::Query(name) => reads.all_parameters || reads.parameters.contains(name),
        RequestPart::Attribute(name) => reads.attributes.iter().any(|read| {
            let namespace = read.strip_suffix('*').filter(|namespace| namespace.ends_with(':'));
            read == name || namespace.is_some_and(|namespace| name.starts_with(namespace))
        }),
        certain => is_certain(certain),
    }
}

/// What the configuration calls a part.
pub(crate) fn written(part: &RequestPart) -> Cow<'static, str> {
    match part {
        RequestPart::Header(name) => format!("header:{name}").into(),
        RequestPart::Query(name) => format!("query:{name}").into(),
        RequestPart::Cookie(name) => format!("cookie:{name}").into(),
        RequestPart::Attribute(name) => format!("attribute:{name}").into(),
        RequestPart::Path => "path".into(),
        RequestPart::Method => "method".into(),
        RequestPart::Host => "host".into(),
        RequestPart::ClientAddress => "client-address".into(),
    }
}

fn each_of(value: &Value, mut take: impl FnMut(&[u8])) {
    match value {
        Value::Text(text) => take(text.as_bytes()),
        Value::Integer(number) => take(number.to_string().as_bytes()),
        Value::Boolean(truth) => take(truth.to_string().as_bytes()),
        Value::Texts(texts) => texts.iter().for_each(|text| take(text.as_bytes())),
        Value::Bytes(bytes) => take(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_by_name_or_with_their_kind() {
        let reads = Reads {
            headers: vec![COOKIE],
            parameters: vec!["q".to_owned()],
            attributes: vec!["route:id".to_owned(), "path:*".to_owned()],
            ..Reads::default()
        };
        let attribute = |name: &str| RequestPart::Attribute(name.to_owned());
        let read = |part: RequestPart| is_read(&part, &reads);
        assert!(read(RequestPart::Cookie("s".to_owned())) && read(RequestPart::Path));
        assert!(read(RequestPart::Query("q".to_owned())));
        assert!(read(attribute("route:id")) && read(attribute("path:x")));
        assert!(!read(RequestPart::Header(http::header::AUTHORIZATION)));
        assert!(!read(RequestPart::Query("p".to_owned())));
        assert!(!read(attribute("route:api")) && !read(attribute("paths:x")));
    }
}
