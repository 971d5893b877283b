//! Tokens that are bound to the certificate of a client (RFC 8705).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_plugin_sdk::{Plan, Request, Value};
use tokens::{Json, Object, Refusal};

/// The digest of the certificate that the client showed.
const CERTIFICATE: &str = "tls:client-certificate.sha256";
/// The member of `cnf` that binds to a certificate.
const THUMBPRINT: &str = "x5t#S256";

/// When a token must be bound to the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Always.
    Required,
    /// Where it says so itself.
    AsSaid,
    /// Never: another party checks that.
    Ignored,
}

impl Binding {
    /// As the settings write it.
    pub(crate) fn written(certificate_bound: Option<bool>) -> Self {
        match certificate_bound {
            Some(true) => Self::Required,
            None => Self::AsSaid,
            Some(false) => Self::Ignored,
        }
    }

    /// What must be read of requests.
    pub(crate) fn reads(self, plan: Plan) -> Plan {
        match self {
            Self::Required | Self::AsSaid => plan.reads_attribute(CERTIFICATE),
            Self::Ignored => plan,
        }
    }

    /// Checks that the bearer of these claims is the client they are meant for.
    pub(crate) fn check(self, claims: &Object<'_>, request: &Request) -> Result<(), Refusal> {
        if self == Self::Ignored {
            return Ok(());
        }
        let bound = match claims.get("cnf") {
            Some(confirmation) => thumbprint(confirmation)?,
            None => None,
        };
        let Some(bound) = bound else {
            return match self {
                Self::Required => Err(Refusal::NotBound),
                Self::AsSaid | Self::Ignored => Ok(()),
            };
        };
        let Some(Value::Bytes(shown)) = request.attribute_value(CERTIFICATE) else {
            return Err(Refusal::NoCertificate);
        };
        match bound == *shown {
            true => Ok(()),
            false => Err(Refusal::WrongCertificate),
        }
    }
}

/// The digest that a `cnf` claim binds to; none where it binds to something else.
fn thumbprint(confirmation: &Json<'_>) -> Result<Option<Vec<u8>>, Refusal> {
    let members = match confirmation {
        Json::Texts(members) => members,
        // Another kind of key, or a mischief: what it binds to is not understood here.
        _ => return Err(Refusal::UnknownBinding),
    };
    let Some((_, text)) = members.iter().find(|(name, _)| name == THUMBPRINT) else {
        return Ok(None);
    };
    let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| Refusal::MalformedClaim)?;
    if bytes.len() == 32 { Ok(Some(bytes)) } else { Err(Refusal::MalformedClaim) }
}
