//! The plugin as its host calls it, with doubles of the host and of the provider.

mod callbacks;
mod logins;
mod sessions;
mod settings;

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_plugin_sdk::crypto::{HashAlgorithm, digest};
use portcullis_plugin_sdk::http::{HttpError, Request as Question, Response as Said};
use portcullis_plugin_sdk::testing::{Host, Installed, configured};
use portcullis_plugin_sdk::{Authorizer, Denial, FullResponse, Grant, Header, Request};
use serde_json::{Value, json};

use crate::OidcLogin;

const ISSUER: &str = "https://login.example.com";
/// When the tests take place: seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// The provider: what it answers next, and what it was asked.
#[derive(Clone)]
struct Provider {
    answer: Rc<RefCell<Result<Said, HttpError>>>,
    asked: Rc<RefCell<Vec<Question>>>,
}

impl Provider {
    fn new() -> Self {
        let asked = Rc::default();
        Self { answer: Rc::new(RefCell::new(Err(HttpError::Unreachable))), asked }
    }

    fn says(&self, status: u16, body: impl Into<Vec<u8>>) {
        *self.answer.borrow_mut() = Ok(Said { status, body: body.into(), ..Said::default() });
    }

    fn fails(&self, error: HttpError) {
        *self.answer.borrow_mut() = Err(error);
    }

    /// A host with this provider.
    fn host(&self) -> Host {
        let (answer, asked) = (self.answer.clone(), self.asked.clone());
        let verify = |signed: portcullis_plugin_sdk::keys::Signed<'_>| {
            Ok(signed.signature == signature(signed.message))
        };
        Host::new()
            .with_issuer(ISSUER, verify)
            .with_metadata(ISSUER, metadata(&json!({})))
            .with_secret("session-key", "a key of thirty-two bytes or more")
            .with_secret("new-key", "another key of as many random bytes")
            .with_revealable_secret("client-secret", "se cret")
            .with_service(move |question| {
                asked.borrow_mut().push(question.clone());
                answer.borrow().clone()
            })
    }

    fn install(&self) -> Installed {
        self.host().install()
    }
}

fn metadata(changes: &Value) -> String {
    let mut document = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.example.com/auth?tenant=a",
        "token_endpoint": "https://login.example.com/token",
        "end_session_endpoint": "https://login.example.com/logout",
        "authorization_response_iss_parameter_supported": true,
        "jwks_uri": "https://login.example.com/keys",
    });
    changed(&mut document, changes);
    document.to_string()
}

/// Puts members in the place of others; null removes one.
fn changed(object: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
            value => object[name] = value.clone(),
        }
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A signature that the double takes for good.
fn signature(message: &[u8]) -> Vec<u8> {
    digest(HashAlgorithm::Sha256, message).repeat(8)
}

/// An ID token whose claims are those of a good one, with these in the place of theirs.
fn id_token(nonce: &str, changes: &Value) -> String {
    let half = digest(HashAlgorithm::Sha256, "access")[..16].to_vec();
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "shop", "exp": NOW + 60, "iat": NOW,
        "nonce": nonce, "email": "alice@example.com", "at_hash": encode(half),
    });
    changed(&mut claims, changes);
    let header = json!({ "alg": "RS256", "kid": "one" });
    let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    format!("{message}.{}", encode(signature(message.as_bytes())))
}

/// What the token endpoint says of a good code, with these members in the place of others.
fn answer(id_token: &str, changes: &Value) -> String {
    let mut answer = json!({
        "token_type": "Bearer", "access_token": "access", "id_token": id_token,
        "scope": "openid email",
    });
    changed(&mut answer, changes);
    answer.to_string()
}

fn plugin(changes: &Value) -> OidcLogin {
    let mut settings = json!({ "issuer": ISSUER, "client_id": "shop" });
    changed(&mut settings, changes);
    configured(settings).unwrap()
}

/// A browser, which keeps cookies.
#[derive(Clone, Default)]
struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    /// What it sends when it goes somewhere, so many seconds after the tests begin.
    fn goes(&self, target: &str, seconds: u64) -> Request {
        self.asks(target, seconds).with_header("sec-fetch-mode", "navigate")
    }

    /// What a script in it sends.
    fn asks(&self, target: &str, seconds: u64) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Request::get(path);
        request.query = (!query.is_empty()).then(|| query.to_owned());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            request = request.with_parameter(name, &value.replace("%3A%2F%2F", "://"));
        }
        request.authority = "shop.example.com".to_owned();
        request.time = (NOW + seconds) * 1000;
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
            request = request.with_header("cookie", pairs.join("; "));
        }
        request
    }

    /// Keeps what a response sets.
    fn keeps(&mut self, headers: &[Header]) {
        for header in headers.iter().filter(|header| header.name == "set-cookie") {
            let text = String::from_utf8(header.value.clone()).unwrap();
            assert!(text.len() <= 4096, "{} bytes", text.len());
            assert!(text.contains("; Path=/; ") && text.contains("; HttpOnly; SameSite=Lax"));
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(other, _)| other != name);
            if !text.contains("; Max-Age=0;") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Goes there and is sent to the provider; gives the question's parameters.
    fn is_sent_away(&mut self, plugin: &OidcLogin, target: &str) -> Vec<(String, String)> {
        let response = responded(plugin.authorize(&self.goes(target, 0)));
        assert_eq!(response.status, 302);
        self.keeps(&response.headers);
        let location = header(&response, "location");
        let query = location.strip_prefix("https://login.example.com/auth?tenant=a&").unwrap();
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        query.split('&').map(pair).collect()
    }

    /// Logs in, by what the provider says but for these members and claims.
    fn logs_in(
        &mut self,
        plugin: &OidcLogin,
        provider: &Provider,
        (members, claims): (&Value, &Value),
    ) -> Result<Grant, Denial> {
        let question = self.is_sent_away(plugin, "/orders?x=1");
        provider.says(200, answer(&id_token(&value(&question, "nonce"), claims), members));
        let target = callback(&value(&question, "state"));
        let answer = plugin.authorize(&self.goes(&target, 1));
        if let Err(Denial::Respond(response)) = &answer {
            self.keeps(&response.headers);
        }
        answer
    }
}

fn callback(state: &str) -> String {
    format!("/oidc/callback?code=abc&state={state}&iss={ISSUER}")
}

fn value(pairs: &[(String, String)], name: &str) -> String {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()).unwrap()
}

fn responded(answer: Result<Grant, Denial>) -> FullResponse {
    match answer {
        Err(Denial::Respond(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn header(response: &FullResponse, name: &str) -> String {
    let found = response.headers.iter().find(|header| header.name == name).unwrap();
    String::from_utf8(found.value.clone()).unwrap()
}

/// The code of a refusal, with its status where that is not 401.
fn code(answer: &Result<Grant, Denial>) -> String {
    match answer {
        Ok(_) => "ok".to_owned(),
        Err(Denial::Unauthenticated(reason)) => reason.code.clone(),
        Err(Denial::Forbidden(reason)) => format!("403 {}", reason.code),
        Err(Denial::Unavailable(reason)) => format!("503 {}", reason.code),
        Err(Denial::Respond(response)) => response.status.to_string(),
        Err(Denial::NotMine) => "not-mine".to_owned(),
    }
}
