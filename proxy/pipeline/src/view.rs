//! A request as plugins may see it, before the host cuts it to what they declared.

use std::borrow::Cow;
use std::net::IpAddr;

use http::HeaderMap;
use http::request::Parts;
use portcullis_config::Stage;
use sha2::{Digest, Sha256};

use crate::client_certificate::ClientCertificate;
use crate::incoming::{Arrival, HeldBody, Incoming};
use crate::phase::canonical::CanonicalPath;
use crate::plugins::{Identity, Value};
use crate::route_table::{ServedRoute, stage_digest};

/// What the names of a client certificate's facts begin with, within `tls:`.
const CERTIFICATE: &str = "client-certificate.";

/// A request as plugins may see it. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    parts: &'a ViewParts<'a>,
}

/// What a [`View`] shows.
#[derive(Clone, Copy, Debug)]
pub struct ViewParts<'a> {
    /// What is known of the request beside its bytes.
    pub arrival: &'a Arrival,
    /// The method.
    pub method: &'a str,
    /// The host, with its port where one was given.
    pub authority: &'a str,
    /// The path as received.
    pub raw_path: &'a str,
    /// The canonical path, or what it was rewritten to.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, as far as it is held.
    pub body: Option<&'a HeldBody>,
    /// The route, where it is known.
    pub route: Option<RouteFacts<'a>>,
    /// The caller, where it is known.
    pub identity: Option<&'a Identity>,
}

/// What is known of a request's route.
#[derive(Clone, Copy, Debug)]
pub enum RouteFacts<'a> {
    /// A route of a table, and the path it was found by.
    Served(&'a ServedRoute, &'a CanonicalPath),
    /// What a test of a plugin says.
    Stated {
        /// The route's key.
        key: &'a str,
        /// The API's name.
        api: &'a str,
        /// The path parameters.
        parameters: &'a [(String, String)],
        /// The stage, where there is one.
        stage: Option<&'a Stage>,
    },
}

impl<'a> View<'a> {
    /// Shows these parts.
    pub fn of(parts: &'a ViewParts<'a>) -> Self {
        Self { parts }
    }

    /// The method.
    pub fn method(&self) -> &'a str {
        self.parts.method
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.parts.arrival.scheme.as_str()
    }

    /// The host the client asked for, with its port where one was given.
    pub fn authority(&self) -> &'a str {
        self.parts.authority
    }

    /// The path as received, still encoded.
    pub fn raw_path(&self) -> &'a str {
        self.parts.raw_path
    }

    /// The path the route was found by; in transforms, as it was rewritten since.
    pub fn path(&self) -> &'a str {
        self.parts.path
    }

    /// The query, without its question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.parts.query
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.parts.headers
    }

    /// The client's address, through trusted proxies.
    pub fn client(&self) -> IpAddr {
        self.parts.arrival.client
    }

    /// When the request arrived, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn time_ms(&self) -> u64 {
        self.parts.arrival.time_ms
    }

    /// The body, as far as it is held.
    pub fn body(&self) -> Option<&'a HeldBody> {
        self.parts.body
    }

    /// What tells the stage that the route is served at from others, by name and values; `None`
    /// where its API has none.
    pub fn stage_digest(&self) -> Option<[u8; 32]> {
        match self.parts.route? {
            RouteFacts::Served(route, _) => route.stage_digest(),
            RouteFacts::Stated { stage, .. } => stage.map(stage_digest),
        }
    }

    /// The stage that the route is served at, where its API has any.
    fn stage(&self) -> Option<&'a Stage> {
        self.parts.route?.stage()
    }

    /// The caller, once known.
    pub fn identity(&self) -> Option<&'a Identity> {
        self.parts.identity
    }

    /// A fact by its namespaced name, such as `path:id`.
    pub fn attribute(&self, name: &str) -> Option<Value> {
        let text = |text: &str| Value::Text(text.to_owned());
        match name.split_once(':')? {
            ("path", parameter) => self.path_parameter(parameter).map(Value::Text),
            ("route", "id") => self.parts.route.map(|route| text(route.key())),
            ("route", "stage") => self.stage().map(|stage| text(&stage.name)),
            ("stage", name) => self.stage()?.values.get(name).map(|value| text(value)),
            ("route", "api") | ("api", "name") => self.parts.route.map(|route| text(route.api())),
            ("request", "id") => Some(text(&self.parts.arrival.id)),
            ("request", "method") => Some(text(self.method())),
            ("request", "path") => Some(text(self.path())),
            ("request", "host") => Some(text(self.authority())),
            ("request", "arn") => self.arn().map(Value::Text),
            ("client", "address") => Some(Value::Text(self.client().to_string())),
            ("tls", "version") => self.parts.arrival.tls.as_ref().map(|tls| text(&tls.version)),
            ("tls", name) => self.certificate_fact(name.strip_prefix(CERTIFICATE)?),
            ("body", "sha256") => self.body_digest(),
            ("identity", "principal") => {
                self.parts.identity.map(|identity| text(&identity.principal))
            }
            ("identity", "usage-key") => self.parts.identity?.usage_key.as_deref().map(text),
            ("identity", claim) => {
                let mut attributes = self.parts.identity?.attributes.iter();
                attributes.find(|(name, _)| name == claim).map(|(_, value)| value.clone())
            }
            _ => None,
        }
    }

    /// Every fact of a namespace, given without its colon, by full names.
    pub fn attributes_in(&self, namespace: &str) -> Vec<(String, Value)> {
        let names: Vec<String> = match namespace {
            "path" => self.parts.route.map(|route| route.parameter_names()).unwrap_or_default(),
            "route" => vec!["id".into(), "api".into(), "stage".into()],
            "stage" => {
                self.stage().map(|stage| stage.values.keys().cloned().collect()).unwrap_or_default()
            }
            "api" => vec!["name".into()],
            "request" => ["id", "arn", "method", "path", "host"].map(str::to_owned).to_vec(),
            "client" => vec!["address".into()],
            "tls" => tls_names(),
            "body" => vec!["sha256".into()],
            "identity" => self.identity_names(),
            _ => Vec::new(),
        };
        let named = names.into_iter().map(|name| format!("{namespace}:{name}"));
        named.filter_map(|name| self.attribute(&name).map(|value| (name, value))).collect()
    }

    /// The name that policies know the request by.
    pub(crate) fn arn(&self) -> Option<String> {
        let route = self.parts.route?;
        // The path that the route was found by: a transform is shown one that is rewritten.
        let received = match route {
            RouteFacts::Served(_, path) => path.as_str(),
            RouteFacts::Stated { .. } => self.parts.path,
        };
        let below = received.strip_prefix(route.base_path());
        let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let path = below.unwrap_or(received);
        let (api, method) = (route.arn(), self.parts.method);
        let stage = self.stage().map_or("$default", |stage| stage.name.as_str());
        Some(format!("{api}/{stage}/{method}/{}", path.trim_start_matches('/')))
    }

    fn path_parameter(&self, name: &str) -> Option<String> {
        match self.parts.route? {
            RouteFacts::Served(route, path) => route.parameter(path, name),
            RouteFacts::Stated { parameters, .. } => {
                parameters.iter().find(|(stated, _)| stated == name).map(|(_, value)| value.clone())
            }
        }
    }

    /// The names of what every identity may have, then those of its attributes that these
    /// do not hide, each once.
    fn identity_names(&self) -> Vec<String> {
        let attributes =
            self.parts.identity.map(|identity| identity.attributes.as_slice()).unwrap_or_default();
        let mut names = vec!["principal".to_owned(), "usage-key".to_owned()];
        for (name, _) in attributes {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn certificate_fact(&self, name: &str) -> Option<Value> {
        self.parts.arrival.tls.as_ref()?.client_certificate.as_ref()?.fact(name)
    }

    fn body_digest(&self) -> Option<Value> {
        let body = self.parts.body.filter(|body| body.complete)?;
        Some(Value::Bytes(Sha256::digest(&body.bytes).to_vec()))
    }
}

/// What every TLS session may have. The certificate itself is told only by its name.
fn tls_names() -> Vec<String> {
    let facts = ClientCertificate::FACTS.iter().map(|fact| [CERTIFICATE, fact].concat());
    std::iter::once("version".to_owned()).chain(facts).collect()
}

impl<'a> RouteFacts<'a> {
    fn key(&self) -> &str {
        match self {
            Self::Served(route, _) => &route.route.key,
            Self::Stated { key, .. } => key,
        }
    }

    fn api(&self) -> &str {
        match self {
            Self::Served(route, _) => &route.api,
            Self::Stated { api, .. } => api,
        }
    }

    fn stage(self) -> Option<&'a Stage> {
        match self {
            Self::Served(route, _) => route.stage.as_deref(),
            Self::Stated { stage, .. } => stage,
        }
    }

    fn arn(&self) -> Cow<'_, str> {
        match self {
            Self::Served(route, _) => Cow::Borrowed(&route.resource.arn),
            Self::Stated { api, .. } => {
                Cow::Owned(format!("arn:aws:execute-api:local:000000000000:{api}"))
            }
        }
    }

    fn base_path(&self) -> &str {
        match self {
            Self::Served(route, _) => &route.base_path,
            Self::Stated { .. } => "",
        }
    }

    fn parameter_names(&self) -> Vec<String> {
        match self {
            Self::Served(route, _) => route.parameter_names().map(str::to_owned).collect(),
            Self::Stated { parameters, .. } => {
                parameters.iter().map(|(name, _)| name.clone()).collect()
            }
        }
    }
}

/// What the phases know of a request beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) arrival: &'a Arrival,
    pub(crate) authority: &'a str,
    pub(crate) path: &'a CanonicalPath,
    pub(crate) route: &'a ServedRoute,
    pub(crate) identity: Option<&'a Identity>,
}

impl<'a> Subject<'a> {
    /// The request as the client sent it.
    pub(crate) fn as_received(self, incoming: &'a impl Incoming) -> ViewParts<'a> {
        self.parts(incoming.head(), incoming.held())
    }

    /// The request with this head and body.
    pub(crate) fn parts(self, head: &'a Parts, held: &'a HeldBody) -> ViewParts<'a> {
        ViewParts {
            arrival: self.arrival,
            method: head.method.as_str(),
            authority: self.authority,
            raw_path: head.uri.path(),
            path: self.path.as_str(),
            query: head.uri.query(),
            headers: &head.headers,
            body: Some(held),
            route: Some(RouteFacts::Served(self.route, self.path)),
            identity: self.identity,
        }
    }
}
