//! Verifies a signature in headers with the keys of an issuer. A reason tells why it
//! could not, and the attribute `metadata` what the issuer says of itself.

use portcullis_plugin_sdk::keys::{KeyError, SignatureAlgorithm, Signed};
use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, KeySource, Plan, Plugin, Request, export, keys,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verifies {
    /// Whose keys to use.
    issuer: String,
    /// Where they are.
    #[serde(default)]
    keys: Place,
    /// Whether earlier answers may be given again.
    #[serde(default)]
    cacheable: bool,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Place {
    #[default]
    Granted,
    Discovery,
    KeySet(String),
    Inline(String),
}

impl Plugin for Verifies {
    type Settings = Self;

    fn plan(&self) -> Plan {
        let source = match &self.keys {
            Place::Granted => KeySource::Granted,
            Place::Discovery => KeySource::Discovery,
            Place::KeySet(url) => KeySource::KeySet(url.clone()),
            Place::Inline(text) => KeySource::Inline(text.clone()),
        };
        let plan = Plan::new()
            .reads_header("x-message")
            .reads_header("x-key-id")
            .reads_header("x-signature")
            .asks_issuer_at(&self.issuer, source);
        if self.cacheable { plan.cacheable() } else { plan }
    }
}

impl Authorizer for Verifies {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let message = request.header("x-message").ok_or(Denial::NotMine)?;
        let signature = request.header("x-signature").and_then(unhex);
        let signed = Signed {
            key_id: request.header("x-key-id"),
            algorithm: SignatureAlgorithm::Eddsa,
            message: message.as_bytes(),
            signature: &signature.ok_or(Denial::NotMine)?,
        };
        match keys::verify(&self.issuer, signed) {
            Ok(true) => {
                let metadata = keys::metadata(&self.issuer).unwrap_or_default();
                Ok(Grant::to("signer").with_attribute("metadata", metadata))
            }
            Ok(false) => Err(Denial::unauthenticated("wrong-signature")),
            Err(KeyError::NotGranted) => Err(Denial::unauthenticated("not-granted")),
            Err(KeyError::UnknownKey) => Err(Denial::unauthenticated("unknown-key")),
            Err(KeyError::WrongKeyType) => Err(Denial::unauthenticated("wrong-key-type")),
            Err(KeyError::Unavailable) => Err(Denial::unavailable("unavailable")),
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

export!(Verifies: authorizer);
