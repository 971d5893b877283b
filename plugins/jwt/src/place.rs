//! Where requests carry their token.

use portcullis_plugin_sdk::{Plan, Request, SettingsError};
use tokens::Refusal;

/// A place of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `Authorization` with the scheme `Bearer` (RFC 6750).
    Bearer,
    /// Another header; the token stands alone or after `Bearer`.
    Header(String),
    /// A query parameter.
    Parameter(String),
    /// A cookie.
    Cookie(String),
}

impl Place {
    /// Reads `header:NAME`, `query:NAME` or `cookie:NAME`; the pointer says where it is
    /// written.
    pub(crate) fn named(text: &str, pointer: &str) -> Result<Self, SettingsError> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let is_header_name = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        };
        match kind {
            _ if name.is_empty() => {}
            "header" if name.eq_ignore_ascii_case("authorization") => return Ok(Self::Bearer),
            "header" if is_header_name(name) => return Ok(Self::Header(name.to_ascii_lowercase())),
            "query" => return Ok(Self::Parameter(name.to_owned())),
            "cookie" if is_header_name(name) => return Ok(Self::Cookie(name.to_owned())),
            _ => {}
        }
        Err(SettingsError::at(
            pointer,
            format!(
                "`{text}` is no place of a token: write `header:NAME`, `query:NAME` or `cookie:NAME`"
            ),
        ))
    }

    /// What a plan must read.
    pub(crate) fn reads(&self, plan: Plan) -> Plan {
        match self {
            Self::Bearer => plan.reads_header("authorization"),
            Self::Header(name) => plan.reads_header(name),
            Self::Parameter(name) => plan.reads_parameter(name),
            Self::Cookie(_) => plan.reads_header("cookie"),
        }
    }

    /// The token here, if there is one. Two are refused: which of them counts would be a
    /// matter of taste.
    pub(crate) fn token<'r>(&self, request: &'r Request) -> Result<Option<&'r str>, Refusal> {
        let found = match self {
            Self::Bearer => match header(request, "authorization")? {
                Some(value) => after_scheme(value),
                None => None,
            },
            Self::Header(name) => {
                header(request, name)?.map(|value| after_scheme(value).unwrap_or(value))
            }
            Self::Parameter(name) => only(request.parameters_all(name))?,
            Self::Cookie(name) => cookie(request, name)?,
        };
        // An empty value is how some clients say that they have none.
        Ok(found.filter(|token| !token.is_empty()))
    }
}

fn header<'r>(request: &'r Request, name: &str) -> Result<Option<&'r str>, Refusal> {
    let value = only(request.headers_all(name))?;
    let text = value.map(|bytes| std::str::from_utf8(bytes).map_err(|_| Refusal::MalformedToken));
    Ok(text.transpose()?.map(|text| text.trim_matches(' ')))
}

/// What follows the scheme `Bearer`; none where the scheme is another.
fn after_scheme(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// The one cookie of this name; another cookie's strange bytes are no reason to refuse it.
fn cookie<'r>(request: &'r Request, name: &str) -> Result<Option<&'r str>, Refusal> {
    let mut found = None;
    for value in request.cookies_all(name) {
        let value = std::str::from_utf8(value).map_err(|_| Refusal::MalformedToken)?;
        if found.replace(value).is_some() {
            return Err(Refusal::AmbiguousToken);
        }
    }
    Ok(found)
}

fn only<T>(mut values: impl Iterator<Item = T>) -> Result<Option<T>, Refusal> {
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Refusal::AmbiguousToken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(place: &str, request: &Request, expected: Result<Option<&str>, Refusal>) {
        assert_eq!(Place::named(place, "").unwrap().token(request), expected, "{place}");
    }

    #[test]
    fn a_token_stands_where_the_settings_say() {
        let request = |name, value: &str| Request::get("/").with_header(name, value);
        let bearer = |value: &str| request("authorization", value);

        check("header:Authorization", &bearer("bEaReR  a.b.c "), Ok(Some("a.b.c")));
        check("header:authorization", &bearer("a.b.c"), Ok(None));
        check("header:authorization", &bearer("Bearer "), Ok(None));
        check("header:authorization", &bearer("Basic a.b.c"), Ok(None));
        check("header:authorization", &Request::get("/"), Ok(None));
        check("header:X-Token", &request("x-token", "a.b.c"), Ok(Some("a.b.c")));
        check("header:X-Token", &request("x-token", "Bearer a.b.c"), Ok(Some("a.b.c")));
        check("header:X-Token", &request("x-token", ""), Ok(None));
        check("query:t", &Request::get("/").with_parameter("t", "a"), Ok(Some("a")));
        check("cookie:s", &request("cookie", "ss=1; s=a=b;x"), Ok(Some("a=b")));
        check("cookie:s", &request("cookie", "S=1; ss=2; s"), Ok(None));
    }

    #[test]
    fn two_tokens_in_one_place_are_refused() {
        let twice = |name| Request::get("/").with_header(name, "s=a").with_header(name, "s=a");
        let ambiguous = Err(Refusal::AmbiguousToken);

        check("header:authorization", &twice("authorization"), ambiguous);
        check("header:x-token", &twice("x-token"), ambiguous);
        check("cookie:s", &twice("cookie"), ambiguous);
        let query = Request::get("/").with_parameter("t", "a").with_parameter("t", "a");
        check("query:t", &query, ambiguous);
    }

    #[test]
    fn other_places_are_refused() {
        for text in ["", "header", "header:", "body:a", "header:a b", "cookie:a;b", "query:"] {
            assert_eq!(Place::named(text, "/token").unwrap_err().pointer, "/token", "{text}");
        }
    }
}
