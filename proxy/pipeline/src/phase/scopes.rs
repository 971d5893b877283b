//! Compares the scopes a route needs with those its caller has.

use portcullis_config::Scopes;

use crate::plugins::{Identity, Value};
use crate::rejection::Rejection;

/// Refuses a caller without the scopes; asked for each request, after any cache.
pub(super) fn check(needed: Option<&Scopes>, identity: &Identity) -> Result<(), Rejection> {
    let Some(needed) = needed else { return Ok(()) };
    let is_enough = match needed {
        Scopes::Any(names) => names.iter().any(|name| has(identity, name)),
        Scopes::All(names) => names.iter().all(|name| has(identity, name)),
    };
    if is_enough { Ok(()) } else { Err(Rejection::InsufficientScope(needed.names().to_vec())) }
}

/// Whether the attribute `scopes`, a list or a text with spaces between, names a scope.
fn has(identity: &Identity, scope: &str) -> bool {
    match identity.attributes.iter().find(|(name, _)| name == "scopes") {
        Some((_, Value::Texts(scopes))) => scopes.iter().any(|held| held == scope),
        Some((_, Value::Text(scopes))) => scopes.split(' ').any(|held| held == scope),
        Some((_, Value::Integer(_) | Value::Boolean(_) | Value::Bytes(_))) | None => false,
    }
}
