//! Why a token does not hold, as codes for the operator.

use portcullis_plugin_sdk::secrets::SecretError;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// Why a token does not hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Refusal {
            /// Each of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable code for logs and metrics.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

refusals! {
    /// Several tokens in one place, or none that can be read.
    AmbiguousToken = "ambiguous-token",
    /// Longer than `max_bytes`, or a header longer than 4 KiB.
    TokenTooLong = "token-too-long",
    /// Not three parts of base64url (RFC 7515, section 7.1).
    MalformedToken = "malformed-token",
    /// Five parts: encrypted (RFC 7516).
    EncryptedToken = "encrypted-token",
    /// No JSON object, a repeated member, or one nested or grown beyond reason.
    MalformedJson = "malformed-json",
    /// A registered member of the wrong type.
    MalformedHeader = "malformed-header",
    /// `crit`, `b64`, `zip` or a nested token: nothing of them is understood here.
    UnsupportedHeader = "unsupported-header",
    /// The token brings a key of its own (`jwk`, `jku`, `x5u`, `x5c`).
    EmbeddedKey = "embedded-key",
    /// `typ` says that it is a token of another kind.
    WrongType = "wrong-type",
    /// `alg` is `none`, in whatever case.
    Unsigned = "unsigned",
    /// `alg` is no algorithm known here.
    UnknownAlgorithm = "unknown-algorithm",
    /// `alg` is not among the issuer's `algorithms`.
    AlgorithmNotAllowed = "algorithm-not-allowed",
    /// A registered claim of the wrong type or out of range.
    MalformedClaim = "malformed-claim",
    /// A claim of `required` is absent.
    MissingClaim = "missing-claim",
    /// `iss` is none of the issuers, or absent.
    UnknownIssuer = "unknown-issuer",
    /// `aud`, or `client_id` in its absence, is none of `audience`.
    WrongAudience = "wrong-audience",
    /// Now is not before `exp`.
    Expired = "expired",
    /// Now is before `nbf`.
    NotYetValid = "not-yet-valid",
    /// Now is before `iat`.
    IssuedInFuture = "issued-in-future",
    /// Issued longer ago than `max_age`.
    TooOld = "too-old",
    /// A claim is not what `claims` wants.
    ClaimMismatch = "claim-mismatch",
    /// `cnf` binds to something that is not understood here.
    UnknownBinding = "unknown-binding",
    /// Tokens must be bound to a certificate, and this one is not.
    NotBound = "not-bound",
    /// Bound to a certificate, and the client showed none.
    NoCertificate = "no-certificate",
    /// Bound to another certificate than the client showed.
    WrongCertificate = "wrong-certificate",
    /// The claim of `principal` is absent or no text.
    NoPrincipal = "no-principal",
    /// The issuer has no such key.
    UnknownKey = "unknown-key",
    /// The key is of another kind than `alg` wants.
    WrongKeyType = "wrong-key-type",
    /// The signature is not of this text by this key.
    BadSignature = "bad-signature",
    /// The server that was asked says that the token does not hold.
    Inactive = "inactive",
    /// The plugin was not given what its plan asked for.
    NotGranted = "not-granted",
    /// The issuer's keys could not be had: 503.
    Unavailable = "unavailable",
    /// The server that knows the token could not be asked, or gave no answer: 503.
    Unanswered = "introspection-unavailable",
}

impl From<SecretError> for Refusal {
    fn from(_: SecretError) -> Self {
        Self::NotGranted
    }
}
