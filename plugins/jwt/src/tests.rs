//! The plugin as its host calls it, with doubles of the host.

mod binding;
mod fuzz;
mod hostile;
mod introspection;
mod settings;
mod standards;
mod valid;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_plugin_sdk::keys::{KeyError, SignatureAlgorithm, Signed};
use portcullis_plugin_sdk::testing::{Host, Installed, configured};
use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Request};
use serde_json::{Value, json};

use crate::Jwt;

const ISSUER: &str = "https://login.example.com/";
/// When the tests take place: seconds since 1970.
const NOW: u64 = 1_800_000_000;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A signature that the double takes for good: it repeats the digest of what is signed,
/// to the length of an RSA signature.
fn signature(message: &[u8]) -> Vec<u8> {
    let hash = portcullis_plugin_sdk::crypto::HashAlgorithm::Sha256;
    portcullis_plugin_sdk::crypto::digest(hash, message).repeat(8)
}

/// A token of these texts, signed as they are.
fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    format!("{message}.{}", encode(signature(message.as_bytes())))
}

/// A token whose header and claims are those of a good one, with these members in the
/// place of theirs; null removes one.
fn token(header: &Value, claims: &Value) -> String {
    let changed = |mut good: Value, changes: &Value| {
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(good.as_object_mut().unwrap().remove(name)),
                value => good[name] = value.clone(),
            }
        }
        good.to_string()
    };
    signed(&changed(good_header(), header), &changed(good_claims(), claims))
}

fn good_header() -> Value {
    json!({ "alg": "RS256", "kid": "one", "typ": "JWT" })
}

fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "alice", "aud": "orders", "exp": NOW + 60, "nbf": NOW - 60,
        "iat": NOW - 60, "scope": "orders:read orders:write",
    })
}

/// The settings that good tokens pass.
fn settings() -> Value {
    json!({ "issuer": ISSUER, "audience": ["orders"] })
}

/// A host with two issuers; the first has an RSA key `one` and an elliptic one `two`.
fn host() -> Installed {
    let verify = |signed: Signed<'_>| match (signed.key_id, signed.algorithm) {
        (Some("one"), SignatureAlgorithm::Rs256 | SignatureAlgorithm::Ps256) => {
            Ok(signed.signature == signature(signed.message))
        }
        (Some("one" | "two"), _) => Err(KeyError::WrongKeyType),
        (Some("away"), _) => Err(KeyError::Unavailable),
        _ => Err(KeyError::UnknownKey),
    };
    Host::new()
        .with_issuer(ISSUER, verify)
        .with_issuer("https://other.example.com", |_| Err(KeyError::UnknownKey))
        .with_secret("shared", "a secret of at least thirty-two bytes")
        .install()
}

fn ask(settings: &Value, request: &Request) -> Result<Grant, Denial> {
    let plugin: Jwt = configured(settings.clone()).unwrap();
    let _host = host();
    plugin.authorize(request)
}

fn bearing(token: &str) -> Request {
    let request = Request::get("/").with_header("authorization", format!("Bearer {token}"));
    Request { time: NOW * 1000, ..request }
}

/// The code of the refusal; `ok` where there is none.
fn code(settings: &Value, token: &str) -> String {
    match ask(settings, &bearing(token)) {
        Ok(_) => "ok".to_owned(),
        Err(Denial::Unauthenticated(reason)) => reason.code,
        Err(Denial::Unavailable(reason)) => format!("503 {}", reason.code),
        Err(denial) => panic!("{denial:?}"),
    }
}
