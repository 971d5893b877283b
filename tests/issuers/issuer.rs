//! An OpenID Connect provider's two documents, and those who sign.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_tests::{Issued, Upstream};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// Somebody with a private key.
pub(super) struct Signer {
    id: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// With a new key of this id.
    pub(super) fn new(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("the same key");
        Self { id: id.to_owned(), pair }
    }

    /// Headers with a signed message.
    pub(super) fn headers(&self, message: &str) -> [(&'static str, String); 3] {
        let signature = self.pair.sign(message.as_bytes());
        let hex = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        [("x-message", message.to_owned()), ("x-key-id", self.id.clone()), ("x-signature", hex)]
    }

    /// A token of this issuer for this audience, which holds for an hour (RFC 8037).
    pub(super) fn token(&self, issuer: &str, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let header = json!({ "alg": "EdDSA", "kid": self.id });
        let claims = json!({
            "iss": issuer, "sub": "alice", "aud": audience, "exp": now.as_secs() + 3600,
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.pair.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "use": "sig", "x": x })
    }
}

/// A JSON Web Key Set of these.
pub(super) fn key_set(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.public()).collect();
    json!({ "keys": keys }).to_string()
}

/// What is said by who keeps the connection open and says nothing.
pub(super) const NOTHING: &str = "nothing";

/// A provider.
pub(super) struct Issuer {
    service: Upstream,
    url: String,
    published: Arc<Published>,
}

#[derive(Default)]
struct Published {
    keys: Mutex<String>,
    /// What is said in the place of the keys; closes the connection where empty.
    trouble: Mutex<Option<String>>,
    discovery: Mutex<String>,
    newest: AtomicUsize,
}

impl Issuer {
    /// With the keys of these, under its address.
    pub(super) fn start(signers: &[&Signer]) -> Self {
        Self::named("127.0.0.1", signers)
    }

    /// The same under a name of this machine.
    pub(super) fn named(name: &str, signers: &[&Signer]) -> Self {
        Self::launch(&format!("http://{name}"), None, None, signers)
    }

    /// The same with another name in its discovery document.
    pub(super) fn calling_itself(issuer: &str, signers: &[&Signer]) -> Self {
        Self::launch("http://127.0.0.1", Some(issuer), None, signers)
    }

    /// The same over TLS, with this certificate of `localhost`.
    pub(super) fn over_tls(own: &Issued, signers: &[&Signer]) -> Self {
        Self::launch("https://localhost", None, Some(own), signers)
    }

    fn launch(
        front: &str,
        issuer: Option<&str>,
        own: Option<&Issued>,
        signers: &[&Signer],
    ) -> Self {
        let published = Arc::<Published>::default();
        let script = {
            let published = Arc::clone(&published);
            move |seen: &portcullis_tests::Seen, reply: &mut portcullis_tests::Reply<'_>| {
                let text = |text: &Mutex<String>| text.lock().expect("no panics").clone();
                let trouble = published.trouble.lock().expect("no panics").clone();
                match (seen.target.as_str(), trouble) {
                    ("/.well-known/openid-configuration", _) => {
                        reply.send(200, &[], text(&published.discovery).as_bytes())
                    }
                    ("/keys", None) => reply.send(200, &[], text(&published.keys).as_bytes()),
                    ("/keys", Some(trouble)) if trouble == NOTHING => {
                        while !reply.piece()?.is_empty() {}
                        Ok(())
                    }
                    ("/keys", Some(trouble)) => {
                        reply.close();
                        reply.raw(trouble.as_bytes())
                    }
                    _ => reply.send(404, &[], b""),
                }
            }
        };
        let service = match own {
            None => Upstream::answering(script),
            Some(own) => {
                Upstream::answering_over_tls(super::super::capabilities::server(own), script)
            }
        };
        let url = format!("{front}:{}", service.address().port());
        let name = issuer.unwrap_or(&url);
        let discovery = json!({ "issuer": name, "jwks_uri": format!("{url}/keys") }).to_string();
        *published.discovery.lock().expect("no panics") = discovery;
        let issuer = Self { service, url, published };
        issuer.publish(signers);
        issuer
    }

    /// Its name.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Shows the keys of these and no other.
    pub(super) fn publish(&self, signers: &[&Signer]) {
        *self.published.keys.lock().expect("no panics") = key_set(signers);
        self.answer_keys_with(None);
    }

    /// The same, of which one signs from now on.
    pub(super) fn publish_newest(&self, signers: &[&Signer], newest: usize) {
        self.publish(signers);
        self.published.newest.store(newest, Ordering::SeqCst);
    }

    /// Which one signs.
    pub(super) fn newest(&self) -> usize {
        self.published.newest.load(Ordering::SeqCst)
    }

    /// Says this in the place of its keys.
    pub(super) fn answer_keys_with(&self, trouble: Option<String>) {
        *self.published.trouble.lock().expect("no panics") = trouble;
    }

    /// How often it was asked for a document.
    pub(super) fn asked(&self, target: &str) -> usize {
        self.service.seen().iter().filter(|seen| seen.target == target).count()
    }
}
