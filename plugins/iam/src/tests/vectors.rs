//! Requests that real clients signed; `tests/clients/sigv4_vectors.py` says how.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: String,
    token: Option<String>,
}

impl Vector {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("vectors.json")).unwrap()
    }

    fn request(&self) -> Request {
        let body = self.body.as_bytes();
        let request = request(&self.method, &self.path, self.query.as_deref(), body, SIGNED_AT);
        let add = |request: Request, (name, value): &(String, String)| {
            request.with_header(name, value.as_str())
        };
        let mut request = self.headers.iter().fold(request, add);
        request.authority = request.header("host").unwrap().to_owned();
        request
    }

    fn install(&self) -> Installed {
        install(if self.token.is_some() { temporary() } else { credential() })
    }

    fn signs_its_payload(&self) -> bool {
        self.name != "unsigned payload"
    }
}

fn open() -> Iam {
    plugin(json!({ "unsigned_payload": true }))
}

#[test]
fn what_clients_sign_holds() {
    let vectors = Vector::all();
    assert!(vectors.len() >= 26);
    for vector in vectors {
        let _host = vector.install();
        assert_eq!(code(&open(), &vector.request()), None, "{}", vector.name);
    }
}

/// Every other request that differs from a signed one in a signed part.
fn changes(vector: &Vector) -> Vec<(String, Request)> {
    let mut changed: Vec<(String, Request)> = Vec::new();
    let mut change = |what: &str, with: &dyn Fn(&mut Request)| {
        let mut request = vector.request();
        with(&mut request);
        changed.push((what.to_owned(), request));
    };
    change("method", &|r| r.method = "PATCH".to_owned());
    change("host", &|r| set(r, "host", "abd.execute-api.us-east-1.amazonaws.com"));
    change("one more segment", &|r| r.raw_path += "/y");
    change("an encoded character", &|r| r.raw_path = r.raw_path.replacen('p', "%70", 1) + "%20");
    change("another parameter", &|r| {
        r.query = Some(r.query.as_deref().map_or("y=1".to_owned(), |q| format!("{q}&y=1")));
    });
    if vector.signs_its_payload() {
        change("body", &|r| {
            r.attributes = vec![Attribute::new("body:sha256", Sha256::digest("other").to_vec())];
        });
    }
    change("no digest", &|r| r.attributes.clear());
    change("an x-amz header", &|r| set(r, "x-amz-other", "1"));
    change("a day later", &|r| r.time += 604_801_000);
    change("a day before", &|r| r.time -= 301_000);
    change("parameter names", &|r| r.query = Some(r.query.clone().unwrap_or_default() + "%"));
    for index in 0..vector.query.as_deref().unwrap_or_default().split('&').count() {
        change(&format!("parameter {index} left out"), &|r| {
            let query = r.query.clone().unwrap_or("none".to_owned());
            let kept = query.split('&').enumerate().filter(|(at, _)| *at != index);
            r.query = Some(kept.map(|(_, pair)| pair).collect::<Vec<_>>().join("&"));
            if query == "none" {
                r.raw_path.clear();
                r.raw_path.push_str("/none");
            }
        });
    }
    changed
}

#[test]
fn whatever_else_was_signed_does_not_hold() {
    for vector in Vector::all() {
        let _host = vector.install();
        for (what, request) in changes(&vector) {
            if what == "no digest" && !vector.signs_its_payload() {
                continue;
            }
            assert!(code(&open(), &request).is_some(), "{}: {what}", vector.name);
        }
    }
}

#[test]
fn every_signed_header_counts() {
    for vector in Vector::all() {
        let _host = vector.install();
        let request = vector.request();
        let signed = match request.header("authorization") {
            Some(text) => text.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap(),
            None => "host",
        };
        for name in signed.split(';').map(str::to_owned) {
            let mut without = vector.request();
            without.headers.retain(|header| header.name != name);
            without.authority = "elsewhere".to_owned();
            assert!(code(&open(), &without).is_some(), "{}: without {name}", vector.name);

            let mut longer = vector.request();
            for header in longer.headers.iter_mut().filter(|header| header.name == name) {
                header.value.push(b'1');
            }
            assert!(code(&open(), &longer).is_some(), "{}: longer {name}", vector.name);

            let mut twice = vector.request();
            twice.headers.push(Header::new(&name, "1"));
            assert!(code(&open(), &twice).is_some(), "{}: twice {name}", vector.name);
        }
    }
}

/// Each byte of a path, of a query and of a claim is signed, but for those that write the
/// same another way.
#[test]
fn every_byte_counts() {
    for vector in Vector::all() {
        let _host = vector.install();
        let plugin = open();
        let refused = |what: &str, request: &Request| {
            assert!(code(&plugin, request).is_some(), "{}: {what} {request:?}", vector.name);
        };
        let twist = |byte: u8| if byte == b'w' { 'v' } else { 'w' };
        // What dot segments resolve to is signed, not what they resolve.
        let path_is_normal = !vector.path.contains("/../");
        for at in (0..vector.path.len()).filter(|_| path_is_normal) {
            let mut request = vector.request();
            let twisted = twist(request.raw_path.as_bytes()[at]).to_string();
            request.raw_path.replace_range(at..=at, &twisted);
            refused("path", &request);
        }
        for at in 0..vector.query.as_deref().unwrap_or_default().len() {
            let mut request = vector.request();
            let query = request.query.as_mut().unwrap();
            let twisted = twist(query.as_bytes()[at]).to_string();
            query.replace_range(at..=at, &twisted);
            refused("query", &request);
        }
        if let Some(text) = vector.request().header("authorization") {
            for at in (0..text.len()).filter(|at| text.as_bytes()[*at] != b' ') {
                let mut twisted = text.to_owned();
                twisted.replace_range(at..=at, &twist(text.as_bytes()[at]).to_string());
                let mut request = vector.request();
                set(&mut request, "authorization", &twisted);
                refused("authorization", &request);
            }
        }
    }
}
