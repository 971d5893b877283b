//! An issuer: what its tokens must be, and how its signatures are verified.

use portcullis_plugin_sdk::keys::{self, KeyError, Signed};
use portcullis_plugin_sdk::{KeySource, Plan, SettingsError, secrets};
use serde_json::Value;

use crate::algorithm::{Algorithm, Kind};
use crate::json::Object;
use crate::refusal::Refusal;
use crate::rules::{Policy, Rules};
use crate::settings::{IssuerSettings, Scalar, Texts, Wanted};
use crate::token::{Header, Token, is_type};

/// Members of a JSON Web Key that are private (RFC 7518, section 6).
const PRIVATE: [&str; 3] = ["d", "k", "p"];

/// An issuer whose tokens are accepted.
#[derive(Debug)]
pub struct Issuer {
    /// What `iss` says.
    pub name: String,
    rules: Rules,
    trust: Trust,
    algorithms: Vec<Algorithm>,
    types: Option<Vec<String>>,
}

/// What its signatures are verified with.
#[derive(Debug)]
enum Trust {
    /// Public keys, which the host finds there.
    Keys(KeySource),
    /// The granted secret of this name.
    Secret(String),
}

impl Issuer {
    /// Checks an issuer's settings, whose table the pointer names.
    ///
    /// # Errors
    ///
    /// Where they contradict one another; with the member at fault.
    pub fn new(
        settings: IssuerSettings,
        required: &[String],
        pointer: &str,
    ) -> Result<Self, SettingsError> {
        let refused = |member: &str, message: &str| {
            Err(SettingsError::at(format!("{pointer}/{member}"), message))
        };
        let trust = match (settings.jwks_url, settings.keys, settings.secret) {
            (None, None, None) if is_discoverable(&settings.issuer) => {
                Trust::Keys(KeySource::Discovery)
            }
            (None, None, None) => {
                return refused(
                    "issuer",
                    "the keys of an issuer that is no plain URL cannot be discovered; say where they are by `jwks_url`, `keys` or `secret`",
                );
            }
            (Some(url), None, None) => Trust::Keys(KeySource::KeySet(url)),
            (None, Some(set), None) if is_private(set.get("keys")) => {
                return refused("keys", "this set has private keys; only public ones belong here");
            }
            (None, Some(set), None) => {
                Trust::Keys(KeySource::Inline(Value::Object(set).to_string()))
            }
            (None, None, Some(name)) => Trust::Secret(name),
            _ => {
                return refused(
                    "issuer",
                    "of `jwks_url`, `keys` and `secret` only one may be given",
                );
            }
        };
        let is_shared = matches!(trust, Trust::Secret(_));
        let algorithms = settings.algorithms.unwrap_or_else(|| match is_shared {
            true => vec![Algorithm::Hs256],
            false => Algorithm::BY_KEYS.to_vec(),
        });
        let fits = |algorithm: &Algorithm| matches!(algorithm.kind(), Kind::Secret(_)) == is_shared;
        if algorithms.is_empty() || !algorithms.iter().all(fits) {
            return refused(
                "algorithms",
                match is_shared {
                    true => "with a `secret`, only HS256, HS384 and HS512 can be verified",
                    false => {
                        "with public keys, only RS, PS and ES with 256, 384, 512 and EdDSA can be verified"
                    }
                },
            );
        }
        let mut claims = settings.claims.unwrap_or_default();
        if let Some(token_use) = settings.token_use {
            let wanted = Wanted::One(Scalar::Text(token_use.name().to_owned()));
            claims.insert("token_use".to_owned(), wanted);
        }
        let rules = Rules::new(settings.audience, Some(claims), required.to_vec(), pointer)?;
        let types = settings.typ.map(Texts::into_vec);
        Ok(Self { name: settings.issuer, rules, trust, algorithms, types })
    }

    /// What the host must hold ready.
    pub fn asks(&self, plan: Plan) -> Plan {
        match &self.trust {
            Trust::Keys(source) => plan.asks_issuer_at(&self.name, source.clone()),
            Trust::Secret(name) => plan.asks_key(name, self.least_secret()),
        }
    }

    /// Bytes that a secret has at the least: as many as the longest of its hashes
    /// (RFC 7518, section 3.2).
    fn least_secret(&self) -> u32 {
        let lengths = self.algorithms.iter().map(|algorithm| algorithm.hash_bytes());
        lengths.max().unwrap_or_default()
    }

    /// Admits a token that names this issuer, at a time in milliseconds since 1970; gives
    /// when it stops to hold.
    ///
    /// # Errors
    ///
    /// Where it does not hold, or that cannot be told.
    pub fn admit(
        &self,
        token: &Token<'_>,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Option<u64>, Refusal> {
        self.check(&token.header)?;
        let expires_at = self.rules.judge(token.claims(), policy, now_ms)?;
        self.verify(token)?;
        Ok(expires_at)
    }

    /// Whether claims are still what the settings want, whatever the time.
    ///
    /// # Errors
    ///
    /// Where one is not.
    pub fn check_claims(&self, claims: &Object<'_>) -> Result<(), Refusal> {
        self.rules.check_claims(claims)
    }

    /// Refuses headers that this issuer's tokens do not have.
    fn check(&self, header: &Header<'_>) -> Result<(), Refusal> {
        if !self.algorithms.contains(&header.algorithm) {
            return Err(Refusal::AlgorithmNotAllowed);
        }
        let fits = match (&self.types, header.kind()) {
            (None, None) => true,
            (None, Some(kind)) => is_type(kind, "jwt") || is_type(kind, "at+jwt"),
            (Some(_), None) => false,
            (Some(types), Some(kind)) => types.iter().any(|wanted| is_type(kind, wanted)),
        };
        if fits { Ok(()) } else { Err(Refusal::WrongType) }
    }

    /// Verifies a token's signature.
    fn verify(&self, token: &Token<'_>) -> Result<(), Refusal> {
        let (header, parts) = (&token.header, token.parts);
        if !header.algorithm.fits(parts.signature.len()) {
            return Err(Refusal::BadSignature);
        }
        let holds = match (&self.trust, header.algorithm.kind()) {
            (Trust::Keys(_), Kind::PublicKey(algorithm)) => {
                let signed = Signed {
                    key_id: header.key_id(),
                    algorithm,
                    message: parts.signed,
                    signature: &parts.signature,
                };
                keys::verify(&self.name, signed).map_err(refusal)?
            }
            (Trust::Secret(name), Kind::Secret(hash)) => {
                secrets::as_key(name, "")?.verify(hash, parts.signed, &parts.signature)
            }
            // The settings let no such pair through.
            _ => return Err(Refusal::AlgorithmNotAllowed),
        };
        if holds { Ok(()) } else { Err(Refusal::BadSignature) }
    }
}

fn refusal(error: KeyError) -> Refusal {
    match error {
        KeyError::NotGranted => Refusal::NotGranted,
        KeyError::UnknownKey => Refusal::UnknownKey,
        KeyError::WrongKeyType => Refusal::WrongKeyType,
        KeyError::Unavailable => Refusal::Unavailable,
    }
}

/// Whether a discovery document can stand below this name (OpenID Connect Discovery 1.0,
/// section 4).
fn is_discoverable(issuer: &str) -> bool {
    let rest = issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@', ' '])
    })
}

fn is_private(keys: Option<&Value>) -> bool {
    let keys = keys.and_then(Value::as_array);
    keys.into_iter().flatten().any(|key| PRIVATE.iter().any(|member| key.get(member).is_some()))
}
