//! The certificate, as the host tells of it.

use std::slice;

use portcullis_plugin_sdk::{Denial, Request, Value};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is known of a certificate: the attributes `tls:client-certificate.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fact {
    Subject,
    CommonName,
    Organization,
    OrganizationalUnit,
    Issuer,
    Serial,
    NotBefore,
    NotAfter,
    Dns,
    Email,
    Uri,
    Ip,
    Sha256,
}

impl Fact {
    /// Its name, as settings write it.
    pub(crate) fn name(self) -> &'static str {
        self.attribute().rsplit('.').next().unwrap_or_default()
    }

    /// The attribute that tells it.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Subject => "tls:client-certificate.subject",
            Self::CommonName => "tls:client-certificate.common-name",
            Self::Organization => "tls:client-certificate.organization",
            Self::OrganizationalUnit => "tls:client-certificate.organizational-unit",
            Self::Issuer => "tls:client-certificate.issuer",
            Self::Serial => "tls:client-certificate.serial",
            Self::NotBefore => "tls:client-certificate.not-before",
            Self::NotAfter => "tls:client-certificate.not-after",
            Self::Dns => "tls:client-certificate.dns",
            Self::Email => "tls:client-certificate.email",
            Self::Uri => "tls:client-certificate.uri",
            Self::Ip => "tls:client-certificate.ip",
            Self::Sha256 => "tls:client-certificate.sha256",
        }
    }
}

/// The certificate of a request's connection.
pub(crate) struct Certificate<'r>(&'r Request);

impl<'r> Certificate<'r> {
    /// The certificate; none where the client showed none.
    pub(crate) fn of(request: &'r Request) -> Option<Self> {
        let certificate = Self(request);
        certificate.value(Fact::Sha256).is_some().then_some(certificate)
    }

    pub(crate) fn value(&self, fact: Fact) -> Option<&'r Value> {
        self.0.attribute_value(fact.attribute())
    }

    /// The texts of a fact, in the order of the certificate.
    pub(crate) fn texts(&self, fact: Fact) -> &'r [String] {
        match self.value(fact) {
            Some(Value::Text(text)) => slice::from_ref(text),
            Some(Value::Texts(texts)) => texts,
            Some(Value::Integer(_) | Value::Boolean(_) | Value::Bytes(_)) | None => &[],
        }
    }

    /// Whether it holds at a time; gives when it ends. Both in milliseconds since 1970.
    ///
    /// The handshake has checked this, but connections outlive certificates.
    pub(crate) fn check_time(&self, now_ms: u64) -> Result<u64, Denial> {
        let (Some(Value::Integer(from)), Some(Value::Integer(until))) =
            (self.value(Fact::NotBefore), self.value(Fact::NotAfter))
        else {
            return Err(Denial::forbidden("certificate-without-validity"));
        };
        let now = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
        if now < *from {
            return Err(Denial::forbidden("certificate-not-yet-valid"));
        }
        if now > *until {
            return Err(Denial::forbidden("certificate-expired"));
        }
        // Its last second counts (RFC 5280, section 4.1.2.5).
        let end = u64::try_from(until.saturating_add(1)).unwrap_or(0);
        Ok(end.saturating_mul(1000))
    }
}
