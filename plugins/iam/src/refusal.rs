//! Why a signed request is refused, in words for the log and in Amazon's for the client.

use portcullis_plugin_sdk::Denial;

use crate::settings::RefuseWith;
use crate::time::Timestamp;

/// Why a signed request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "Authorization is not of the form 'AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…', in a header or in the query."
    )]
    MalformedClaim,
    #[error("Only one way to sign may be used: the Authorization header or the query.")]
    SeveralClaims,
    #[error("AWS4-ECDSA-P256-SHA256 is not supported; sign with AWS4-HMAC-SHA256.")]
    Sigv4a,
    #[error("Unsupported AWS 'algorithm'; sign with AWS4-HMAC-SHA256.")]
    UnknownAlgorithm,
    #[error("Credential must have the form 'KEY/DATE/REGION/SERVICE/aws4_request'.")]
    MalformedScope,
    #[error("Credential should be scoped to a valid region.")]
    WrongRegion,
    #[error("Credential should be scoped to correct service.")]
    WrongService,
    #[error("Date in Credential scope does not match the date of the request.")]
    WrongScopeDate,
    #[error("Authorization requires the existence of either a 'X-Amz-Date' or a 'Date'.")]
    MissingDate,
    #[error("Date must be in ISO-8601 'basic format', as 20260102T030405Z.")]
    MalformedDate,
    #[error("X-Amz-Expires must be between 1 and 604800 seconds.")]
    WrongExpires,
    #[error(
        "Signature expired: {signed} is now earlier than {earliest} ({now} - {skew_seconds} sec.)"
    )]
    Expired { signed: Timestamp, earliest: Timestamp, now: Timestamp, skew_seconds: u64 },
    #[error("Signature expired: the presigned URL held until {until}.")]
    PresignedExpired { until: Timestamp },
    #[error(
        "Signature not yet current: {signed} is still later than {latest} ({now} + {skew_seconds} sec.)"
    )]
    NotYetCurrent { signed: Timestamp, latest: Timestamp, now: Timestamp, skew_seconds: u64 },
    #[error("'Host' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,
    #[error("'{0}' must be a 'SignedHeader' in the AWS Authorization.")]
    HeaderNotSigned(String),
    #[error("A 'SignedHeader' is not in the request.")]
    SignedHeaderMissing,
    #[error("Chunked payload signatures (STREAMING-…) are not supported; sign the whole payload.")]
    StreamingPayload,
    #[error("UNSIGNED-PAYLOAD is not accepted; sign the payload.")]
    UnsignedPayload,
    #[error("The provided 'x-amz-content-sha256' does not match what was computed.")]
    WrongPayload,
    #[error("The request is too large to check its signature.")]
    TooLarge,
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    #[error("The security token included in the request is expired.")]
    ExpiredKey,
    #[error("The security token included in the request is invalid.")]
    MissingToken,
    #[error("The security token included in the request is invalid.")]
    UnexpectedToken,
    #[error("The security token included in the request is invalid.")]
    WrongToken,
    #[error("The request signature we calculated does not match the signature you provided.")]
    WrongSignature,
    #[error("The service cannot check signatures now.")]
    Undecided,
}

impl Refusal {
    /// What the host is told.
    pub(crate) fn denial(&self, refuse_with: RefuseWith) -> Denial {
        if *self == Self::Undecided {
            return Denial::unavailable(self.code());
        }
        let denial = match refuse_with {
            RefuseWith::Unauthorized => Denial::unauthenticated(self.code()),
            RefuseWith::Forbidden => Denial::forbidden(self.code()),
        };
        denial.with_public_text(self.to_string()).with_header("x-amzn-errortype", self.kind())
    }

    /// The code for logs.
    fn code(&self) -> &'static str {
        match self {
            Self::MalformedClaim => "malformed-signature",
            Self::SeveralClaims => "several-signatures",
            Self::Sigv4a => "sigv4a-unsupported",
            Self::UnknownAlgorithm => "unknown-algorithm",
            Self::MalformedScope => "malformed-scope",
            Self::WrongRegion => "wrong-region",
            Self::WrongService => "wrong-service",
            Self::WrongScopeDate => "wrong-scope-date",
            Self::MissingDate => "missing-date",
            Self::MalformedDate => "malformed-date",
            Self::WrongExpires => "wrong-expires",
            Self::Expired { .. } => "signature-expired",
            Self::PresignedExpired { .. } => "presigned-expired",
            Self::NotYetCurrent { .. } => "signature-not-yet-current",
            Self::HostNotSigned => "host-not-signed",
            Self::HeaderNotSigned(_) => "header-not-signed",
            Self::SignedHeaderMissing => "signed-header-missing",
            Self::StreamingPayload => "streaming-payload",
            Self::UnsignedPayload => "unsigned-payload",
            Self::WrongPayload => "wrong-payload",
            Self::TooLarge => "too-large",
            Self::UnknownKey => "unknown-access-key",
            Self::ExpiredKey => "expired-access-key",
            Self::MissingToken => "missing-session-token",
            Self::UnexpectedToken => "unexpected-session-token",
            Self::WrongToken => "wrong-session-token",
            Self::WrongSignature => "wrong-signature",
            Self::Undecided => "store-unavailable",
        }
    }

    /// The name Amazon's clients know the refusal by.
    fn kind(&self) -> &'static str {
        match self {
            Self::MalformedClaim
            | Self::SeveralClaims
            | Self::Sigv4a
            | Self::UnknownAlgorithm
            | Self::MalformedScope
            | Self::MissingDate
            | Self::MalformedDate
            | Self::WrongExpires
            | Self::SignedHeaderMissing
            | Self::TooLarge => "IncompleteSignatureException",
            Self::UnknownKey | Self::MissingToken | Self::UnexpectedToken | Self::WrongToken => {
                "UnrecognizedClientException"
            }
            Self::ExpiredKey => "ExpiredTokenException",
            Self::WrongRegion
            | Self::WrongService
            | Self::WrongScopeDate
            | Self::Expired { .. }
            | Self::PresignedExpired { .. }
            | Self::NotYetCurrent { .. }
            | Self::HostNotSigned
            | Self::HeaderNotSigned(_)
            | Self::StreamingPayload
            | Self::UnsignedPayload
            | Self::WrongPayload
            | Self::WrongSignature => "InvalidSignatureException",
            Self::Undecided => "ServiceUnavailableException",
        }
    }
}
