//! TLS towards clients: which certificate by which name, and who may connect.
//!
//! A listener's TLS is one immutable [`Acceptor`], replaced whole on reload, so that a
//! new certificate, a new client CA or another minimum version need no restart.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::listeners::tls::Acceptor;
use pingora::tls::sign::CertifiedKey;
use pingora::tls::{
    CertificateDer, ClientCertVerifier, ClientHello, CryptoProvider, PrivateKeyDer,
    ResolvesServerCert, RootCertStore, RusTlsError, ServerConfig, WebPkiClientVerifier,
    install_default_crypto_provider, version,
};
use portcullis_config::{CertificateFiles, ClientCertificate, ListenerTls, TlsVersion};
use rustls::server::VerifierBuilderError;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::{self, PemObject};
use x509_parser::extensions::GeneralName;

use crate::client_certificate::ReadableCertificates;

/// Why a listener's TLS cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// A file cannot be read, or is no PEM.
    #[error("`{}`: {problem}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: pem::Error,
    },
    /// A file holds no certificate.
    #[error("`{}` holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate is no X.509, so that its names are not known.
    #[error("`{}` holds no X.509 certificate", .0.display())]
    NotX509(PathBuf),
    /// A key does not fit its certificate.
    #[error("the key `{}` does not fit `{}`: {problem}", .key.display(), .certificate.display())]
    Key {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        problem: RusTlsError,
    },
    /// The client CA cannot be used.
    #[error("the client CA `{}`: {problem}", .path.display())]
    ClientCa {
        /// Its file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A file holds no list of revoked certificates.
    #[error("`{}` holds no certificate revocation list", .0.display())]
    NoClientCrl(PathBuf),
    /// A list of revoked certificates cannot be used.
    #[error("the revocation list `{}`: {problem}", .path.display())]
    ClientCrl {
        /// Its file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// No cryptography is installed.
    #[error("no cryptography provider is installed")]
    NoProvider,
}

/// The TLS of one listener, replaceable while it serves.
pub(crate) struct TlsSwitch(ArcSwap<Acceptor>);

impl TlsSwitch {
    /// Begins with this.
    pub(crate) fn new(acceptor: Acceptor) -> Self {
        Self(ArcSwap::from_pointee(acceptor))
    }

    /// What the next handshake uses.
    pub(crate) fn load(&self) -> Arc<Acceptor> {
        self.0.load_full()
    }

    /// Lets further handshakes use another.
    pub(crate) fn replace(&self, acceptor: Acceptor) {
        self.0.store(Arc::new(acceptor));
    }
}

/// Reads the files of a listener's TLS.
pub(crate) fn acceptor(tls: &ListenerTls) -> Result<Acceptor, TlsProblem> {
    install_default_crypto_provider();
    let versions: &[_] = match tls.minimum {
        TlsVersion::V1_2 => &[&version::TLS12, &version::TLS13],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let builder = ServerConfig::builder_with_protocol_versions(versions);
    let builder = match &tls.client_ca {
        Some(ca) => builder.with_client_cert_verifier(client_verifier(tls, ca)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Certificates::read(&tls.certificates)?));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if tls.http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(Acceptor::from_server_config(Arc::new(config)))
}

fn client_verifier(
    tls: &ListenerTls,
    ca: &Path,
) -> Result<Arc<dyn ClientCertVerifier>, TlsProblem> {
    let problem = |problem: String| TlsProblem::ClientCa { path: ca.to_owned(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(ca)? {
        roots.add(certificate).map_err(|error| problem(error.to_string()))?;
    }
    let mut verifier = WebPkiClientVerifier::builder(Arc::new(roots));
    if tls.client_certificate == ClientCertificate::Request {
        verifier = verifier.allow_unauthenticated();
    }
    if let Some(path) = &tls.client_crl {
        verifier = verifier.with_crls(read_revocations(path)?).enforce_revocation_expiration();
    }
    let verifier = verifier.build().map_err(|error| match (error, &tls.client_crl) {
        (VerifierBuilderError::InvalidCrl(error), Some(path)) => {
            TlsProblem::ClientCrl { path: path.clone(), problem: format!("{error:?}") }
        }
        (error, _) => problem(error.to_string()),
    })?;
    Ok(Arc::new(ReadableCertificates(verifier)))
}

/// The lists of certificates that are taken back.
fn read_revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsProblem> {
    let unreadable = |problem| TlsProblem::Unreadable { path: path.to_owned(), problem };
    let lists = CertificateRevocationListDer::pem_file_iter(path).map_err(unreadable)?;
    let lists = lists.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if lists.is_empty() { Err(TlsProblem::NoClientCrl(path.to_owned())) } else { Ok(lists) }
}

/// The certificates of a listener, by the names they hold.
#[derive(Debug)]
struct Certificates {
    default: Arc<CertifiedKey>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    fn read(files: &[CertificateFiles]) -> Result<Self, TlsProblem> {
        let mut exact = HashMap::new();
        let mut wildcard = HashMap::new();
        let mut default = None;
        for files in files {
            let (key, names) = read_certificate(files)?;
            for name in names {
                match name.strip_prefix("*.") {
                    Some(suffix) => {
                        wildcard.entry(suffix.to_owned()).or_insert_with(|| Arc::clone(&key))
                    }
                    None => exact.entry(name).or_insert_with(|| Arc::clone(&key)),
                };
            }
            default.get_or_insert(key);
        }
        let default = default.ok_or_else(|| TlsProblem::NoCertificate(PathBuf::new()))?;
        Ok(Self { default, exact, wildcard })
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        self.exact.get(&name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        Some(Arc::clone(named.unwrap_or(&self.default)))
    }
}

/// A certificate with its key, and the names it holds, in lower case.
fn read_certificate(
    files: &CertificateFiles,
) -> Result<(Arc<CertifiedKey>, Vec<String>), TlsProblem> {
    let chain = read_chain(&files.certificate)?;
    let names = chain
        .first()
        .and_then(names)
        .ok_or_else(|| TlsProblem::NotX509(files.certificate.clone()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|problem| TlsProblem::Unreadable { path: files.key.clone(), problem })?;
    let provider = CryptoProvider::get_default().ok_or(TlsProblem::NoProvider)?;
    let misfit = |problem| TlsProblem::Key {
        key: files.key.clone(),
        certificate: files.certificate.clone(),
        problem,
    };
    let key = provider.key_provider.load_private_key(key).map_err(misfit)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(misfit)?;
    Ok((Arc::new(certified), names))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let unreadable = |problem| TlsProblem::Unreadable { path: path.to_owned(), problem };
    let chain = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if chain.is_empty() { Err(TlsProblem::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

fn names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names =
        alternatives.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Some(dns.collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn files(directory: &Path, stem: &str, names: &[&str]) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = directory.join(format!("{stem}.pem"));
        let key = directory.join(format!("{stem}.key"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        CertificateFiles { certificate, key }
    }

    #[test]
    fn a_certificate_is_found_by_the_names_it_holds() {
        install_default_crypto_provider();
        let directory = tempfile::tempdir().unwrap();
        let first = files(directory.path(), "first", &["a.example", "*.b.example"]);
        let second = files(directory.path(), "second", &["c.b.example"]);
        let certificates = Certificates::read(&[first, second]).unwrap();
        let is_default =
            |name| certificates.find(name).map(|found| Arc::ptr_eq(found, &certificates.default));
        assert_eq!(is_default("A.example"), Some(true));
        assert_eq!(is_default("x.b.example"), Some(true));
        assert_eq!(is_default("c.b.example"), Some(false));
        assert_eq!(is_default("x.y.b.example"), None);
        assert_eq!(is_default("b.example"), None);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        install_default_crypto_provider();
        let directory = tempfile::tempdir().unwrap();
        let first = files(directory.path(), "first", &["a.example"]);
        let second = files(directory.path(), "second", &["a.example"]);
        let mixed = CertificateFiles { certificate: first.certificate, key: second.key };
        assert!(matches!(Certificates::read(&[mixed]), Err(TlsProblem::Key { .. })));
    }
}
