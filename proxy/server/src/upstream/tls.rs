//! The certificate files of upstreams, read and checked at load: Pingora parses them
//! again for each connection and panics on what it cannot parse.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora::protocols::tls::CaType;
use pingora::tls::{CertificateDer, ClientConfig, PrivateKeyDer, RootCertStore};
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use portcullis_config::{CertificateFiles, UpstreamTls};
use rustls_pki_types::pem::PemObject;

/// What is wrong with a certificate or key file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsFileProblem {
    /// It cannot be read, or is not PEM.
    #[error("`{}`: {problem}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: rustls_pki_types::pem::Error,
    },
    /// It holds no certificate.
    #[error("`{}` holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// It holds something else in a certificate's place.
    #[error("`{}` holds a certificate that is not X.509", .0.display())]
    NotX509(PathBuf),
    /// A certificate that nothing can chain to.
    #[error("`{}` holds a certificate that cannot be trusted: {problem}", .path.display())]
    NotATrustAnchor {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: pingora::tls::RusTlsError,
    },
    /// The key cannot be used with the certificate.
    #[error("the key in `{}` does not serve the certificate: {problem}", .path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// Why.
        problem: pingora::tls::RusTlsError,
    },
}

/// What the gateway trusts of an upstream and shows to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Credentials {
    /// The certificates to trust; `None` trusts the system's.
    pub(super) trusted: Option<Arc<CaType>>,
    /// The certificate to show.
    pub(super) shown: Option<Arc<CertKey>>,
    /// Differs where the certificates do, so that connections made with one set are
    /// never used for another: Pingora's own pool key leaves out whom a peer trusts, and
    /// knows a client certificate by its serial number alone.
    pub(super) group: u64,
}

impl Credentials {
    pub(super) fn load(tls: &UpstreamTls) -> Result<Self, TlsFileProblem> {
        let trusted = tls.ca.as_deref().map(trust_anchors).transpose()?;
        let shown = tls.client_certificate.as_ref().map(key_pair).transpose()?;
        let group = group(trusted.as_deref(), shown.as_ref());
        Ok(Self { trusted: trusted.map(wrap), shown: shown.map(Arc::new), group })
    }
}

fn trust_anchors(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileProblem> {
    let certificates = certificates(path)?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|problem| TlsFileProblem::NotATrustAnchor {
            path: path.to_owned(),
            problem,
        })?;
    }
    Ok(certificates)
}

fn key_pair(files: &CertificateFiles) -> Result<CertKey, TlsFileProblem> {
    let certificates = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|problem| TlsFileProblem::Unreadable { path: files.key.clone(), problem })?;
    let unfit = |problem| TlsFileProblem::Key { path: files.key.clone(), problem };
    // Pingora guesses the key's format from its bytes, so the guess is what is tried.
    let bytes = key.secret_der().to_vec();
    let guessed = PrivateKeyDer::try_from(bytes.clone())
        .map_err(|problem| unfit(pingora::tls::RusTlsError::General(problem.to_owned())))?;
    pingora::tls::install_default_crypto_provider();
    ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(certificates.clone(), guessed)
        .map_err(unfit)?;
    let chain = certificates.iter().map(|certificate| certificate.to_vec()).collect();
    Ok(CertKey::new(chain, bytes))
}

/// The certificates of a file: at least one, and each one Pingora can parse.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileProblem> {
    let unreadable = |problem| TlsFileProblem::Unreadable { path: path.to_owned(), problem };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TlsFileProblem::NoCertificate(path.to_owned()));
    }
    if certificates
        .iter()
        .any(|certificate| x509_parser::parse_x509_certificate(certificate).is_err())
    {
        return Err(TlsFileProblem::NotX509(path.to_owned()));
    }
    Ok(certificates)
}

fn wrap(certificates: Vec<CertificateDer<'static>>) -> Arc<CaType> {
    let wrapped =
        |certificate: CertificateDer<'_>| WrappedX509::new(certificate.to_vec(), parse_x509);
    certificates.into_iter().map(wrapped).collect()
}

fn group(trusted: Option<&[CertificateDer<'_>]>, shown: Option<&CertKey>) -> u64 {
    let mut hasher = DefaultHasher::new();
    trusted
        .map(|certificates| certificates.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>())
        .hash(&mut hasher);
    shown.map(|shown| shown.leaf().borrow_raw_cert()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ca: &str) -> Result<Credentials, TlsFileProblem> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, ca).unwrap();
        Credentials::load(&UpstreamTls { ca: Some(path), name: None, client_certificate: None })
    }

    fn pem(bytes: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{bytes}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn a_file_that_is_no_certificate_is_refused_and_never_panics() {
        assert!(matches!(check(""), Err(TlsFileProblem::NoCertificate(_))));
        assert!(matches!(check(&pem("AAAA")), Err(TlsFileProblem::NotX509(_))));
        assert!(matches!(check(&pem("?")), Err(TlsFileProblem::Unreadable { .. })));
    }

    #[test]
    fn other_certificates_mean_other_connections() {
        let made = || rcgen::generate_simple_self_signed(["orders".to_owned()]).unwrap();
        let (one, other) = (made().cert.pem(), made().cert.pem());

        assert_eq!(check(&one).unwrap().group, check(&one).unwrap().group);
        assert_ne!(check(&one).unwrap().group, check(&other).unwrap().group);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let made = || rcgen::generate_simple_self_signed(["gateway".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let folder = tempfile::tempdir().unwrap();
        let files = |key: String| {
            let (certificate, path) = (folder.path().join("cert.pem"), folder.path().join("key"));
            std::fs::write(&certificate, one.cert.pem()).unwrap();
            std::fs::write(&path, key).unwrap();
            CertificateFiles { certificate, key: path }
        };

        assert!(key_pair(&files(one.signing_key.serialize_pem())).is_ok());
        let refused = key_pair(&files(other.signing_key.serialize_pem()));
        assert!(matches!(refused, Err(TlsFileProblem::Key { .. })));
    }
}
