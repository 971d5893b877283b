//! What earlier answers are found by.

use std::net::IpAddr;

use portcullis_config::RequestPart;
use portcullis_pipeline::{Reads, Value, View};
use sha2::{Digest as _, Sha256};

use crate::abi;
use crate::code_cache::Digest;
use crate::request_part::{each_value, is_certain};
use crate::shared::Generation;

/// A digest of what an answer depends on.
pub(crate) type Key = Digest;

/// What an answer may depend on, beside the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// What the plugin reads.
    pub(crate) reads: &'a Reads,
    /// The argument of this use of the plugin.
    pub(crate) argument: Option<&'a str>,
    /// The versions of what the plugin consults in the host.
    pub(crate) generation: Generation,
}

/// Digests everything the plugin would be shown of a request but its time. Each part is
/// preceded by its length, so that no two requests digest alike by moving a border.
pub(super) fn of_all(view: &View<'_>, asking: Asking<'_>) -> Key {
    let mut hash = Parts::begin(asking);
    // The path and the parameters follow from what is digested.
    for part in [view.method(), view.scheme(), view.authority(), view.raw_path()] {
        hash.part(part.as_bytes());
    }
    match view.client() {
        IpAddr::V4(address) => hash.part(&address.octets()),
        IpAddr::V6(address) => hash.part(&address.octets()),
    }
    hash.optional(view.query());
    if asking.reads.all_headers {
        for (name, value) in view.headers() {
            hash.another(name.as_str().as_bytes());
            hash.part(value.as_bytes());
        }
        hash.end();
    } else {
        for name in &asking.reads.headers {
            view.headers().get_all(name).iter().for_each(|value| hash.another(value.as_bytes()));
            hash.end();
        }
    }
    for name in &asking.reads.attributes {
        abi::each_attribute(view, name, |name, value| {
            hash.another(name.as_bytes());
            hash.value(&value);
        });
        hash.end();
    }
    if let Some((bytes, complete)) = abi::body_part(view.body(), asking.reads.body) {
        hash.count(if complete { 1 } else { 2 });
        hash.part(bytes);
    }
    hash.0.finalize().into()
}

/// Digests these parts and the stage, and no more; nothing where a request has none of those
/// that a request may lack. An answer is for one stage, whatever parts are named: as on AWS,
/// and since another stage's values may be what it was made by.
pub(super) fn of_parts(parts: &[RequestPart], view: &View<'_>, asking: Asking<'_>) -> Option<Key> {
    let mut hash = Parts::begin(asking);
    let mut is_told_apart = parts.iter().all(is_certain);
    for part in parts {
        each_value(part, view, |value| {
            is_told_apart |= !is_certain(part) && !value.is_empty();
            hash.another(value);
        });
        hash.end();
    }
    if let Some(stage) = view.stage_digest() {
        hash.part(&stage);
    }
    is_told_apart.then(|| hash.0.finalize().into())
}

struct Parts(Sha256);

impl Parts {
    fn begin(asking: Asking<'_>) -> Self {
        let mut hash = Self(Sha256::new());
        let Generation { keys, credentials } = asking.generation;
        hash.0.update(keys.to_le_bytes());
        hash.0.update(credentials.to_le_bytes());
        hash.optional(asking.argument);
        hash
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn part(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    /// One more of some parts whose number is not known yet.
    fn another(&mut self, bytes: &[u8]) {
        self.0.update([1]);
        self.part(bytes);
    }

    /// The end of such parts.
    fn end(&mut self) {
        self.0.update([0]);
    }

    fn optional(&mut self, text: Option<&str>) {
        text.into_iter().for_each(|text| self.another(text.as_bytes()));
        self.end();
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.count(1);
                self.part(text.as_bytes());
            }
            Value::Integer(number) => {
                self.count(2);
                self.part(&number.to_le_bytes());
            }
            Value::Boolean(truth) => {
                self.count(3);
                self.part(&[u8::from(*truth)]);
            }
            Value::Texts(texts) => {
                self.count(4);
                self.count(texts.len());
                texts.iter().for_each(|text| self.part(text.as_bytes()));
            }
            Value::Bytes(bytes) => {
                self.count(5);
                self.part(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, COOKIE};
    use http::{HeaderMap, HeaderName, HeaderValue};
    use portcullis_config::Stage;
    use portcullis_pipeline::{Arrival, RouteFacts, Scheme, ViewParts};

    use super::*;

    /// A request, and what is asked of it.
    #[derive(Clone, Copy)]
    struct Shown<'a> {
        headers: &'a [(&'static str, &'a str)],
        path: &'a str,
        query: Option<&'a str>,
        argument: Option<&'a str>,
        generation: Generation,
        time_ms: u64,
        stage: Option<(&'a str, &'a str)>,
    }

    const PLAIN: Shown<'_> = Shown {
        headers: &[("a", "bc")],
        path: "/",
        query: None,
        argument: None,
        generation: Generation { keys: 7, credentials: 7 },
        time_ms: 0,
        stage: None,
    };

    impl Shown<'_> {
        fn digested<T>(self, reads: &Reads, digest: impl FnOnce(&View<'_>, Asking<'_>) -> T) -> T {
            let mut headers = HeaderMap::new();
            for (name, value) in self.headers {
                let value = HeaderValue::from_str(value).unwrap();
                headers.append(HeaderName::from_static(name), value);
            }
            let arrival = Arrival {
                id: String::new(),
                peer: ([127, 0, 0, 1], 9).into(),
                client: [127, 0, 0, 1].into(),
                scheme: Scheme::Http,
                time_ms: self.time_ms,
                tls: None,
            };
            let stage = self.stage.map(|(name, value)| Stage {
                name: name.to_owned(),
                base_path: String::new(),
                values: [("colour".to_owned(), value.to_owned())].into(),
            });
            let route =
                RouteFacts::Stated { key: "r", api: "a", parameters: &[], stage: stage.as_ref() };
            let parts = ViewParts {
                arrival: &arrival,
                method: "GET",
                authority: "a",
                raw_path: self.path,
                path: self.path,
                query: self.query,
                headers: &headers,
                body: None,
                route: Some(route),
                identity: None,
            };
            let (argument, generation) = (self.argument, self.generation);
            digest(&View::of(&parts), Asking { reads, argument, generation })
        }

        fn all(self) -> Key {
            let reads = Reads { all_headers: true, ..Reads::default() };
            self.digested(&reads, of_all)
        }

        fn by(self, parts: &[RequestPart]) -> Option<Key> {
            self.digested(&Reads::default(), |view, asking| of_parts(parts, view, asking))
        }
    }

    #[test]
    fn keys_differ_wherever_the_reads_differ() {
        let one = PLAIN.all();

        assert_eq!(one, Shown { time_ms: 99, ..PLAIN }.all(), "the time is no read");
        for other in [
            Shown { headers: &[("ab", "c")], ..PLAIN },
            Shown { headers: &[("a", "bc"), ("a", "bc")], ..PLAIN },
            Shown { headers: &[], ..PLAIN },
            Shown { argument: Some(""), ..PLAIN },
            Shown { query: Some(""), ..PLAIN },
            Shown { path: "/a", ..PLAIN },
            Shown { generation: Generation { keys: 8, credentials: 7 }, ..PLAIN },
            Shown { generation: Generation { keys: 7, credentials: 8 }, ..PLAIN },
            Shown { generation: Generation { keys: 6, credentials: 8 }, ..PLAIN },
        ] {
            assert_ne!(one, other.all());
        }
        assert_ne!(
            Shown { argument: Some("a"), ..PLAIN }.all(),
            Shown { query: Some("a"), ..PLAIN }.all()
        );
    }

    #[test]
    fn a_narrow_key_differs_by_its_parts_alone() {
        let by = [RequestPart::Header(AUTHORIZATION), RequestPart::Cookie("s".to_owned())];
        let alice = Shown { headers: &[("authorization", "alice")], ..PLAIN };
        let one = alice.by(&by);

        assert!(one.is_some());
        assert_eq!(one, Shown { path: "/other", query: Some("q=1"), ..alice }.by(&by));
        let headers = &[("x-other", "1"), ("authorization", "alice"), ("cookie", "t=1")];
        assert_eq!(one, Shown { headers, ..alice }.by(&by));
        for other in [
            Shown { headers: &[("authorization", "bob")], ..PLAIN },
            Shown { headers: &[("authorization", "alice"), ("authorization", "")], ..PLAIN },
            Shown { headers: &[("cookie", "s=alice")], ..PLAIN },
            Shown { argument: Some("a"), ..alice },
            Shown { stage: Some(("dev", "red")), ..alice },
            Shown { generation: Generation { keys: 8, credentials: 7 }, ..alice },
            Shown { generation: Generation { keys: 7, credentials: 8 }, ..alice },
        ] {
            assert_ne!(one, other.by(&by));
        }
        let at = |stage| Shown { stage: Some(stage), ..alice }.by(&by);
        assert_eq!(at(("dev", "red")), at(("dev", "red")));
        assert_ne!(at(("dev", "red")), at(("live", "red")), "an answer is for one stage");
        assert_ne!(at(("dev", "red")), at(("dev", "blue")), "and for the values it has");
    }

    #[test]
    fn a_request_that_nothing_tells_apart_has_no_key() {
        let credentials = [RequestPart::Header(AUTHORIZATION), RequestPart::Path];
        let places = [RequestPart::Path, RequestPart::ClientAddress];

        assert_eq!(PLAIN.by(&credentials), None);
        for name in ["route:id", "stage:colour", "client:address", "request:path", "path:id"] {
            let by = [RequestPart::Header(AUTHORIZATION), RequestPart::Attribute(name.to_owned())];
            let shown = Shown { stage: Some(("dev", "red")), ..PLAIN };
            assert_eq!(shown.by(&by), None, "`{name}` is no credential");
            assert!(shown.by(&by[1..]).is_some(), "{name}");
        }
        assert_eq!(Shown { headers: &[("authorization", "")], ..PLAIN }.by(&credentials), None);
        assert!(PLAIN.by(&places).is_some());
        assert_eq!(
            Shown { headers: &[("cookie", "s=1")], ..PLAIN }
                .by(&[RequestPart::Header(AUTHORIZATION)]),
            None
        );
        assert!(
            Shown { headers: &[("cookie", "s=1")], ..PLAIN }
                .by(&[RequestPart::Header(COOKIE)])
                .is_some()
        );
    }
}
