//! A browser without a screen: it keeps cookies, follows redirects and fills in forms.

use std::collections::BTreeMap;

use portcullis_tests::{Client, Response};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// A browser.
#[derive(Clone, Default)]
pub(super) struct Browser {
    /// By site and path, then by name.
    jars: BTreeMap<(String, String), BTreeMap<String, String>>,
}

/// Where a browser came to.
pub(super) struct Page {
    /// Its URL.
    pub(super) url: String,
    /// What was answered.
    pub(super) response: Response,
}

impl Browser {
    /// Goes there, and wherever it is sent.
    pub(super) fn goes(&mut self, url: &str) -> Page {
        self.follows("GET", url, "")
    }

    /// Sends a form there, and goes wherever it is sent.
    pub(super) fn sends(&mut self, url: &str, form: &str) -> Page {
        self.follows("POST", url, form)
    }

    /// One navigation, without following.
    pub(super) fn steps(&mut self, url: &str) -> Response {
        self.asks("GET", url, ("navigate", ""))
    }

    /// What a script on a page is answered.
    pub(super) fn fetches(&mut self, url: &str) -> Response {
        self.asks("GET", url, ("cors", ""))
    }

    /// Goes there, logs in as this person at the provider, and goes wherever it is sent.
    pub(super) fn logs_in(&mut self, url: &str, name: &str) -> Page {
        let form = self.goes(url);
        assert!(form.url.contains("/interaction/"), "{} {}", form.url, form.response.text());
        self.sends(&form.url, &format!("prompt=login&login={name}&password=any"))
    }

    /// The same, but stays at the provider: gives the URL that it is sent back to.
    pub(super) fn logs_in_but_for_the_last_step(&mut self, url: &str, name: &str) -> String {
        let form = self.goes(url);
        let body = format!("prompt=login&login={name}&password=any");
        let mut response = self.asks("POST", &form.url, ("navigate", &body));
        for _ in 0..MOST_REDIRECTS {
            let location = response.header("location").expect("a redirect").to_owned();
            if split(&location).0 == split(url).0 {
                return location;
            }
            response = self.steps(&location);
        }
        panic!("the provider sends nobody back: {response:?}")
    }

    /// The cookies it has for the whole of a site.
    pub(super) fn cookies(&mut self, url: &str) -> &mut BTreeMap<String, String> {
        self.jars.entry((split(url).0.to_owned(), "/".to_owned())).or_default()
    }

    fn follows(&mut self, method: &str, url: &str, form: &str) -> Page {
        let mut url = url.to_owned();
        let mut response = self.asks(method, &url, ("navigate", form));
        for _ in 0..MOST_REDIRECTS {
            let Some(location) = response.header("location") else { break };
            url = match location.strip_prefix('/') {
                Some(_) => format!("http://{}{location}", split(&url).0),
                None => location.to_owned(),
            };
            response = self.asks("GET", &url, ("navigate", ""));
        }
        Page { url, response }
    }

    fn asks(&mut self, method: &str, url: &str, (mode, form): (&str, &str)) -> Response {
        let (site, target) = split(url);
        let port: u16 = site.rsplit_once(':').expect("a port").1.parse().expect("a number");
        let fitting =
            self.jars.iter().filter(|((of, path), _)| of == site && target.starts_with(path));
        let pairs: Vec<String> = fitting
            .flat_map(|(_, cookies)| cookies.iter().map(|(name, it)| format!("{name}={it}")))
            .collect();
        let cookie = pairs.join("; ");
        let mut headers = vec![
            ("host", site),
            ("sec-fetch-mode", mode),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        if !cookie.is_empty() {
            headers.push(("cookie", &cookie));
        }
        let mut client = Client::connect(([127, 0, 0, 1], port).into());
        let response = client.request(method, target, &headers, form.as_bytes());
        for set in response.headers.all("set-cookie") {
            let mut parts = set.split("; ");
            let (name, value) = parts.next().and_then(|it| it.split_once('=')).expect("a pair");
            let path = parts
                .find_map(|part| part.to_lowercase().strip_prefix("path=").map(|_| &part[5..]));
            let cookies = self.jars.entry((site.to_owned(), path.unwrap_or("/").to_owned()));
            let cookies = cookies.or_default();
            match value {
                "" => drop(cookies.remove(name)),
                value => drop(cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        response
    }
}

/// The authority and the target of a URL of this machine.
fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").expect("a URL");
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}
