//! What the operator writes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::certificate::Fact;

/// Which certificates are allowed, and what they say of their clients.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The certificates that are allowed: those that one of these rules matches. Where
    /// absent, every certificate that the listener takes.
    pub(crate) allow: Option<Vec<RuleSettings>>,
    /// Which of the certificate's names becomes the principal. Where absent, the first
    /// kind of `uri`, `dns`, `email` and `common-name` that the rule speaks of, or else
    /// that the certificate has.
    pub(crate) principal: Option<Principal>,
    /// What else is known of the client: `identity:<name>` for later phases, each by the
    /// fact it is.
    #[serde(default = "attributes")]
    pub(crate) attributes: BTreeMap<String, Fact>,
}

/// A rule: all that is written must match, each by one of its texts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSettings {
    /// Whole subjects, as RFC 4514 writes them: `CN=orders,O=Example`.
    pub(crate) subject: Option<Vec<String>>,
    /// Common names of the subject.
    pub(crate) common_name: Option<Vec<String>>,
    /// Organizations of the subject.
    pub(crate) organization: Option<Vec<String>>,
    /// Organizational units of the subject.
    pub(crate) organizational_unit: Option<Vec<String>>,
    /// Whole names of the authority that issued it, as RFC 4514 writes them.
    pub(crate) issuer: Option<Vec<String>>,
    /// Host names; `*.example.com` matches one label more.
    pub(crate) dns: Option<Vec<String>>,
    /// Addresses of mail.
    pub(crate) email: Option<Vec<String>>,
    /// URIs; `spiffe://example.org/shop/*` matches all that is below.
    pub(crate) uri: Option<Vec<String>>,
    /// Addresses of hosts.
    pub(crate) ip: Option<Vec<String>>,
    /// SHA-256 of whole certificates, in hexadecimal, with or without colons.
    pub(crate) sha256: Option<Vec<String>>,
}

/// A name that may become the principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Principal {
    /// The first URI.
    Uri,
    /// The first host name.
    Dns,
    /// The first address of mail.
    Email,
    /// The first address of a host.
    Ip,
    /// The common name.
    CommonName,
    /// The whole subject.
    Subject,
    /// SHA-256 of the certificate, in hexadecimal.
    Sha256,
}

impl Principal {
    pub(crate) fn fact(self) -> Fact {
        match self {
            Self::Uri => Fact::Uri,
            Self::Dns => Fact::Dns,
            Self::Email => Fact::Email,
            Self::Ip => Fact::Ip,
            Self::CommonName => Fact::CommonName,
            Self::Subject => Fact::Subject,
            Self::Sha256 => Fact::Sha256,
        }
    }
}

fn attributes() -> BTreeMap<String, Fact> {
    let facts = [Fact::Subject, Fact::Issuer, Fact::Serial, Fact::Sha256];
    facts.into_iter().map(|fact| (fact.name().to_owned(), fact)).collect()
}
