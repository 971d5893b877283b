//! TLS towards clients.

use std::path::PathBuf;

/// The TLS of a listener. Certificates are PEM files, read again on reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// One certificate for each set of names; the first also serves clients that
    /// name no host. Chosen by SNI from the names the certificate holds.
    pub certificates: Vec<CertificateFiles>,
    /// Certificates that client certificates must chain to; `None` asks for none.
    pub client_ca: Option<PathBuf>,
    /// Lists of client certificates that are taken back.
    pub client_crl: Option<PathBuf>,
    /// Whether a client must show one, where there is a `client_ca`.
    pub client_certificate: ClientCertificate,
    /// Whether TLS 1.2 is refused.
    pub minimum: TlsVersion,
    /// Whether HTTP/2 is offered by ALPN.
    pub http2: bool,
}

/// Whether a client must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It must.
    Require,
    /// It may; one that it shows must hold.
    Request,
}

/// A certificate chain and its private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}
