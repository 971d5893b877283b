use hmac::{Hmac, Mac as _};
use portcullis_plugin_sdk::credentials::{Credential, Kind};
use portcullis_plugin_sdk::testing::{Host, Installed, configured};
use portcullis_plugin_sdk::{Attribute, Header, Policy, Reason};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;

mod fuzz;
mod hostile;
mod settings;
mod vectors;

/// 2026-01-02T03:04:05Z, when every vector was signed.
const SIGNED_AT: u64 = 1_767_323_045;
const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "TOKEN/123==";

fn credential() -> Credential {
    Credential {
        id: KEY.to_owned(),
        consumer: "alice".to_owned(),
        attributes: vec![
            Attribute::new("arn", "arn:aws:iam::123456789012:user/alice"),
            Attribute::new("account", "123456789012"),
            Attribute::new("access-key", "a look-alike"),
        ],
        session_digest: None,
        expires_at: None,
    }
}

fn temporary() -> Credential {
    Credential { session_digest: Some(Sha256::digest(TOKEN).to_vec()), ..credential() }
}

fn install(credential: Credential) -> Installed {
    Host::new().with_credential(Kind::AccessKey, credential, SECRET).install()
}

fn plugin(settings: Value) -> Iam {
    configured(settings).unwrap()
}

/// A request as the host shows it at a time.
fn request(method: &str, path: &str, query: Option<&str>, body: &[u8], seconds: u64) -> Request {
    let mut request =
        Request::new(method, path).with_attribute("body:sha256", Sha256::digest(body).to_vec());
    request.query = query.map(str::to_owned);
    request.time = seconds * 1000;
    request
}

/// Signs as the specification tells, with nothing of the plugin's.
struct Signer {
    headers: Vec<(&'static str, &'static str)>,
    path: &'static str,
    payload: Option<&'static str>,
    date: &'static str,
    region: &'static str,
}

impl Signer {
    fn new() -> Self {
        Self {
            headers: vec![("host", "localhost"), ("x-amz-date", "20260102T030405Z")],
            path: "/a",
            payload: None,
            date: "20260102",
            region: "us-east-1",
        }
    }

    fn sign(&self) -> Request {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let lines: String = self.headers.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
        let hash = hex(&Sha256::digest(b""));
        let payload = self.payload.unwrap_or(&hash);
        let names = names.join(";");
        let canonical = format!("GET\n{}\n\n{lines}\n{names}\n{payload}", self.path);
        let scope = format!("{}/{}/execute-api/aws4_request", self.date, self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n20260102T030405Z\n{scope}\n{}",
            hex(&Sha256::digest(canonical))
        );
        let mut key = format!("AWS4{SECRET}").into_bytes();
        for part in scope.split('/').chain([text.as_str()]) {
            let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            key = mac.chain_update(part).finalize().into_bytes().to_vec();
        }
        let mut request = request("GET", "/a", None, b"", SIGNED_AT);
        for (name, value) in &self.headers {
            request = request.with_header(name, *value);
        }
        request.with_header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={}",
                hex(&key)
            ),
        )
    }
}

/// The code a request is refused with; none where it goes on.
fn code(plugin: &Iam, request: &Request) -> Option<String> {
    match plugin.authorize(request) {
        Ok(_) => None,
        Err(Denial::Forbidden(Reason { code, .. })) => Some(code),
        Err(Denial::NotMine) => Some("not-mine".to_owned()),
        Err(other) => Some(format!("{other:?}")),
    }
}

fn check(settings: Value, request: &Request, expected: Option<&str>) {
    assert_eq!(code(&plugin(settings), request).as_deref(), expected, "{request:?}");
}

/// Replaces the value of a header.
fn set(request: &mut Request, name: &str, value: &str) {
    request.headers.retain(|header| header.name != name);
    request.headers.push(Header::new(name, value));
}

fn authorization(request: &Request) -> String {
    request.header("authorization").unwrap().to_owned()
}

#[test]
fn a_signed_request_is_its_callers() {
    let _host = install(credential());

    let grant = plugin(json!({})).authorize(&Signer::new().sign()).unwrap();

    let arn = "arn:aws:iam::123456789012:user/alice";
    let expected = Grant::to(arn)
        .with_attribute("access-key", KEY)
        .with_attribute("consumer", "alice")
        .with_attribute("arn", arn)
        .with_attribute("account", "123456789012")
        .with_policies_attached_to(KEY)
        .expires_at_ms((SIGNED_AT + 300) * 1000);
    assert_eq!(grant, expected);
}

#[test]
fn a_key_without_an_arn_is_its_consumers() {
    let _host = install(Credential { attributes: Vec::new(), ..credential() });

    let grant = plugin(json!({ "policies": "none" })).authorize(&Signer::new().sign()).unwrap();

    assert_eq!(grant.identity.principal, "alice");
    assert_eq!(grant.policies, Vec::<Policy>::new());
}

#[test]
fn an_answer_holds_no_longer_than_the_key() {
    let sooner = SIGNED_AT * 1000 + 1;
    let _host = install(Credential { expires_at: Some(sooner), ..credential() });

    let grant = plugin(json!({})).authorize(&Signer::new().sign()).unwrap();

    assert_eq!(grant.expires_at, Some(sooner));
}

#[test]
fn a_refusal_says_what_amazons_clients_know() {
    let _host = install(credential());
    let mut request = Signer::new().sign();
    request.method = "DELETE".to_owned();
    let text = "The request signature we calculated does not match the signature you provided.";

    let expected = Denial::forbidden("wrong-signature")
        .with_public_text(text)
        .with_header("x-amzn-errortype", "InvalidSignatureException");
    assert_eq!(plugin(json!({})).authorize(&request), Err(expected));

    let answer = plugin(json!({ "refuse_with": 401 })).authorize(&request);
    assert!(matches!(answer, Err(Denial::Unauthenticated(_))), "{answer:?}");
}

#[test]
fn a_store_that_cannot_be_asked_is_no_verdict() {
    let host = Host::new().install();

    let answer = plugin(json!({})).authorize(&Signer::new().sign());

    assert_eq!(answer, Err(Denial::unavailable("store-unavailable")));
    assert_eq!(host.lines().len(), 1);
}

#[test]
fn nothing_of_a_key_is_told_but_its_id() {
    let host = install(temporary());
    let mut request = Signer::new().sign();
    set(&mut request, "x-amz-security-token", TOKEN);

    let answer = format!("{:?}", plugin(json!({})).authorize(&request));

    assert!(!answer.contains(SECRET) && !answer.contains(TOKEN), "{answer}");
    assert!(host.lines().is_empty());
}
