use bytes::Bytes;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_config::{PathPattern, PathProblem, Segment};
use portcullis_pipeline::{
    BodyAccess, CanonicalPath, Outgoing, RequestEdit, RouteTable, apply_to_request,
};

use crate::served::{api, route};

/// The bytes a path stands for.
fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}

#[test]
fn fuzz_canonical_path() {
    let words =
        &["/", ".", "..", "%2e", "%2F", "%5c", "%", ";", "%3b", "a", "~", "é", "%C3%A9", "%00"];
    portcullis_fuzz::target!("canonical-path", words, |input| {
        let raw = String::from_utf8_lossy(input);
        let Ok(path) = CanonicalPath::parse(&raw) else { return };
        let canonical = path.as_str();
        assert_eq!(CanonicalPath::parse(canonical).as_ref(), Ok(&path), "its own form");
        assert_eq!(decoded(canonical), decoded(&raw), "the same bytes");
        assert!(canonical.len() <= 3 * raw.len());
        // Whoever decodes it once, cuts at `;` or resolves dots sees the same segments.
        let bytes = decoded(canonical);
        let segments: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').skip(1).collect();
        assert_eq!(segments.len(), canonical.matches('/').count());
        for (at, segment) in segments.iter().enumerate() {
            let name = segment.split(|byte| *byte == b';').next().unwrap();
            assert!(!matches!(name, b"." | b".."), "{canonical}");
            assert!(!segment.is_empty() || at + 1 == segments.len(), "{canonical}");
            let odd = |byte: &u8| byte.is_ascii_control() || *byte == b'\\';
            assert!(!segment.iter().any(odd), "{canonical}");
        }
    });
}

#[test]
fn fuzz_route_pattern() {
    let words = &["/", "{", "}", "+}", "{a}", "{b+}", "%2e", "%2F", "..", ";", "a", "%41", "|"];
    portcullis_fuzz::target!("route-pattern", words, |input| {
        let text = String::from_utf8_lossy(input);
        let pattern = match PathPattern::parse(&text) {
            Ok(pattern) => pattern,
            Err(PathProblem::NoLeadingSlash) => return assert!(!text.starts_with('/')),
            Err(problem) => return assert!(!problem.to_string().is_empty()),
        };
        assert_eq!(pattern.to_string(), text, "it is written as it was");
        // A path made from it has a canonical form, and takes the route.
        let filled = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Parameter(name) => format!("/x{name}"),
            Segment::Greedy(name) => format!("/x{name}/y"),
        };
        let raw: String = pattern.segments().iter().map(filled).collect();
        if pattern.segments().len() > 200 {
            return;
        }
        let path = CanonicalPath::parse(&raw).expect("a path of a pattern is canonical");
        let table = RouteTable::new(vec![api("a", &[], "", vec![route(&format!("GET {text}"))])]);
        let found = table.find("h", &Method::GET, &path).map(|served| served.parameters(&path));
        let found = found.expect("the path takes the route");
        let named = |segment: &Segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) => Some((name.clone(), format!("x{name}"))),
            Segment::Greedy(name) => Some((name.clone(), format!("x{name}/y"))),
        };
        let expected: Vec<_> = pattern.segments().iter().filter_map(named).collect();
        assert_eq!(found, expected, "{text}");
    });
}

/// A line for each edit.
fn edits(text: &str) -> Vec<RequestEdit> {
    let header = |rest: &str| {
        let (name, value) = rest.split_once('=')?;
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
    };
    let edit = |line: &str| {
        let (verb, rest) = line.split_once(' ')?;
        Some(match verb {
            "set" => header(rest).map(|(name, value)| RequestEdit::SetHeader(name, value))?,
            "append" => header(rest).map(|(name, value)| RequestEdit::AppendHeader(name, value))?,
            "remove" => RequestEdit::RemoveHeader(rest.parse().ok()?),
            "path" => RequestEdit::SetPath(rest.to_owned()),
            "query" => RequestEdit::SetQuery(Some(rest.to_owned()).filter(|rest| rest != "-")),
            "body" => RequestEdit::SetBody(Bytes::from(rest.to_owned())),
            _ => return None,
        })
    };
    text.lines().filter_map(edit).collect()
}

#[test]
fn fuzz_edits() {
    let words = &[
        "\nset ",
        "\nappend ",
        "\nremove ",
        "\npath /",
        "\nquery ",
        "\nbody ",
        "host",
        "x-a",
        "=",
        "connection",
        "content-length",
        "transfer-encoding",
        " HTTP/1.1\r\n",
        "?",
        "#",
        "é",
        "trailer",
        "te",
        "upgrade",
    ];
    portcullis_fuzz::target!("edits", words, |input| {
        let edits = edits(&String::from_utf8_lossy(input));
        let mut received = HeaderMap::new();
        received.insert(HOST, HeaderValue::from_static("a"));
        received.insert(CONNECTION, HeaderValue::from_static("x-hop, host"));
        received.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        received.insert("x-hop", HeaderValue::from_static("1"));
        received.insert("x-a", HeaderValue::from_static("1"));
        let mut outgoing = Outgoing::default();
        let applied =
            apply_to_request(edits.clone(), &mut outgoing, &received, BodyAccess::Buffered);
        let headers = outgoing.headers.as_ref().unwrap_or(&received);
        if applied.is_err() {
            let untouched = (&outgoing.headers, &outgoing.path, &outgoing.query, &outgoing.body);
            return assert_eq!(untouched, (&None, &None, &None, &None), "all or none");
        }
        // What frames the message is as it was, whatever an edit says.
        for name in portcullis_config::RESERVED_HEADERS {
            let values = |of: &HeaderMap| of.get_all(name).iter().cloned().collect::<Vec<_>>();
            assert_eq!(values(headers), values(&received), "{name}");
        }
        let target = [outgoing.path.as_deref(), outgoing.query.as_ref().and_then(Option::as_deref)];
        for part in target.into_iter().flatten() {
            assert!(part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{part:?}");
        }
        assert!(outgoing.path.is_none_or(|path| path.starts_with('/') && !path.contains('?')));
        // Nothing streams past that was to be replaced.
        let streaming = apply_to_request(
            edits.clone(),
            &mut Outgoing::default(),
            &received,
            BodyAccess::Streaming,
        );
        let replaces = edits.iter().any(|edit| matches!(edit, RequestEdit::SetBody(_)));
        assert_eq!(streaming.is_err(), replaces);
    });
}
