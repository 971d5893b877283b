//! What becomes of a request whose token does not hold, or that has none: a code for the
//! operator, and next to nothing for the client.

use portcullis_plugin_sdk::{Denial, SettingsError};
use tokens::Refusal;

/// Bytes of a realm.
const REALM_BYTES: usize = 128;

/// How clients are told to bring a token (RFC 6750, section 3). The scheme is `Bearer`
/// wherever the token stands, as that section demands.
#[derive(Debug)]
pub(crate) struct Challenge {
    /// What the challenge says to every client: the scheme, and the realm if it has one.
    plain: String,
}

impl Challenge {
    /// Checks the setting `realm`.
    pub(crate) fn new(realm: Option<&str>) -> Result<Self, SettingsError> {
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        match realm {
            None => Ok(Self { plain: "Bearer".to_owned() }),
            Some(realm) if (1..=REALM_BYTES).contains(&realm.len()) && realm.bytes().all(plain) => {
                Ok(Self { plain: format!(r#"Bearer realm="{realm}""#) })
            }
            Some(_) => Err(SettingsError::at(
                "/realm",
                "write up to 128 characters of ASCII, none of them `\"` or `\\`",
            )),
        }
    }

    /// What a client without a token is told.
    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }

    /// Refuses a request because of its token.
    pub(crate) fn denial(&self, refusal: Refusal) -> Denial {
        match refusal {
            // A 401 would make clients throw good tokens away.
            Refusal::Unavailable | Refusal::Unanswered => Denial::unavailable(refusal.code()),
            _ => Denial::unauthenticated(refusal.code())
                .with_header("www-authenticate", self.with(error(refusal))),
        }
    }

    fn with(&self, error: &str) -> String {
        // The scheme's first parameter follows a space, every other one a comma.
        let joint = if self.plain.contains(' ') { ", " } else { " " };
        format!("{}{joint}{error}", self.plain)
    }
}

/// What the client may know: that its token is bad, or that it is no token at all.
/// Which check failed is not said, since none of the token's words may be trusted
/// before its signature.
fn error(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::AmbiguousToken => {
            r#"error="invalid_request", error_description="there is more than one token""#
        }
        Refusal::TokenTooLong | Refusal::MalformedToken | Refusal::EncryptedToken => {
            r#"error="invalid_token", error_description="the token is malformed""#
        }
        _ => r#"error="invalid_token""#,
    }
}
