//! Who may use the routes with a token: no browser, and nobody without it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderName};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use portcullis_config::Secret;
use ring::digest;
use subtle::ConstantTimeEq as _;

use super::problem::Problem;

/// Knows the token by its digest: comparing digests tells nothing of its length either.
#[derive(Clone)]
pub(super) struct Gate {
    digest: digest::Digest,
    /// The names that operators reach it by, in lower case.
    hosts: Arc<[String]>,
}

impl Gate {
    /// Opens for this token, at addresses, `localhost` and these hosts.
    pub(super) fn new(token: &Secret, hosts: &[String]) -> Self {
        Self { digest: digest::digest(&digest::SHA256, token.expose()), hosts: hosts.into() }
    }

    fn opens_for(&self, presented: &[u8]) -> bool {
        let presented = digest::digest(&digest::SHA256, presented);
        self.digest.as_ref().ct_eq(presented.as_ref()).into()
    }

    fn admit(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        if headers.contains_key(header::ORIGIN) {
            return Err(Problem::Origin);
        }
        let is_own = |host: &Authority| is_own(host, &self.hosts);
        let has_own_target = request.uri().authority().is_none_or(is_own);
        let host = only(headers, header::HOST).and_then(|host| host.parse().ok());
        if !has_own_target || !host.as_ref().is_some_and(is_own) {
            return Err(Problem::Host);
        }
        let token = only(headers, header::AUTHORIZATION).and_then(bearer);
        if !token.is_some_and(|token| self.opens_for(token.as_bytes())) {
            return Err(Problem::Unauthorized);
        }
        Ok(())
    }
}

/// Lets a request through to its route, or answers it; nobody on the way keeps the answer.
pub(super) async fn check(
    State(gate): State<Gate>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    gate.admit(&request)?;
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The value of a header that is sent once, in visible ASCII.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The token of bearer credentials (RFC 6750, section 2.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// Whether nobody can have made this host's name resolve to us: it is an address, the name
/// that every system keeps to itself, or one that the operator vouches for.
fn is_own(authority: &Authority, named: &[String]) -> bool {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_plain = !authority.as_str().contains('@');
    let is_named = || named.iter().any(|name| host.eq_ignore_ascii_case(name));
    is_plain
        && (address.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || is_named())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const TOKEN: &str = "correct-horse-battery";

    fn verdict(headers: &[(&str, &str)]) -> &'static str {
        let mut request = Request::builder().uri("/keys");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let gate = Gate::new(&Secret::new(TOKEN.into()), &["gateway.example.com".into()]);
        match gate.admit(&request.body(Body::empty()).unwrap()) {
            Ok(()) => "admitted",
            Err(problem) => problem.code(),
        }
    }

    #[test]
    fn a_token_is_wanted_whole_and_once() {
        let right = format!("Bearer {TOKEN}");
        for right in [right.clone(), format!("bearer  {TOKEN}")] {
            assert_eq!(verdict(&[("host", "localhost"), ("authorization", &right)]), "admitted");
        }
        let wrong =
            [TOKEN.to_owned(), format!("Basic {TOKEN}"), format!("{right}x"), "Bearer ".into()];
        for wrong in wrong {
            let verdict = verdict(&[("host", "localhost"), ("authorization", &wrong)]);
            assert_eq!(verdict, "unauthorized", "{wrong}");
        }
        let twice = [("authorization", right.as_str()), ("authorization", &right)];
        assert_eq!(verdict(&[&[("host", "localhost")][..], &twice].concat()), "unauthorized");
    }

    #[test]
    fn only_hosts_that_nobody_can_rebind_are_ours() {
        let right = format!("Bearer {TOKEN}");
        for host in
            ["127.0.0.1:9901", "[::1]:9901", "10.0.0.3", "LOCALHOST:1", "Gateway.example.com:9901"]
        {
            assert_eq!(verdict(&[("host", host), ("authorization", &right)]), "admitted", "{host}");
        }
        for host in [
            "evil.test",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "a@localhost",
            "a@gateway.example.com",
            "gateway.example.com.evil.test",
            "example.com",
            "",
        ] {
            let verdict = verdict(&[("host", host), ("authorization", &right)]);
            assert_eq!(verdict, "foreign-host", "{host}");
        }
        assert_eq!(verdict(&[("authorization", &right)]), "foreign-host");
        let browser = [("host", "localhost"), ("origin", "null"), ("authorization", &right)];
        assert_eq!(verdict(&browser), "foreign-origin");
    }
}
