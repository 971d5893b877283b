//! Files of others that a configuration names.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value as Json;

use super::{read, shows_its_place};
use crate::data::{self, Node};
use crate::diagnostic::{Place, Problems};
use crate::{Access, Diagnostics, Route, Scopes};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ": ",
    "\"",
    "'",
    "\n",
    "\n  ",
    "- ",
    "#",
    "&a ",
    "*a",
    "|\n",
    "!!str ",
    "<<",
    "? ",
    "---\n",
    "null",
    "~",
    "true",
    "0x1f",
    "-1",
    "1e3",
    "1.50",
    "18446744073709551616",
    "\\u0061",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\",
    "\"a\":",
    "é",
    "\t",
];

/// Reads a document; its problems are shown where they are.
fn parsed(name: &str, text: &str) -> Result<Node, Diagnostics> {
    let mut problems = Problems::default();
    let node = data::parse(Path::new(name), text.into(), &Place::synthetic(), &mut problems);
    let read = problems.finish(node);
    if let Err(problems) = &read {
        for problem in problems {
            shows_its_place(problem, "", &[(name, text)]);
        }
    }
    read
}

/// Checks that each value is written where it says that it is; a block ends where the
/// next thing begins, without blanks before that.
fn is_where_it_says(node: &Node, text: &str) {
    assert!(text.contains(node.place.text()));
    let within = |inner: &Place| node.place.text().contains(inner.text().trim_end());
    assert!(node.items().iter().all(|item| within(&item.place) || text.contains('*')));
    node.items().iter().for_each(|item| is_where_it_says(item, text));
    for entry in node.entries() {
        assert!(within(&entry.key_place) || text.contains('*'), "{}", entry.key_place);
        is_where_it_says(&entry.value, text);
    }
}

/// Whether two values are the same. `-0` is an integer of YAML, and has no sign there; the
/// last bit of a long number is the parser's, unless it is built to round exactly.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => {
            let near = |one: f64, other: f64| (one - other).abs() <= one.abs() * 1e-15;
            one == other || one.as_f64().zip(other.as_f64()).is_some_and(|(one, it)| near(one, it))
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, it)| is_same(one, it))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, it)| one.0 == it.0 && is_same(one.1, it.1))
        }
        _ => one == other,
    }
}

#[test]
fn fuzz_json_data() {
    portcullis_fuzz::target!("json-data", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let plain = serde_json::from_str::<Json>(&text);
        match parsed("a.json", &text) {
            Ok(node) => {
                assert_eq!(plain.ok().as_ref(), Some(&node.json()), "{text}");
                is_where_it_says(&node, &text);
                // YAML says of such a text the same, if it takes it.
                if let Ok(yaml) = parsed("a.yaml", &text) {
                    assert!(is_same(&yaml.json(), &node.json()), "{text}");
                }
            }
            Err(problems) => {
                let is_known =
                    |message: &str| message.contains("twice") || message.contains("deep");
                let messages = problems.iter().map(|problem| problem.message());
                assert!(plain.is_err() || messages.into_iter().any(is_known), "{text}");
            }
        }
    });
}

#[test]
fn fuzz_yaml_data() {
    portcullis_fuzz::target!("yaml-data", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let Ok(node) = parsed("a.yaml", &text) else { return };
        is_where_it_says(&node, &text);
        // It says nothing that JSON cannot.
        let written = node.json().to_string();
        let again = parsed("a.json", &written).expect("JSON").json();
        assert_eq!(again, node.json(), "{text}");
    });
}

/// Who a document lets in: the schemes it names and their scopes; none where it says
/// nothing, or not in the form that the specification gives.
fn required(document: &Json, operation: &Json) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let written = operation.get("security").or_else(|| document.get("security"))?;
    let (mut schemes, mut scopes) = (BTreeSet::new(), BTreeSet::new());
    for alternative in written.as_array()? {
        for (scheme, wanted) in alternative.as_object()? {
            schemes.insert(scheme.clone());
            for scope in wanted.as_array()? {
                scopes.insert(scope.as_str()?.to_owned());
            }
        }
    }
    Some((schemes, scopes))
}

fn is_as_described(route: &Route, (schemes, scopes): &(BTreeSet<String>, BTreeSet<String>)) {
    let asked = match &route.access {
        Access::Open => 0,
        Access::By(authorization) => authorization.uses().len(),
    };
    assert_eq!(asked, schemes.len(), "{}", route.key);
    let wanted = route.scopes.as_ref().map(Scopes::names).unwrap_or_default();
    assert_eq!(wanted.iter().cloned().collect::<BTreeSet<_>>(), *scopes, "{}", route.key);
}

#[test]
fn fuzz_openapi() {
    const GATEWAY: &str = "listeners.a.address = 'localhost:80'\nupstreams.a.endpoints = ['a:80']\n\
        authorizers.a.plugin = 'p'\nauthorizers.b.plugin = 'p'\nauthorizers.c.plugin = 'p'\n\
        [apis.a]\nupstream = 'a'\nsecurity = { one = 'a', two = 'b', three = 'c' }\n\
        openapi = { file = 'api.yaml', unsupported = 'ignore' }\n";
    let words = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "openapi: 3.1.0",
        "paths:",
        "/a/{b}",
        "get:",
        "post: {}",
        "security:",
        " []",
        "[{}]",
        "one: []",
        "[{ one: [r] }]",
        "two: [w]",
        "three",
        "parameters:",
        "name: b",
        "in: query",
        "in: path",
        "required: true",
        "schema:",
        "type: integer",
        "$ref: ",
        "\"#/paths\"",
        "requestBody:",
        "content:",
        "application/json",
        "components:",
        "securitySchemes:",
        "x-",
        "servers: []",
        "null",
        "é",
    ];
    portcullis_fuzz::target!("openapi", words, |input| {
        let text = String::from_utf8_lossy(input);
        let Some(gateway) = read(GATEWAY, &[("api.yaml", &text)]) else { return };
        let document = parsed("api.yaml", &text).expect("a document that was read").json();
        let Some(paths) = document["paths"].as_object() else { return };
        let mut described = 0;
        for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let key = format!("{} {path}", method.to_ascii_uppercase());
                let route = gateway.apis[0].routes.iter().find(|route| route.key == key);
                let Some(route) = route.filter(|_| method.to_ascii_lowercase() == *method) else {
                    continue;
                };
                described += 1;
                // Nobody is let in whom the document does not let in.
                let required = required(&document, operation).expect("a route has its security");
                is_as_described(route, &required);
            }
        }
        assert_eq!(described, gateway.apis[0].routes.len(), "{text}");
    });
}
