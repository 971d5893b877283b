//! Conveniences on requests and responses.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{
    Attribute, Body, FullResponse, Header, JsonError, Parameter, Request, Response, Value,
};

impl Request {
    /// A GET request, to test a plugin with.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST request with a whole body, to test a plugin with.
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).with_body(body)
    }

    /// A request of any method, to test a plugin with.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            scheme: "https".to_owned(),
            authority: "localhost".to_owned(),
            raw_path: path.to_owned(),
            path: path.to_owned(),
            query: None,
            client_address: "127.0.0.1".to_owned(),
            time: 0,
            argument: None,
            headers: Vec::new(),
            parameters: Vec::new(),
            attributes: Vec::new(),
            body: None,
        }
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Adds a query parameter.
    pub fn with_parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push(Parameter { name: name.to_owned(), value: value.to_owned() });
        self
    }

    /// Adds an attribute.
    pub fn with_attribute(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.push(Attribute::new(name, value));
        self
    }

    /// Gives the request a whole body.
    pub fn with_body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(Body { bytes: bytes.into(), complete: true });
        self
    }

    /// Gives this use of the plugin an argument.
    pub fn with_argument(mut self, argument: &str) -> Self {
        self.argument = Some(argument.to_owned());
        self
    }

    /// The one value of a header; none where it is missing, repeated or not
    /// UTF-8. To tell these apart, ask [`headers_all`](Self::headers_all).
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header_bytes(name)?).ok()
    }

    /// The one value of a header; none where it is missing or repeated.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        only(self.headers_all(name))
    }

    /// Every value of a header, in the order received.
    pub fn headers_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        named(&self.headers, name)
    }

    /// Every value of a cookie (RFC 6265, section 4.2), in the order received; HTTP/2 may
    /// spread cookies over several fields.
    ///
    /// Read as the gateway reads them: pairs end at `;`, a name ends at the first `=`, and
    /// space around either is no part of it. A value stands as it was sent, with its quotes.
    pub fn cookies_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let pairs = self.headers_all("cookie").flat_map(|field| field.split(|byte| *byte == b';'));
        pairs.filter_map(move |pair| {
            let end = pair.iter().position(|byte| *byte == b'=')?;
            let (found, value) = pair.split_at_checked(end)?;
            (found.trim_ascii() == name.as_bytes())
                .then(|| value.strip_prefix(b"=").unwrap_or_default().trim_ascii())
        })
    }

    /// The token of `Authorization: Bearer` (RFC 6750); none where the header is
    /// missing, repeated, or of another scheme or form.
    pub fn bearer_token(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        let token = token.trim_matches(' ');
        let well_formed = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        (scheme.eq_ignore_ascii_case("bearer") && well_formed).then_some(token)
    }

    /// The one value of a query parameter; none where it is missing or repeated.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        only(self.parameters_all(name))
    }

    /// Every value of a query parameter, in the order received.
    pub fn parameters_all(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |parameter: &&Parameter| parameter.name == name;
        self.parameters.iter().filter(same).map(|parameter| parameter.value.as_str())
    }

    /// The text of an attribute; none where it is missing or of another type.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        match self.attribute_value(name)? {
            Value::Text(text) => Some(text),
            Value::Integer(_) | Value::Boolean(_) | Value::Texts(_) | Value::Bytes(_) => None,
        }
    }

    /// The value of an attribute.
    pub fn attribute_value(&self, name: &str) -> Option<&Value> {
        let found = self.attributes.iter().find(|attribute| attribute.name == name);
        found.map(|attribute| &attribute.value)
    }

    /// Reads the body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        json(self.body.as_ref())
    }
}

impl Response {
    /// A response, to test a plugin with.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Gives the response a whole body.
    pub fn with_body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(Body { bytes: bytes.into(), complete: true });
        self
    }

    /// The one value of a header; none where it is missing, repeated or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(only(self.headers_all(name))?).ok()
    }

    /// Every value of a header, in order.
    pub fn headers_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        named(&self.headers, name)
    }

    /// Reads the body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        json(self.body.as_ref())
    }
}

impl FullResponse {
    /// A response without headers or body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Gives it a body.
    pub fn with_body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }

    /// Gives it a JSON body, with its content type.
    pub fn with_json(self, body: &serde_json::Value) -> Self {
        self.with_header("content-type", "application/json").with_body(body.to_string())
    }
}

impl Header {
    /// A header; the name is put in lower case.
    pub fn new(name: &str, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_ascii_lowercase(), value: value.into() }
    }
}

impl Attribute {
    /// An attribute.
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// As it would stand in a header: texts joined by commas, bytes in hexadecimal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(integer) => integer.fmt(f),
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::Texts(texts) => f.write_str(&texts.join(",")),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

macro_rules! value_from {
    ($($variant:ident: $from:ty),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

value_from! {
    Text: &str,
    Text: &String,
    Text: String,
    Integer: i64,
    Boolean: bool,
    Texts: Vec<String>,
    Bytes: &[u8],
    Bytes: Vec<u8>,
}

fn only<T>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn named<'a>(headers: &'a [Header], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let same = move |header: &&Header| header.name.eq_ignore_ascii_case(name);
    headers.iter().filter(same).map(|header| header.value.as_slice())
}

fn json<T: DeserializeOwned>(body: Option<&Body>) -> Result<T, JsonError> {
    let whole = body.filter(|body| body.complete);
    let missing = || JsonError { pointer: String::new(), message: "a body is required".to_owned() };
    crate::json::from_slice(&whole.ok_or_else(missing)?.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_only_from_one_well_formed_header() {
        let check = |values: &[&str], expected: Option<&str>| {
            let request = values.iter().fold(Request::get("/"), |request, value| {
                request.with_header("Authorization", *value)
            });
            assert_eq!(request.bearer_token(), expected, "{values:?}");
        };

        check(&["Bearer abc.def"], Some("abc.def"));
        check(&["bearer  abc"], Some("abc"));
        check(&["Bearer a", "Bearer b"], None);
        check(&["Bearer a b"], None);
        check(&["Bearer "], None);
        check(&["Basic abc"], None);
        check(&[], None);
    }

    #[test]
    fn a_repeated_header_has_no_single_value() {
        let request = Request::get("/").with_header("x-a", "1").with_header("X-A", "2");

        assert_eq!(request.header("x-a"), None);
        assert_eq!(request.headers_all("x-a").count(), 2);
    }

    /// The same table stands in the gateway, `proxy/pipeline/src/cookies.rs`.
    const COOKIES: &[(&[&str], &[&str])] = &[
        (&["session=a"], &["a"]),
        (&["x=1; session=a; y=2"], &["a"]),
        (&["x=1;session=a;y=2"], &["a"]),
        (&["sessions=a; xsession=b; session; =session"], &[]),
        (&["Session=a"], &[]),
        (&["session = b"], &["b"]),
        (&["session=a;\tsession\t=\tb=c ; session="], &["a", "b=c", ""]),
        (&["session=a b"], &["a b"]),
        (&["session=\"a\""], &["\"a\""]),
        (&["session=a,session=b"], &["a,session=b"]),
        (&["session=a; x=1", "session=b"], &["a", "b"]),
        (&["", ";;", "="], &[]),
        (&[], &[]),
    ];

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        for (fields, expected) in COOKIES {
            let request = fields
                .iter()
                .fold(Request::get("/"), |request, field| request.with_header("Cookie", *field));
            let found: Vec<_> =
                request.cookies_all("session").map(String::from_utf8_lossy).collect();
            assert_eq!(&found, expected, "{fields:?}");
        }
    }

    #[test]
    fn values_read_as_a_header_would_hold_them() {
        let shown = |value: Value| value.to_string();

        assert_eq!(shown(vec!["a".to_owned(), "b".to_owned()].into()), "a,b");
        assert_eq!(shown(vec![0x0a_u8, 0xff].into()), "0aff");
        assert_eq!(shown(7.into()), "7");
    }

    #[test]
    fn fuzz_sdk_cookies() {
        let words = &["session", "session=", ";", "; ", "=", " ", "\t", "\n", "x", "Bearer "];
        portcullis_fuzz::target!("sdk-cookies", words, |input| {
            // A field for each line, as HTTP/2 may spread them.
            let fields: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
            let request = fields
                .iter()
                .fold(Request::get("/"), |request, field| request.with_header("Cookie", *field));
            let found: Vec<&[u8]> = request.cookies_all("session").collect();
            let mut expected = Vec::new();
            for pair in fields.iter().flat_map(|field| field.split(|byte| *byte == b';')) {
                let cut = pair.iter().position(|byte| *byte == b'=');
                if let Some((name, value)) = cut.map(|cut| (&pair[..cut], &pair[cut + 1..]))
                    && name.trim_ascii() == b"session"
                {
                    expected.push(value.trim_ascii());
                }
            }
            assert_eq!(found, expected);
            let bearing = Request::get("/").with_header("authorization", input);
            if let Some(token) = bearing.bearer_token() {
                assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "{token:?}");
            }
        });
    }
}
