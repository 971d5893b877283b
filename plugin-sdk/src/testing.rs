//! Tests of plugins, natively and without a gateway.
//!
//! ```
//! use portcullis_plugin_sdk::testing::Host;
//! use portcullis_plugin_sdk::{log, secrets};
//!
//! let host = Host::new().with_secret("token", "s3cret").install();
//!
//! assert_eq!(secrets::matches("token", "s3cret"), Ok(true));
//! assert!(secrets::matches("other", "s3cret").is_err());
//!
//! log::info("checked");
//! assert_eq!(host.lines(), ["checked"]);
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use crate::credentials::{Credential, Kind};
use crate::http::{HttpError, Request as HttpRequest, Response as HttpResponse};
use crate::keys::{KeyError, Signed};
use crate::{Plugin, SettingsError};

pub(crate) mod credentials;
pub(crate) mod crypto;
pub(crate) mod http;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod secrets;

/// Makes a plugin of its settings, as the host would.
///
/// The host also checks settings against the schema first; here serde's own
/// checks are all there are.
pub fn configured<P: Plugin>(settings: serde_json::Value) -> Result<P, SettingsError> {
    crate::plugin::configure(&settings.to_string())
}

/// A double of the host, for one thread.
#[derive(Default)]
pub struct Host {
    secrets: BTreeMap<String, Secret>,
    issuers: BTreeMap<String, Verify>,
    metadata: BTreeMap<String, String>,
    credentials: Option<Vec<StoredCredential>>,
    service: Option<Service>,
    lines: Rc<RefCell<Vec<String>>>,
}

type Verify = Box<dyn Fn(Signed<'_>) -> Result<bool, KeyError>>;

type Service = Box<dyn Fn(&HttpRequest) -> Result<HttpResponse, HttpError>>;

/// A secret that tests grant.
struct Secret {
    bytes: Vec<u8>,
    sight: Sight,
}

/// A credential of the store that tests grant.
struct StoredCredential {
    kind: Kind,
    credential: Credential,
    secret: Vec<u8>,
}

/// Whether a grant says `reveal = true`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Hidden,
    Revealable,
}

impl Host {
    /// A host that grants nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants the use of a secret.
    pub fn with_secret(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.grant(name, Secret { bytes: bytes.into(), sight: Sight::Hidden })
    }

    /// Grants the use and the sight of a secret.
    pub fn with_revealable_secret(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.grant(name, Secret { bytes: bytes.into(), sight: Sight::Revealable })
    }

    /// Grants an issuer, whose signatures are judged by a function of the test.
    pub fn with_issuer(
        mut self,
        name: &str,
        verify: impl Fn(Signed<'_>) -> Result<bool, KeyError> + 'static,
    ) -> Self {
        self.issuers.insert(name.to_owned(), Box::new(verify));
        self
    }

    /// Gives an issuer its discovery document.
    pub fn with_metadata(mut self, issuer: &str, document: impl Into<String>) -> Self {
        self.metadata.insert(issuer.to_owned(), document.into());
        self
    }

    /// Grants the store of credentials, and puts one into it.
    pub fn with_credential(
        mut self,
        kind: Kind,
        credential: Credential,
        secret: impl Into<Vec<u8>>,
    ) -> Self {
        let stored = StoredCredential { kind, credential, secret: secret.into() };
        self.credentials.get_or_insert_default().push(stored);
        self
    }

    /// Grants requests, which a function of the test answers.
    pub fn with_service(
        mut self,
        answer: impl Fn(&HttpRequest) -> Result<HttpResponse, HttpError> + 'static,
    ) -> Self {
        self.service = Some(Box::new(answer));
        self
    }

    /// Puts the double in the host's place on this thread, until the answer drops.
    #[must_use = "the double is gone once this drops"]
    pub fn install(self) -> Installed {
        let lines = self.lines.clone();
        let before = INSTALLED.replace(self);
        Installed { lines, before: Some(before) }
    }

    fn grant(mut self, name: &str, secret: Secret) -> Self {
        self.secrets.insert(name.to_owned(), secret);
        self
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("Host").field("secrets", &secrets).finish_non_exhaustive()
    }
}

thread_local! {
    static INSTALLED: RefCell<Host> = RefCell::default();
}

/// A double in the host's place.
#[derive(Debug)]
pub struct Installed {
    lines: Rc<RefCell<Vec<String>>>,
    before: Option<Host>,
}

impl Installed {
    /// The lines logged so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            INSTALLED.replace(before);
        }
    }
}
