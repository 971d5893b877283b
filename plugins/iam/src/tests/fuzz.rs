//! Whoever has no secret cannot make a signature, so that of all inputs only those are
//! admitted that say the same as a signed one.

use std::collections::BTreeSet;

use super::*;
use crate::canonical;
use crate::query::{Query, Spelling};

/// A request as a text: `METHOD PATH QUERY`, a line for each header, an empty line, the body.
fn read(input: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(input).ok()?;
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let mut target = lines.next()?.splitn(3, ' ');
    let (method, path) = (target.next()?, target.next()?);
    let mut read = request(method, path, target.next(), body.as_bytes(), SIGNED_AT);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        read = read.with_header(name, value);
    }
    read.authority = read.header("host").unwrap_or("localhost").to_owned();
    Some(read)
}

/// The names of the signed headers, wherever the request says them.
fn signed_names(request: &Request) -> Vec<String> {
    let header = request.header("authorization").unwrap_or_default();
    let query = request.query.clone().unwrap_or_default();
    let all = format!("{header},{}", query.replace('&', ","));
    let list = all.split(',').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().ends_with("SignedHeaders").then_some(value)
    });
    let list = list.unwrap_or_default().trim().replace("%3B", ";").replace("%3b", ";");
    list.split(';').map(str::to_owned).collect()
}

/// What a request says, in a form of this test's own.
fn meaning(request: &Request) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in request.raw_path.split('/').filter(|it| !it.is_empty() && *it != ".") {
        match segment {
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let slash = !segments.is_empty() && request.raw_path.ends_with('/');
    let query = request.query.as_deref().unwrap_or_default();
    let mut parameters: Vec<_> = query.split('&').map(parameter).collect();
    parameters.retain(|(name, value)| {
        name != b"X-Amz-Signature" && !(name.is_empty() && value.is_empty())
    });
    parameters.sort();
    let values = |name: &String| {
        let words = |value: &[u8]| {
            let text = String::from_utf8_lossy(value).into_owned();
            text.split([' ', '\t']).filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
        };
        let all: Vec<String> = request.headers_all(name).map(words).collect();
        format!("{name}={}", all.join(","))
    };
    let headers: Vec<String> = signed_names(request).iter().map(values).collect();
    let body = request.attribute_value("body:sha256");
    let method = &request.method;
    format!("{method} {segments:?}{slash} {parameters:?} {headers:?} {body:?}")
}

/// A parameter's name and value.
fn parameter(pair: &str) -> (Vec<u8>, Vec<u8>) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (decoded(name), decoded(value))
}

/// Percent-decodes; `+` is no spelling of anything else.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let digits = rest.get(1..3).filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits {
            Some(digits) if next == '%' => {
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[3..];
            }
            _ => {
                bytes.extend_from_slice(next.to_string().as_bytes());
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    bytes
}

#[test]
fn fuzz_signature() {
    let words = &[
        "\n",
        " ",
        ":",
        "/",
        "//",
        "/..",
        "/./",
        "%2e",
        "%2F",
        "?",
        "&",
        "=",
        ",",
        ";",
        "+",
        "%20",
        "AWS4-HMAC-SHA256",
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        "host",
        "x-amz-date",
        "\nauthorization:",
        "\nhost:",
        "\nx-amz-content-sha256:UNSIGNED-PAYLOAD",
        "X-Amz-Signature=0&",
        "X-Amz-Expires=60",
        "X-Amz-Date=20260102T030405Z",
        "aws4_request",
        "20260102",
        "é",
        "\t",
    ];
    let corpus = portcullis_fuzz::Corpus::read("signature", &[]);
    let meant: BTreeSet<String> =
        corpus.seeds().filter_map(read).map(|request| meaning(&request)).collect();
    let plugin = plugin(json!({}));
    let _host = install(credential());
    portcullis_fuzz::target!("signature", words, |input| {
        let Some(request) = read(input) else { return };
        if plugin.authorize(&request).is_ok() {
            let meaning = meaning(&request);
            assert!(meant.contains(&meaning), "{meaning} is none of {meant:#?}");
        }
    });
}

#[test]
fn fuzz_canonical_query() {
    let words = &["&", "=", "+", "%", "%41", "%7e", "%C3%A9", "%zz", "X-Amz-Signature=1", "a", "é"];
    portcullis_fuzz::target!("canonical-query", words, |input| {
        let raw = String::from_utf8_lossy(input);
        let Ok(query) = Query::parse(Some(&raw)) else { return };
        let full = query.canonical(Spelling::Encoded);
        let again = Query::parse(Some(&full)).unwrap();
        assert_eq!(again.canonical(Spelling::Encoded), full, "its own form");
        assert_eq!(again.canonical(Spelling::AsSent), full);
        assert!(full.len() <= 3 * raw.len() + raw.matches('&').count() + 1);
        // It says what the query says, and no more.
        let sorted = |text: &str| {
            let mut pairs: Vec<_> = text.split('&').map(parameter).collect();
            pairs.sort();
            pairs
        };
        let kept: Vec<&str> = raw
            .split('&')
            .filter(|pair| pair.split('=').next() != Some("X-Amz-Signature"))
            .collect();
        if !kept.is_empty() {
            assert_eq!(sorted(&full), sorted(&kept.join("&")), "{raw}");
        }
        let path = canonical::path(&raw);
        assert!(path.starts_with('/') && path.len() <= 3 * raw.len() + 2);
        assert!(!path.split('/').any(|segment| matches!(segment, "." | "..")), "{path}");
    });
}
