//! What becomes of a token that does not hold: a code for the operator, and next to
//! nothing for the client.

use portcullis_plugin_sdk::Denial;
use tokens::Refusal;

/// Refuses a request because of its token.
pub(crate) fn denial(refusal: Refusal) -> Denial {
    match refusal {
        // A 401 would make clients throw good tokens away.
        Refusal::Unavailable | Refusal::Unanswered => Denial::unavailable(refusal.code()),
        _ => Denial::unauthenticated(refusal.code())
            .with_header("www-authenticate", challenge(refusal)),
    }
}

/// What the client may know: that its token is bad, or that it is no token at all.
/// Which check failed is not said, since none of the token's words may be trusted
/// before its signature.
fn challenge(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::AmbiguousToken => {
            r#"Bearer error="invalid_request", error_description="there is more than one token""#
        }
        Refusal::TokenTooLong | Refusal::MalformedToken | Refusal::EncryptedToken => {
            r#"Bearer error="invalid_token", error_description="the token is malformed""#
        }
        _ => r#"Bearer error="invalid_token""#,
    }
}
