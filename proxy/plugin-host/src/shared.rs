//! What all instances of one plugin use share.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_config::{Budget, SecretGrant};

use crate::capability::{Clocks, HttpClient, IssuerKeySet, KeyValue, LogSink};
use crate::credentials::CredentialSource;

/// The grants, limits and log of one plugin use.
#[derive(Debug)]
pub(crate) struct UseShared {
    /// What one call may use.
    pub(crate) budget: Budget,
    /// Whether clocks and randomness are real.
    pub(crate) clocks: Clocks,
    /// Where its lines go.
    pub(crate) log: LogSink,
    /// What it may use: granted, and asked for by its plan.
    opened: Opened,
}

/// What is granted and was asked for.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// Secrets by name.
    pub(crate) secrets: BTreeMap<String, SecretGrant>,
    /// Keys by issuer.
    pub(crate) issuers: BTreeMap<String, IssuerKeySet>,
    /// What sends its requests.
    pub(crate) http: Option<Arc<HttpClient>>,
    /// What it remembers.
    pub(crate) keyvalue: Option<KeyValue>,
    /// Where it finds credentials.
    pub(crate) credentials: Option<Arc<dyn CredentialSource>>,
}

impl UseShared {
    /// Shares these.
    pub(crate) fn new(name: &str, budget: Budget, clocks: Clocks, opened: Opened) -> Self {
        Self { budget, clocks, log: LogSink::new(name), opened }
    }

    /// A secret that is granted and was asked for.
    pub(crate) fn secret(&self, name: &str) -> Option<&SecretGrant> {
        self.opened.secrets.get(name)
    }

    /// The keys of an issuer that is granted and was asked for.
    pub(crate) fn issuer(&self, name: &str) -> Option<&IssuerKeySet> {
        self.opened.issuers.get(name)
    }

    /// Grows when a key that it may have verified with is no longer trusted.
    pub(crate) fn keys_generation(&self) -> u64 {
        let issuers = self.opened.issuers.values();
        issuers.fold(0, |sum, keys| sum.wrapping_add(keys.generation()))
    }

    /// The issuers of its tokens, with the keys it may use.
    pub(crate) fn issuers(&self) -> impl Iterator<Item = &IssuerKeySet> {
        self.opened.issuers.values()
    }

    /// What sends its requests, if it may send any.
    pub(crate) fn http(&self) -> Option<&Arc<HttpClient>> {
        self.opened.http.as_ref()
    }

    /// Where it finds credentials, if it may.
    pub(crate) fn credentials(&self) -> Option<&dyn CredentialSource> {
        self.opened.credentials.as_deref()
    }

    /// A number that changes with what the plugin can find outside of the request: a
    /// grant that was kept under another one is not given again.
    pub(crate) fn generation(&self) -> u64 {
        self.credentials().map_or(0, CredentialSource::version)
    }

    /// What it remembers, if it may.
    pub(crate) fn keyvalue(&self) -> Option<&KeyValue> {
        self.opened.keyvalue.as_ref()
    }
}
