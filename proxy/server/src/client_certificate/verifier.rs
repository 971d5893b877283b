//! What a handshake asks of a client's certificate beside a chain that holds.

use std::sync::Arc;

use pingora::tls::{
    CertificateDer, CertificateError, ClientCertVerified, ClientCertVerifier,
    DigitallySignedStruct, HandshakeSignatureValid, RusTlsError, SignatureScheme, UnixTime,
};
use rustls::DistinguishedName;

/// A verifier that also refuses certificates which cannot be read: their facts would be
/// unknown, and Pingora, which reads them again, panics at some of them.
#[derive(Debug)]
pub(crate) struct ReadableCertificates(pub(crate) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for ReadableCertificates {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, RusTlsError> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        match super::read(end_entity) {
            Ok(_) => Ok(verified),
            Err(problem) => {
                tracing::debug!("a client's certificate is refused: {problem}");
                Err(CertificateError::BadEncoding.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RusTlsError> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RusTlsError> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0.requires_raw_public_keys()
    }
}
