//! Ids and secrets, drawn from the system's randomness.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::error::StateError;

/// The alphabet of ids: 32 characters, so that five bits choose one without a bias.
const LOWER: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// The same for access keys, whose ids clients expect in upper case.
const UPPER: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A secret that was just made: shown once by whoever asked for it, redacted in
/// `Debug`, zeroed when dropped.
pub struct Generated(Zeroizing<String>);

impl Generated {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generated(…)")
    }
}

/// Unpredictable bytes.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, StateError> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new().fill(bytes.as_mut()).map_err(|_| StateError::Randomness)?;
    Ok(bytes)
}

/// The id of an API key: 12 characters.
pub(crate) fn api_key_id() -> Result<String, StateError> {
    Ok(text(random::<12>()?.as_ref(), LOWER))
}

/// The id of an access key: 20 characters, as AWS's are.
pub(crate) fn access_key_id() -> Result<String, StateError> {
    Ok(format!("PCAK{}", text(random::<16>()?.as_ref(), UPPER)))
}

/// An API key: `pk_` and 256 bits.
pub(crate) fn api_key() -> Result<Generated, StateError> {
    let bytes = random::<32>()?;
    Ok(Generated::new(format!("pk_{}", URL_SAFE_NO_PAD.encode(bytes.as_ref()))))
}

/// The secret of an access key: 240 bits in 40 characters, as AWS's are.
pub(crate) fn access_key_secret() -> Result<Generated, StateError> {
    Ok(Generated::new(STANDARD.encode(random::<30>()?.as_ref())))
}

/// A session token: 384 bits.
pub(crate) fn session_token() -> Result<Generated, StateError> {
    Ok(Generated::new(STANDARD.encode(random::<48>()?.as_ref())))
}

fn text(bytes: &[u8], alphabet: &[u8; 32]) -> String {
    let letter = |byte: &u8| alphabet.get(usize::from(byte & 31)).copied().map(char::from);
    bytes.iter().filter_map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_secrets_have_the_lengths_clients_expect() {
        assert_eq!(api_key_id().unwrap().len(), 12);
        assert_eq!(api_key().unwrap().expose().len(), 46);
        let id = access_key_id().unwrap();
        assert!(id.len() == 20 && id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
        assert_eq!(access_key_secret().unwrap().expose().len(), 40);
        assert_ne!(api_key().unwrap().expose(), api_key().unwrap().expose());
    }

    #[test]
    fn a_secret_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", Generated::new("hidden".into())), "Generated(…)");
    }
}
