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

/// The versions of what a plugin consults in the host. No answer that was made under
/// other ones is given again: something it relied on may have ceased to hold.
///
/// They are compared apart, as the one could fall where the other grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Of the issuers' keys; grows when they change.
    pub(crate) keys: u64,
    /// Of the store of credentials; another one after every change.
    pub(crate) credentials: u64,
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

    /// The versions of what it consults in the host, as they are now.
    pub(crate) fn generation(&self) -> Generation {
        Generation {
            keys: self.issuers().fold(0, |sum, keys| sum.wrapping_add(keys.generation())),
            credentials: self.credentials().map_or(0, CredentialSource::version),
        }
    }

    /// What it remembers, if it may.
    pub(crate) fn keyvalue(&self) -> Option<&KeyValue> {
        self.opened.keyvalue.as_ref()
    }
}
