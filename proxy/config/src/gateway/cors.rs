//! CORS: which pages of other origins may read what is answered (Fetch standard §3.2).

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

/// Which pages of other origins may call, and read what is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// The origins of those pages.
    pub origins: AllowedOrigins,
    /// The methods they may use; `None` for all that a path is served with.
    pub methods: Option<Vec<Method>>,
    /// The request headers they may set, beside those that all may.
    pub headers: AllowedHeaders,
    /// The response headers they may read, as the header that tells so.
    pub expose: Option<HeaderValue>,
    /// Whether the browser sends cookies and the like with their requests.
    pub credentials: bool,
    /// How long a browser may keep the answer to a preflight.
    pub max_age: Option<Duration>,
}

/// Request headers that a page may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedHeaders {
    /// Whichever it asks for.
    Any,
    /// These.
    These(Vec<HeaderName>),
}

/// The origins whose pages may read what is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every one.
    Any,
    /// Those of a set.
    These(OriginSet),
}

impl AllowedOrigins {
    /// Whether an origin, as a browser wrote it, is one of them.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(set) => set.holds(origin),
        }
    }
}

/// Origins, some of them by pattern, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginSet {
    exact: HashSet<String>,
    patterns: Vec<OriginPattern>,
}

impl OriginSet {
    /// Whether an origin, as a browser wrote it, is in the set.
    pub fn holds(&self, origin: &str) -> bool {
        self.exact.contains(origin) || self.patterns.iter().any(|pattern| pattern.matches(origin))
    }
}

impl FromIterator<OriginPattern> for OriginSet {
    fn from_iter<I: IntoIterator<Item = OriginPattern>>(patterns: I) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            match pattern {
                OriginPattern::Exact(origin) => {
                    set.exact.insert(origin);
                }
                other => set.patterns.push(other),
            }
        }
        set
    }
}

/// An origin, or a form of origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// This one, spelt as browsers spell it; also `null`.
    Exact(String),
    /// Every name below a domain.
    Below {
        /// The scheme with its `://`.
        scheme: &'static str,
        /// The domain after a dot, with its port where that is not the scheme's own.
        suffix: String,
    },
    /// Every origin of a scheme, which is given with its `://`.
    Scheme(&'static str),
}

impl OriginPattern {
    /// Whether an origin, as a browser wrote it, is meant.
    ///
    /// Browsers write schemes and hosts in lower case and leave out a scheme's own port, so
    /// that spellings need not be compared: whatever is spelt otherwise is another origin.
    pub fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(expected) => expected == origin,
            Self::Below { scheme, suffix } => {
                let labels = origin.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(suffix));
                labels.is_some_and(|labels| labels.split('.').all(is_label))
            }
            Self::Scheme(scheme) => origin.strip_prefix(scheme).is_some_and(|rest| {
                let is_of_authority =
                    |b: u8| is_of_label(b) || matches!(b, b'.' | b':' | b'[' | b']');
                !rest.is_empty() && rest.bytes().all(is_of_authority)
            }),
        }
    }
}

impl FromStr for OriginPattern {
    /// What to write.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "null" {
            return Ok(Self::Exact(text.to_owned()));
        }
        let (scheme, authority) =
            text.split_once("://").ok_or("begin with a scheme, as `https://app.example.com`")?;
        if authority.contains(['/', '?', '#', '@']) {
            return Err("an origin is a scheme, a host and a port; leave out the rest");
        }
        let web = match scheme {
            "https" => Some(("https://", 443)),
            "http" => Some(("http://", 80)),
            _ => None,
        };
        if !authority.is_ascii() {
            return Err("write international names in their ASCII form, `xn--…`");
        }
        match web {
            Some(web) => of_the_web(web, authority),
            None => of_a_program(scheme, authority),
        }
    }
}

fn of_the_web(
    (scheme, own_port): (&'static str, u16),
    authority: &str,
) -> Result<OriginPattern, &'static str> {
    if authority == "*" {
        return Ok(OriginPattern::Scheme(scheme));
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of an address in brackets is none before a port.
        Some((host, port)) if !port.ends_with(']') => {
            let number = port.parse::<u16>().ok().filter(|port| *port > 0);
            (host, number.ok_or("a port is a number from 1 to 65535")?)
        }
        _ => (authority, own_port),
    };
    let port = if port == own_port { String::new() } else { format!(":{port}") };
    let host = host.to_ascii_lowercase();
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address = address.parse::<Ipv6Addr>().map_err(|_| "this is no IPv6 address")?;
        return Ok(OriginPattern::Exact(format!("{scheme}[{address}]{port}")));
    }
    let (below, name) = match host.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, host.as_str()),
    };
    if name.contains('*') {
        return Err("`*` stands for whole labels in front, as `https://*.example.com`");
    }
    if !name.split('.').all(is_label) {
        return Err("a host is a name or an address, IPv6 in brackets");
    }
    Ok(if below {
        OriginPattern::Below { scheme, suffix: format!(".{name}{port}") }
    } else {
        OriginPattern::Exact(format!("{scheme}{name}{port}"))
    })
}

/// Origins of extensions and of programs with a browser inside, as
/// `capacitor://localhost`.
fn of_a_program(scheme: &str, authority: &str) -> Result<OriginPattern, &'static str> {
    let is_scheme = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(is_scheme) {
        return Err("begin with a scheme in lower case, as `https://app.example.com`");
    }
    if authority.contains('*') {
        return Err("`*` stands in origins of `https` and `http` only");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    if authority.is_empty() || !authority.bytes().all(plain) {
        return Err("write it as browsers send it in `Origin`");
    }
    Ok(OriginPattern::Exact(format!("{scheme}://{authority}")))
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(is_of_label)
}

fn is_of_label(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(patterns: &[&str]) -> OriginSet {
        patterns.iter().map(|text| text.parse::<OriginPattern>().unwrap()).collect()
    }

    #[track_caller]
    fn check(patterns: &[&str], allowed: &[&str], others: &[&str]) {
        let set = set(patterns);
        for origin in allowed {
            assert!(set.holds(origin), "{origin}");
        }
        for origin in others {
            assert!(!set.holds(origin), "{origin}");
        }
    }

    #[test]
    fn an_origin_is_compared_whole() {
        check(
            &["https://App.example.com:443", "http://localhost:3000", "http://[0:0::1]:81"],
            &["https://app.example.com", "http://localhost:3000", "http://[::1]:81"],
            &[
                "http://app.example.com",
                "https://app.example.com:8443",
                "https://app.example.com:443",
                "https://APP.example.com",
                "https://app.example.com.",
                "https://app.example.com/",
                "https://app.example.com.evil.com",
                "https://evil.com/https://app.example.com",
                "https://example.com",
                "http://localhost",
                "http://[::1]",
                "null",
                "",
            ],
        );
    }

    #[test]
    fn a_wildcard_is_for_names_below_and_nothing_else() {
        check(
            &["https://*.example.com", "http://*.dev.test:8080"],
            &["https://a.example.com", "https://a.b-c.example.com", "http://a.dev.test:8080"],
            &[
                "https://example.com",
                "https://.example.com",
                "https://a..example.com",
                "https://evil-example.com",
                "https://evilexample.com",
                "https://example.com.evil.com",
                "https://a.example.com.evil.com",
                "https://a.example.com:8443",
                "http://a.example.com",
                "https://evil.com/a.example.com",
                "https://evil.com#a.example.com",
                "https://evil.com?a.example.com",
                "https://evil.com:443.example.com",
                "https://user@a.example.com",
                "https://a.example.com\\.example.com",
                "https://A.example.com",
                "https:// .example.com",
                "http://a.dev.test",
                "http://a.dev.test:80801",
                "http://a.dev.test:8080.evil.com",
            ],
        );
    }

    #[test]
    fn a_scheme_alone_and_null_are_only_themselves() {
        check(
            &["https://*"],
            &["https://a.b", "https://a:1", "https://[::1]"],
            &["http://a", "null", "https://", "https://a/b", "https://a b", "xhttps://a"],
        );
        check(&["null"], &["null"], &["https://null", "NULL", "nullx", ""]);
        check(&["capacitor://localhost"], &["capacitor://localhost"], &["http://localhost"]);
    }

    #[test]
    fn what_no_browser_sends_is_no_origin() {
        for text in [
            "",
            "*",
            "app.example.com",
            "HTTPS://app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://user@app.example.com",
            "https://app.example.com:0",
            "https://app.example.com:65536",
            "https://app.example.com:",
            "https://app..example.com",
            "https://app.example.com.",
            "https://*.",
            "https://*example.com",
            "https://a.*.example.com",
            "https://**.example.com",
            "https://*:443",
            "https://exämple.com",
            "http://[::g]",
            "capacitor://*",
            "://a",
        ] {
            assert!(text.parse::<OriginPattern>().is_err(), "{text}");
        }
    }

    proptest! {
        /// What a wildcard lets in is, to whoever reads URLs, a host below the domain.
        #[test]
        fn what_matches_is_below_the_domain(origin in "https?://[a-z.:/@#?\\\\ -]{0,12}(example\\.com)?[a-z.:/0-9-]{0,6}") {
            let set = set(&["https://*.example.com"]);
            if set.holds(&origin) {
                let host = origin.strip_prefix("https://").unwrap();
                prop_assert!(host.ends_with(".example.com"));
                prop_assert!(!host.contains(['/', '@', '#', '?', '\\', ':', ' ']));
                prop_assert!(host.split('.').count() >= 3);
                prop_assert!(host.split('.').all(|label| !label.is_empty()));
            }
        }

        /// An exact origin lets in itself, and no text that differs in any place.
        #[test]
        fn an_exact_origin_is_only_itself(
            host in "[a-z]{1,8}(\\.[a-z]{1,5}){0,2}",
            at in any::<prop::sample::Index>(),
            other in "[ -~]{0,2}",
        ) {
            let origin = format!("https://{host}");
            let set = set(&[&origin]);
            prop_assert!(set.holds(&origin));
            let mut changed = origin.clone();
            let at = at.index(changed.len());
            changed.replace_range(at..=at, &other);
            prop_assert_eq!(set.holds(&changed), changed == origin);
        }
    }
}
