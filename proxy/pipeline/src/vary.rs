//! `Vary`: which request headers a response depends on (RFC 9110 §12.5.5).

use http::header::VARY;
use http::{HeaderMap, HeaderValue};

/// The value that `Vary` needs to name these headers too; `None` where it already does.
pub fn vary(headers: &HeaderMap, names: &[&str]) -> Option<HeaderValue> {
    let written: Vec<&str> =
        headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).collect();
    let named = || written.iter().flat_map(|value| value.split(',')).map(str::trim);
    if named().any(|name| name == "*") {
        return None;
    }
    let is_new = |name: &&&str| !named().any(|other| other.eq_ignore_ascii_case(name));
    let new: Vec<&str> = names.iter().filter(is_new).copied().collect();
    if new.is_empty() {
        return None;
    }
    let all: Vec<&str> = named().filter(|name| !name.is_empty()).chain(new).collect();
    HeaderValue::try_from(all.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &[&'static str], expected: Option<&str>) {
        let values = written.iter().map(|value| (VARY, HeaderValue::from_static(value)));
        let found = vary(&values.collect(), &["Origin"]);
        assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{written:?}");
    }

    #[test]
    fn a_name_is_added_once() {
        check(&[], Some("Origin"));
        check(&["accept-encoding"], Some("accept-encoding, Origin"));
        check(&["a,b", "", "c"], Some("a, b, c, Origin"));
        check(&["a, ORIGIN"], None);
        check(&["*"], None);
        check(&["a", "*"], None);
        check(&["x-origin"], Some("x-origin, Origin"));
    }
}
