//! The URL of a document of a service.

use crate::gateway::Origin;

/// The URL of a document of a service: an origin, and the target to ask it for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    /// Where the service is; its host is one name or address.
    pub origin: Origin,
    /// The path, with the query if there is one.
    pub target: String,
}

impl ServiceUrl {
    /// Parses an absolute URL with the scheme `https` or `http`.
    ///
    /// # Errors
    ///
    /// What to write in the place of a text that is none, or that could be taken for
    /// another one.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let scheme_end = text.find("://").map_or(0, |at| at + 3);
        let path = text.get(scheme_end..).and_then(|rest| rest.find(['/', '?', '#']));
        let (front, target) = match path {
            Some(at) => text.split_at_checked(scheme_end + at).unwrap_or((text, "")),
            None => (text, ""),
        };
        let origin: Origin = front.parse()?;
        if matches!(origin.host, crate::OriginHost::Below(_)) {
            return Err("name one host");
        }
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '\\' | '"' | '<' | '>');
        if !target.chars().all(plain) {
            return Err("a URL here has no fragment, no blanks and nothing but ASCII");
        }
        let target = match target {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        Ok(Self { origin, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OriginHost;

    #[test]
    fn a_url_is_an_origin_and_a_target() {
        let parsed = |text: &str| {
            let url = ServiceUrl::parse(text).unwrap();
            (url.origin.https, url.origin.host, url.origin.port, url.target)
        };
        let name = OriginHost::Name("login.example.com".to_owned());

        let keys = "/keys?v=1".to_owned();
        assert_eq!(parsed("https://Login.example.com/keys?v=1"), (true, name.clone(), 443, keys));
        assert_eq!(parsed("http://login.example.com:81"), (false, name.clone(), 81, "/".into()));
        assert_eq!(parsed("https://login.example.com?v"), (true, name, 443, "/?v".into()));
    }

    #[test]
    fn what_could_be_taken_for_another_url_is_none() {
        for text in [
            "",
            "login.example.com/keys",
            "file:///etc/passwd",
            "https:///keys",
            "https://a@b/keys",
            "https://*.example.com/keys",
            "https://example.com/keys#one",
            "https://example.com/a b",
            "https://example.com\\@evil.com/",
            "https://example.com/\u{e9}",
        ] {
            assert!(ServiceUrl::parse(text).is_err(), "{text}");
        }
    }
}
