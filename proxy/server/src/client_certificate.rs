//! The certificates that clients show: read once for a connection, and refused in the
//! handshake where they cannot be read.

mod distinguished_name;
mod verifier;

use std::any::Any;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use async_trait::async_trait;
use pingora::listeners::TlsAccept;
use pingora::protocols::tls::{SslDigest, TlsRef};
use portcullis_pipeline::{AlternativeNames, ClientCertificate};
use ring::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use self::distinguished_name::DistinguishedName;
pub(crate) use self::verifier::ReadableCertificates;

/// Alternative names of one certificate.
const MOST_NAMES: usize = 256;

/// Why a certificate is not read, though an authority that is trusted signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// Its structure is wrong.
    #[error("it is no X.509 certificate")]
    NotX509,
    /// The subject or the issuer is too long to be told.
    #[error("its subject or its issuer is too long")]
    TooLong,
    /// The alternative names are no list, or stand there twice.
    #[error("its alternative names are malformed")]
    MalformedNames,
    /// A name has a character that no such name has: a space, a NUL, one beyond ASCII.
    #[error("an alternative name is no plain text or no address")]
    OddName,
    /// There are too many alternative names.
    #[error("it has more than {MOST_NAMES} alternative names")]
    TooManyNames,
}

/// Reads a certificate.
pub(crate) fn read(der: &[u8]) -> Result<ClientCertificate, Unreadable> {
    let (rest, parsed) =
        x509_parser::parse_x509_certificate(der).map_err(|_| Unreadable::NotX509)?;
    if !rest.is_empty() {
        return Err(Unreadable::NotX509);
    }
    let subject = DistinguishedName::read(parsed.subject())?;
    let issuer = DistinguishedName::read(parsed.issuer())?;
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, der).as_ref());
    Ok(ClientCertificate {
        common_name: subject.common_name(),
        organizations: subject.organizations,
        organizational_units: subject.organizational_units,
        subject: subject.text,
        issuer: issuer.text,
        serial: serial(parsed.raw_serial()),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        names: names(&parsed)?,
        sha256,
        der: der.to_vec(),
    })
}

/// A serial number without the zero that only keeps it positive (X.690, section 8.3).
fn serial(bytes: &[u8]) -> String {
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        bytes => bytes,
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(parsed: &X509Certificate<'_>) -> Result<AlternativeNames, Unreadable> {
    let extension = parsed.subject_alternative_name().map_err(|_| Unreadable::MalformedNames)?;
    let list = extension.map(|extension| extension.value.general_names.as_slice());
    let list = list.unwrap_or_default();
    if list.len() > MOST_NAMES {
        return Err(Unreadable::TooManyNames);
    }
    let mut names = AlternativeNames::default();
    for name in list {
        match name {
            GeneralName::DNSName(name) => names.dns.push(plain(name)?),
            GeneralName::RFC822Name(name) => names.email.push(plain(name)?),
            GeneralName::URI(name) => names.uri.push(plain(name)?),
            GeneralName::IPAddress(bytes) => names.ip.push(address(bytes)?),
            // Nobody here goes by these.
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_) => {}
        }
    }
    Ok(names)
}

/// A name as it is. What reads differently to different readers is refused, with the
/// whole certificate: without the name, another one would speak for the client.
fn plain(name: &str) -> Result<String, Unreadable> {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok(name.to_owned()) } else { Err(Unreadable::OddName) }
}

fn address(bytes: &[u8]) -> Result<String, Unreadable> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(bytes).to_string());
    }
    let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| Unreadable::OddName)?;
    Ok(Ipv6Addr::from(bytes).to_string())
}

/// A certificate beside Pingora's digest of its connection.
pub(crate) struct Shown(Arc<ClientCertificate>);

/// Reads the certificate when a handshake is complete, whether the session is new or
/// resumed.
pub(crate) struct ReadWhenComplete;

#[async_trait]
impl TlsAccept for ReadWhenComplete {
    async fn handshake_complete_callback(
        &self,
        tls: &TlsRef,
    ) -> Option<Arc<dyn Any + Send + Sync>> {
        let certificate = read(tls.peer_certificate_der()?).ok()?;
        Some(Arc::new(Shown(Arc::new(certificate))))
    }
}

/// The certificate of a connection, where its client showed one.
pub(crate) fn of(digest: &SslDigest) -> Option<&Arc<ClientCertificate>> {
    digest.extension.get::<Shown>().map(|Shown(certificate)| certificate)
}

/// Whether a connection may go on: a certificate that was shown has been read, and has
/// not expired, as one of a session from before can have.
pub(crate) fn holds(digest: &SslDigest, now_ms: u64) -> bool {
    let now = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    match of(digest) {
        Some(certificate) => now <= certificate.not_after,
        // Pingora's digest of it is empty where there is none.
        None => digest.cert_digest.is_empty(),
    }
}

#[cfg(test)]
mod tests;
