//! The route table against a slow obvious model: list what matches, rank it.

use http::Method;
use portcullis_config::{HostPattern, RouteMatch, Segment};
use portcullis_pipeline::{CanonicalPath, NotFound, RouteTable, ServedRoute};
use proptest::prelude::*;

use crate::served::{api, route};

/// Kind, method, segments (or how much of the path a default leaves), age.
type Rank = (u8, u8, Vec<usize>, usize);

fn path_matches(pattern: &[Segment], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((Segment::Greedy(_), _)), Some((first, _))) => !first.is_empty(),
        (Some((Segment::Literal(text), pattern)), Some((first, path))) => {
            text == first && path_matches(pattern, path)
        }
        (Some((Segment::Parameter(_), pattern)), Some((first, path))) => {
            !first.is_empty() && path_matches(pattern, path)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether the path is the base path and the pattern that of the API's root.
fn is_bare_root(served: &ServedRoute, pattern: &[Segment], path: &[&str]) -> bool {
    let base: Vec<&str> = served.base_path.split('/').skip(1).collect();
    let slash = [path, &[""]].concat();
    let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
    path == base
        && pattern.iter().all(is_literal)
        && pattern.len() == slash.len()
        && path_matches(pattern, &slash)
        && matches!(pattern.last(), Some(Segment::Literal(last)) if last.is_empty())
}

fn rank(served: &ServedRoute, method: &Method, path: &[&str]) -> Option<Rank> {
    match &served.route.matches {
        RouteMatch::Default => {
            let base: Vec<&str> =
                served.base_path.split('/').filter(|segment| !segment.is_empty()).collect();
            path.starts_with(&base).then(|| (2, 0, vec![path.len() - base.len()], served.id.0))
        }
        RouteMatch::Path { method: wanted, pattern } => {
            let method = match wanted {
                Some(wanted) if wanted == method => 0,
                Some(_) => return None,
                None => 1,
            };
            let segment = |segment: &Segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Parameter(_) => 1,
                Segment::Greedy(_) => 2,
            };
            // The segment more is what ranks a bare root behind a route of that very path.
            let segments = pattern.segments().iter().map(segment).collect();
            let matches = path_matches(pattern.segments(), path)
                || is_bare_root(served, pattern.segments(), path);
            matches.then(|| (u8::from(pattern.is_greedy()), method, segments, served.id.0))
        }
    }
}

/// How exactly a route names the host; the smallest is the most exact.
fn host_rank(served: &ServedRoute, host: &str) -> Option<u8> {
    let one = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => (name == host).then_some(0),
        HostPattern::Wildcard(suffix) => {
            host.split_once('.').filter(|(_, rest)| rest == suffix).map(|_| 1)
        }
    };
    if served.hosts.is_empty() { Some(2) } else { served.hosts.iter().filter_map(one).min() }
}

fn find_slowly(
    table: &RouteTable,
    host: &str,
    method: &Method,
    path: &CanonicalPath,
) -> Result<usize, NotFound> {
    let path: Vec<&str> = path.as_str().split('/').skip(1).collect();
    let best_host = table.routes().filter_map(|served| host_rank(served, host)).min();
    let here: Vec<_> = table
        .routes()
        .filter(|served| best_host.is_some() && host_rank(served, host) == best_host)
        .collect();
    if let Some(best) = here.iter().filter_map(|served| rank(served, method, &path)).min() {
        return Ok(best.3);
    }
    let mut others: Vec<Method> = Vec::new();
    for served in here {
        if let RouteMatch::Path { method: Some(other), pattern } = &served.route.matches
            && (path_matches(pattern.segments(), &path)
                || is_bare_root(served, pattern.segments(), &path))
            && !others.contains(other)
        {
            others.push(other.clone());
        }
    }
    others.sort_by_key(|method| method.as_str().to_owned());
    Err(if others.is_empty() { NotFound::NoSuchRoute } else { NotFound::MethodNotAllowed(others) })
}

fn key() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => Just("/a"), 2 => Just("/b"), 3 => Just("/{}")];
    let end = prop_oneof![4 => Just(""), 1 => Just("/"), 3 => Just("/{rest+}")];
    let method = prop_oneof![Just("GET"), Just("PUT"), Just("ANY")];
    let path = (proptest::collection::vec(segment, 0..4), end).prop_map(|(segments, end)| {
        let named =
            segments.iter().enumerate().map(|(at, text)| text.replace("{}", &format!("{{p{at}}}")));
        let path: String = named.chain([end.to_owned()]).collect();
        if path.is_empty() { "/".to_owned() } else { path }
    });
    prop_oneof![
        9 => (method, path).prop_map(|(method, path)| format!("{method} {path}")),
        1 => Just("$default".to_owned()),
    ]
}

type Written = (Vec<&'static str>, &'static str, Vec<String>);

fn written() -> impl Strategy<Value = Written> {
    let hosts = prop_oneof![
        3 => Just(vec![]),
        2 => Just(vec!["x.t"]),
        2 => Just(vec!["*.t"]),
        1 => Just(vec!["x.t", "*.t", "y.t"]),
    ];
    let base = prop_oneof![Just(""), Just("/a"), Just("/a/b")];
    (hosts, base, proptest::collection::vec(key(), 0..8))
}

fn table(apis: &[Written]) -> RouteTable {
    let api = |(hosts, base, keys): &Written| {
        api("a", hosts, base, keys.iter().map(|key| route(key)).collect())
    };
    RouteTable::new(apis.iter().map(api).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_finds_what_the_rank_says(
        apis in proptest::collection::vec(written(), 1..4),
        host in prop_oneof![Just("x.t"), Just("y.t"), Just("z.t"), Just("t"), Just("q")],
        path in "(/[abc]){0,4}/?",
    ) {
        let table = table(&apis);
        let path = if path.is_empty() { "/" } else { &path };
        let path = CanonicalPath::parse(path).unwrap();
        for method in [Method::GET, Method::PUT, Method::POST] {
            let found = table.find(host, &method, &path).map(|served| served.id.0);
            prop_assert_eq!(found, find_slowly(&table, host, &method, &path));
        }
    }
}
