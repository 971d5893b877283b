//! The values that placeholders stand for.

use http::{HeaderMap, StatusCode};
use portcullis_config::{JsonPath, Part, Placeholder, Step, Template};
use serde_json::Value as Json;

use crate::incoming::HeldBody;
use crate::phase::canonical::decode;
use crate::phase::identity_headers::attribute_text;
use crate::plugins::Value;
use crate::strict_json::strict_json;
use crate::view::View;

/// Integers up to here are the same in every program that reads them.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Values of a body that others are read from: as many may take a hundred times its bytes.
const MOST_VALUES: usize = 50_000;

/// What values are taken from.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    /// The request.
    pub(crate) view: View<'a>,
    /// The request's body, where values are read from it and it is JSON.
    pub(crate) body: Option<Json>,
    /// The response, once there is one.
    pub(crate) response: Option<KnownResponse<'a>>,
}

/// What values of a response are taken from.
#[derive(Debug)]
pub(crate) struct KnownResponse<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// The body, where values are read from it and it is JSON.
    pub(crate) body: Option<Json>,
}

/// A whole body as JSON, where it is that.
pub(crate) fn json(held: &HeldBody) -> Option<Json> {
    if held.complete { strict_json(&held.bytes, MOST_VALUES).ok() } else { None }
}

impl Known<'_> {
    /// The text a template becomes; `None` where one of its values is missing.
    pub(crate) fn fill(&self, template: &Template) -> Option<String> {
        let mut filled = String::new();
        for part in template.parts() {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Value(placeholder) => filled.push_str(&self.text(placeholder)?),
            }
        }
        Some(filled)
    }

    /// What a placeholder stands for; several values are joined by commas.
    pub(crate) fn text(&self, placeholder: &Placeholder) -> Option<String> {
        match placeholder {
            Placeholder::Header(name) => header(self.view.headers(), name),
            Placeholder::Query(name) => query(self.view.query()?, name),
            Placeholder::Body(path) => place(self.body.as_ref()?, path),
            Placeholder::Attribute(name) => {
                self.view.attribute(name).and_then(|value| attribute_text(name, value))
            }
            Placeholder::ResponseStatus => {
                self.response.as_ref().map(|response| response.status.as_str().to_owned())
            }
            Placeholder::ResponseHeader(name) => header(self.response.as_ref()?.headers, name),
            Placeholder::ResponseBody(path) => place(self.response.as_ref()?.body.as_ref()?, path),
        }
    }

    /// What a placeholder stands for, with the type it has.
    pub(crate) fn value(&self, placeholder: &Placeholder) -> Option<Json> {
        match placeholder {
            Placeholder::Body(path) => value(self.body.as_ref()?, path),
            Placeholder::Attribute(name) => match self.view.attribute(name)? {
                Value::Text(text) => Some(text.into()),
                Value::Integer(number) => Some(number.into()),
                Value::Boolean(value) => Some(value.into()),
                Value::Texts(texts) => Some(texts.into()),
                bytes @ Value::Bytes(_) => attribute_text(name, bytes).map(Json::from),
            },
            Placeholder::ResponseStatus => {
                self.response.as_ref().map(|response| response.status.as_u16().into())
            }
            Placeholder::ResponseBody(path) => value(self.response.as_ref()?.body.as_ref()?, path),
            Placeholder::Header(_) | Placeholder::Query(_) | Placeholder::ResponseHeader(_) => {
                self.text(placeholder).map(Json::from)
            }
        }
    }
}

/// The name and the value of a pair of a query, decoded where they are UTF-8.
pub(crate) fn pair(written: &str) -> (Option<String>, Option<String>) {
    let (name, value) = written.split_once('=').unwrap_or((written, ""));
    let plain = |text: &str| decode(&text.replace('+', " "));
    (plain(name), plain(value))
}

fn header(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()));
    joined(values.collect::<Result<Vec<_>, _>>().ok()?)
}

fn query(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter(|written| !written.is_empty()).map(pair);
    let values = pairs.filter(|(found, _)| found.as_deref() == Some(name));
    joined(values.map(|(_, value)| value).collect::<Option<Vec<_>>>()?)
}

/// What is at a place of a document, as a text.
fn place(document: &Json, path: &JsonPath) -> Option<String> {
    let scalars = found(document, path).into_iter().flat_map(|it| match it {
        Json::Array(items) => items.iter().map(scalar).collect(),
        other => vec![scalar(other)],
    });
    joined(scalars.collect::<Option<Vec<_>>>()?)
}

/// What is at a place of a document, as it is there: a list, where it is every place of
/// some.
fn value(document: &Json, path: &JsonPath) -> Option<Json> {
    let found = found(document, path);
    if path.steps().iter().any(|step| matches!(step, Step::Every)) {
        return Some(found.into_iter().cloned().collect());
    }
    found.first().map(|it| Json::clone(it))
}

fn found<'a>(document: &'a Json, path: &JsonPath) -> Vec<&'a Json> {
    let mut found = vec![document];
    for step in path.steps() {
        found = match step {
            Step::Member(name) => found.into_iter().filter_map(|it| it.get(name)).collect(),
            Step::Element(index) => {
                found.into_iter().filter_map(|it| element(it, *index)).collect()
            }
            Step::Every => found.into_iter().flat_map(every).collect(),
        };
    }
    found
}

fn element(document: &Json, index: i32) -> Option<&Json> {
    let items = document.as_array()?;
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    let at = if index < 0 { items.len().checked_sub(from_end)? } else { from_end };
    items.get(at)
}

fn every(document: &Json) -> Vec<&Json> {
    match document {
        Json::Array(items) => items.iter().collect(),
        Json::Object(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

/// A value as a text; `None` of what has no one text.
fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(number) => {
            let is_exact = !number.is_f64()
                || number.as_f64().is_some_and(|it| it.fract() != 0.0 || it.abs() < EXACT);
            is_exact.then(|| number.to_string())
        }
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn joined<T: AsRef<str>>(values: Vec<T>) -> Option<String> {
    let (first, more) = values.split_first()?;
    let mut text = first.as_ref().to_owned();
    for value in more {
        text.push(',');
        text.push_str(value.as_ref());
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        let document = serde_json::json!({
            "id": "o-1", "count": 3, "half": 0.5, "paid": true, "none": null,
            "tags": ["a", "b,c"], "empty": [], "huge": 1e30, "exact": 18_446_744_073_709_551_615_u64,
            "lines": [{ "sku": "x", "n": 1 }, { "sku": "y", "n": 2 }, { "n": 3 }],
            "odd name": { "it's": "kept" }, "mixed": [1, {}],
        });
        let path = JsonPath::parse(path).unwrap();
        assert_eq!(place(&document, &path).as_deref(), expected, "{path}");
    }

    #[test]
    fn places_in_documents_are_texts() {
        check("$.id", Some("o-1"));
        check("$.count", Some("3"));
        check("$.half", Some("0.5"));
        check("$.paid", Some("true"));
        check("$.exact", Some("18446744073709551615"));
        check("$['odd name']['it\\'s']", Some("kept"));
        check("$.tags", Some("a,b,c"));
        check("$.tags[-1]", Some("b,c"));
        check("$.lines[*].sku", Some("x,y"));
        check("$.lines[1].n", Some("2"));
    }

    #[test]
    fn a_body_has_so_many_values_and_no_more() {
        let read = |values: usize| {
            let text = format!("[{}0]", "0,".repeat(values - 2));
            json(&HeldBody { bytes: text.into(), complete: true })
        };
        assert!(read(MOST_VALUES).is_some());
        assert_eq!(read(MOST_VALUES + 1), None);
    }

    #[test]
    fn what_has_no_one_text_is_missing() {
        for path in [
            "$",
            "$.no",
            "$.none",
            "$.empty",
            "$.mixed",
            "$.lines",
            "$.lines[3]",
            "$.lines[-4]",
            "$.id.more",
            "$.id[0]",
            "$.huge",
            "$.tags.a",
            "$.id[*]",
        ] {
            check(path, None);
        }
    }

    /// The texts at a place, a step after the other.
    fn slowly(document: &Json, steps: &[Step]) -> Vec<Json> {
        let Some((step, rest)) = steps.split_first() else {
            return document.as_array().map_or_else(|| vec![document.clone()], Clone::clone);
        };
        let pointer = match step {
            Step::Member(name) if document.is_object() => {
                vec![format!("/{}", name.replace('~', "~0").replace('/', "~1"))]
            }
            Step::Element(index) => {
                let count = document.as_array().map_or(0, Vec::len);
                let all: Vec<String> = (0..count).map(|at| format!("/{at}")).collect();
                let from_end = index.unsigned_abs() as usize;
                let at = if *index < 0 { count.wrapping_sub(from_end) } else { from_end };
                all.get(at).cloned().into_iter().collect()
            }
            Step::Every => {
                return match document {
                    Json::Array(items) => items.iter().flat_map(|it| slowly(it, rest)).collect(),
                    Json::Object(members) => {
                        members.values().flat_map(|it| slowly(it, rest)).collect()
                    }
                    _ => Vec::new(),
                };
            }
            Step::Member(_) => Vec::new(),
        };
        let found = pointer.iter().filter_map(|pointer| document.pointer(pointer));
        found.flat_map(|it| slowly(it, rest)).collect()
    }

    /// The input is a path, and a document in the lines after it.
    #[test]
    fn fuzz_json_place() {
        let words = &[
            "$", ".a", ".b", "['a b']", "[\"~/\"]", "[0]", "[-1]", "[*]", ".*", "\n", "{", "}",
            "[", "]", ",", ":", "\"a\":", "\"b\":", "\"~/\":", "1", "1e30", "0.5", "null", "true",
            "\"x,y\"", "\\", "é",
        ];
        portcullis_fuzz::target!("json-place", words, |input| {
            let text = String::from_utf8_lossy(input);
            let (path, document) = text.split_once('\n').unwrap_or((&text, ""));
            let Ok(path) = JsonPath::parse(path) else { return };
            let Ok(document) = serde_json::from_str::<Json>(document) else { return };
            let values = slowly(&document, path.steps());
            let texts: Vec<String> = values.iter().filter_map(scalar).collect();
            let whole = !values.is_empty() && texts.len() == values.len();
            assert_eq!(place(&document, &path), whole.then(|| texts.join(",")), "{text}");
        });
    }
}
