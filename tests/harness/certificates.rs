//! Certificates for one test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig, version};

use crate::wire;

/// An authority that issues certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
    serial: SerialNumber,
}

/// Whom a certificate is issued to: `CN=client,O=Example` and what is written here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// A URI.
    pub uri: Option<&'a str>,
    /// An organizational unit, in the place of the organization.
    pub unit: Option<&'a str>,
    /// How many host names it has.
    pub hosts: usize,
    /// From when it holds; for a long time where absent.
    pub from: Option<SystemTime>,
    /// Until when it holds; for a long time where absent.
    pub until: Option<SystemTime>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new authority.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the test's authority");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { issuer }
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for a host name, for servers and clients alike.
    pub fn issue(&self, name: &str) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a host name");
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params)
    }

    /// Issues a certificate for a client.
    pub fn issue_to(&self, named: &Named<'_>) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        match named.unit {
            None => params.distinguished_name.push(DnType::OrganizationName, "Example"),
            Some(unit) => params.distinguished_name.push(DnType::OrganizationalUnitName, unit),
        }
        params.distinguished_name.push(DnType::CommonName, "client");
        let text = |text: &str| Ia5String::try_from(text).expect("ASCII");
        let hosts = (0..named.hosts).map(|number| SanType::DnsName(text(&format!("h{number}"))));
        params.subject_alt_names =
            named.uri.map(|uri| SanType::URI(text(uri))).into_iter().chain(hosts).collect();
        if let Some(from) = named.from {
            params.not_before = from.into();
        }
        if let Some(until) = named.until {
            params.not_after = until.into();
        }
        self.sign(params)
    }

    /// The list of the certificates it has taken back, as PEM.
    pub fn revoke(&self, taken: &[&Issued]) -> String {
        let now = SystemTime::now() - Duration::from_secs(60);
        let revoked = |issued: &&Issued| RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + Duration::from_secs(24 * 60 * 60)).into(),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: taken.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("a list").pem().expect("a list as PEM")
    }

    fn sign(&self, mut params: CertificateParams) -> Issued {
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key_raw());
        let serial = SerialNumber::from([&[1], &digest.as_ref()[..8]].concat());
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem(), serial }
    }

    /// A server that shows this certificate, and serves only clients that show one of
    /// this authority's.
    pub fn server(&self, own: &Issued) -> Arc<ServerConfig> {
        let roots = Arc::new(roots(&self.pem()));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_client_cert_verifier(verifier.build().expect("a verifier"));
        let (chain, key) = own.parsed();
        Arc::new(builder.with_single_cert(chain, key).expect("a certificate and its key"))
    }
}

impl Issued {
    /// The certificate, as DER.
    pub fn der(&self) -> Vec<u8> {
        self.parsed().0.first().expect("a certificate").to_vec()
    }

    fn parsed(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        (vec![certificate.expect("a certificate")], key.expect("a key"))
    }
}

/// A client that trusts this authority, offers these protocols, and shows a certificate
/// where it has one.
pub fn trusting(authority: &str, own: Option<&Issued>, alpn: &[&str]) -> Arc<ClientConfig> {
    trusting_by(&[&version::TLS12, &version::TLS13], (authority, own), alpn)
}

/// As [`trusting`], by one version of TLS.
pub fn trusting_only(
    only: Tls,
    authority: &str,
    own: Option<&Issued>,
    alpn: &[&str],
) -> Arc<ClientConfig> {
    let only = match only {
        Tls::V1_2 => &version::TLS12,
        Tls::V1_3 => &version::TLS13,
    };
    trusting_by(&[only], (authority, own), alpn)
}

/// Whether a request's connection resumes a session of an earlier one with the same
/// configuration.
pub fn resumes(address: SocketAddr, config: &Arc<ClientConfig>) -> bool {
    use std::io::{Read as _, Write as _};

    let mut stream = wire::client_tls(wire::connect(address), config, "localhost");
    let request = b"GET /none HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).expect("a request can be sent");
    // Tickets come with the first bytes of the response.
    let mut response = Vec::new();
    // How the server ends the connection is not asked here.
    let _ended = stream.read_to_end(&mut response);
    assert!(response.starts_with(b"HTTP/1.1"), "no response");
    stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
}

fn trusting_by(
    versions: &[&'static rustls::SupportedProtocolVersion],
    (authority, own): (&str, Option<&Issued>),
    alpn: &[&str],
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions of TLS")
        .with_root_certificates(roots(authority));
    let mut config = match own {
        Some(own) => {
            let (chain, key) = own.parsed();
            builder.with_client_auth_cert(chain, key).expect("a certificate and its key")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    roots.add(certificate).expect("an authority");
    roots
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
