//! Seals what browsers keep for us.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_plugin_sdk::Plan;
use portcullis_plugin_sdk::crypto::Key;
use portcullis_plugin_sdk::secrets::{self, SecretError};

/// Comes before each key, so that what is sealed here opens nowhere else.
const PREFIX: &str = "portcullis oidc-login\n";

/// The keys that cookies are sealed with.
#[derive(Debug)]
pub(crate) struct Vault {
    /// The name of the granted secret.
    key: String,
    /// The name of the one before it.
    previous: Option<String>,
    /// What is bound into each seal: whose login it is.
    bound: String,
}

/// What a seal is for; nothing opens as something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A login that has begun.
    Login,
    /// A session.
    Session,
}

/// What was sealed, and which key opened it.
pub(crate) struct Opened {
    /// The bytes.
    pub(crate) plain: Vec<u8>,
    /// The key.
    pub(crate) by: KeyAge,
}

/// Which key it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyAge {
    /// The one that seals.
    Current,
    /// The one before.
    Previous,
}

impl Vault {
    /// With the secrets of these names, for what those texts say together.
    pub(crate) fn new(key: String, previous: Option<String>, bound: [&str; 3]) -> Self {
        Self { key, previous, bound: bound.join("\n") }
    }

    /// What the host must hold ready: secrets long enough to seal with.
    pub(crate) fn asks(&self, plan: Plan) -> Plan {
        let names = std::iter::once(&self.key).chain(&self.previous);
        names.fold(plan, |plan, name| plan.asks_key(name, Key::LEAST_TO_SEAL))
    }

    /// Seals; the text can stand in a cookie.
    pub(crate) fn seal(&self, purpose: Purpose, plain: &[u8]) -> Result<String, SecretError> {
        let sealed = secrets::as_key(&self.key, PREFIX)?.seal(plain, self.associated(purpose));
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what was sealed for this purpose; none where it was not.
    pub(crate) fn open(&self, purpose: Purpose, text: &str) -> Result<Option<Opened>, SecretError> {
        let Ok(sealed) = URL_SAFE_NO_PAD.decode(text) else { return Ok(None) };
        let associated = self.associated(purpose);
        let ages = [(Some(&self.key), KeyAge::Current), (self.previous.as_ref(), KeyAge::Previous)];
        for (key, by) in ages {
            let Some(key) = key else { continue };
            if let Some(plain) = secrets::as_key(key, PREFIX)?.open(&sealed, &associated) {
                return Ok(Some(Opened { plain, by }));
            }
        }
        Ok(None)
    }

    fn associated(&self, purpose: Purpose) -> String {
        let purpose = match purpose {
            Purpose::Login => "login",
            Purpose::Session => "session",
        };
        format!("{purpose}\n{}", self.bound)
    }
}
