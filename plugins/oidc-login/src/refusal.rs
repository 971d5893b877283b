//! Why a request does not pass: a code for the operator, a sentence for the client.

use portcullis_plugin_sdk::secrets::SecretError;
use portcullis_plugin_sdk::{Denial, Header, log};

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $status:ident, $text:literal;)+) => {
        /// Why a request does not pass.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Refusal {
            $($(#[doc = $doc])+ $variant,)+
            /// The ID token does not hold, for this reason.
            IdToken(tokens::Refusal),
        }

        impl Refusal {
            /// Each of them but those of ID tokens.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable code for logs and metrics.
            pub(crate) fn code(self) -> String {
                match self {
                    $(Self::$variant => $code.to_owned(),)+
                    Self::IdToken(tokens::Refusal::Unavailable) => "keys-unavailable".to_owned(),
                    Self::IdToken(refusal) => format!("id-token-{}", refusal.code()),
                }
            }

            fn status(self) -> Status {
                match self {
                    $(Self::$variant => Status::$status,)+
                    Self::IdToken(tokens::Refusal::Unavailable) => Status::Unavailable,
                    Self::IdToken(tokens::Refusal::ClaimMismatch) => Status::Forbidden,
                    Self::IdToken(_) => Status::Unauthenticated,
                }
            }

            fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::IdToken(tokens::Refusal::ClaimMismatch) => {
                        "this account may not come in here"
                    }
                    Self::IdToken(_) => "the provider's word about who you are does not hold",
                }
            }
        }
    };
}

/// What the client receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// 401.
    Unauthenticated,
    /// 403.
    Forbidden,
    /// 503.
    Unavailable,
}

refusals! {
    /// No session, and no navigation that could be sent to the provider.
    LoginRequired = "login-required", Unauthenticated, "log in first, in a browser";
    /// The session's cookies were not sealed here, or were changed, or some are missing.
    BadSession = "bad-session", Unauthenticated, "the session cannot be read: log in again";
    /// The session has lasted or rested too long.
    SessionExpired = "session-expired", Unauthenticated, "the session has ended: log in again";
    /// The provider gives nothing for the session's refresh token any more.
    RefreshRefused = "refresh-refused", Unauthenticated, "the session has ended: log in again";
    /// What the provider says of the caller does not fit in cookies.
    SessionTooLarge = "session-too-large", Unauthenticated,
        "the provider says more about you than a session can hold";
    /// Plain HTTP, from somewhere else than this machine.
    InsecureOrigin = "insecure-origin", Unauthenticated, "log in over HTTPS";
    /// A callback without its parameters, or with one twice.
    CallbackMalformed = "callback-malformed", Unauthenticated,
        "this is no answer of the provider";
    /// A callback whose `state` belongs to no login that this browser began.
    UnknownLogin = "unknown-login", Unauthenticated,
        "this login was not begun in this browser, or has ended: go to the page you wanted";
    /// The login took longer than ten minutes.
    LoginExpired = "login-expired", Unauthenticated,
        "the login took too long: go to the page you wanted";
    /// The callback is another issuer's (RFC 9207), or should say whose and does not.
    WrongIssuer = "wrong-issuer", Unauthenticated, "this is no answer of the provider";
    /// The provider refused the login.
    LoginRefused = "login-refused", Unauthenticated, "the provider refused the login";
    /// The provider takes the code no more, or never gave it.
    CodeRefused = "code-refused", Unauthenticated, "the provider did not confirm the login";
    /// The ID token was made for another login.
    WrongNonce = "id-token-wrong-nonce", Unauthenticated,
        "the provider's word about who you are does not hold";
    /// The ID token was made for another client.
    WrongParty = "id-token-wrong-party", Unauthenticated,
        "the provider's word about who you are does not hold";
    /// The ID token was made beside another access token.
    WrongAccessToken = "id-token-wrong-access-token", Unauthenticated,
        "the provider's word about who you are does not hold";
    /// After a refresh, the ID token is somebody else's.
    WrongSubject = "id-token-wrong-subject", Unauthenticated,
        "the provider's word about who you are does not hold";
    /// A logout that another site may have asked for.
    CrossSiteLogout = "cross-site-logout", Forbidden, "log out from within the site";
    /// A secret that the settings name may not be used, or not be seen.
    NotGranted = "not-granted", Unavailable, "";
    /// The provider does not take this client's word.
    ClientRefused = "client-refused", Unavailable, "";
    /// There is no discovery document of the provider.
    DiscoveryUnavailable = "discovery-unavailable", Unavailable, "";
    /// The discovery document does not say what it must.
    DiscoveryMalformed = "discovery-malformed", Unavailable, "";
    /// The token endpoint is at an origin that may not be called.
    TokenEndpointNotGranted = "token-endpoint-not-granted", Unavailable, "";
    /// The token endpoint did not answer in time, or with an error of its own.
    TokenEndpointUnavailable = "token-endpoint-unavailable", Unavailable, "";
    /// The token endpoint's answer is too long, or not what it must be.
    TokenEndpointMalformed = "token-endpoint-malformed", Unavailable, "";
}

impl Refusal {
    /// Whether a new login would help.
    pub(crate) fn ends_by_login(self) -> bool {
        matches!(
            self,
            Self::LoginRequired | Self::BadSession | Self::SessionExpired | Self::RefreshRefused
        )
    }

    /// Refuses the request, with these headers.
    pub(crate) fn with_headers(self, headers: Vec<Header>) -> Denial {
        let code = self.code();
        let denial = match self.status() {
            Status::Unauthenticated => Denial::unauthenticated(code).with_public_text(self.text()),
            Status::Forbidden => Denial::forbidden(code).with_public_text(self.text()),
            Status::Unavailable => Denial::unavailable(code),
        };
        headers
            .into_iter()
            .fold(denial, |denial, header| denial.with_header(&header.name, header.value))
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        refusal.with_headers(Vec::new())
    }
}

impl From<tokens::Refusal> for Refusal {
    fn from(refusal: tokens::Refusal) -> Self {
        Self::IdToken(refusal)
    }
}

impl From<SecretError> for Refusal {
    fn from(error: SecretError) -> Self {
        log::warn(format!("a secret of the settings cannot be used: {error}"));
        Self::NotGranted
    }
}
