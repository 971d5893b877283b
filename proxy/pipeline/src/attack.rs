//! Looks for attacks in the values of a request.
//!
//! What looks like one is told by libinjection's fingerprints, in the port of it to Rust. That
//! port is young, so it is contained: how much it is given is bounded ([`Work`]), and where it
//! panics a value counts as one that cannot be judged ([`contain`]).

mod contain;
mod detect;
mod values;

use std::ops::ControlFlow;

use portcullis_config::{Attack, GuardPart};

pub use self::contain::is_contained;
pub use self::detect::Suspicion;
use self::detect::{Work, detect};
use self::values::each_value;
use crate::guard::{Found, GuardView};
use crate::phase::canonical::decode_bytes;

/// What looks like an attack in one of these parts; `body` are the bytes of a body that are
/// looked at.
pub(crate) fn find_attack(
    kinds: &[Attack],
    parts: &[GuardPart],
    body: Option<u64>,
    view: GuardView<'_>,
) -> Option<Found> {
    let mut work = Work::most(body);
    parts.iter().find_map(|part| {
        let mut look = |value: &[u8]| match look_at(value, kinds, &mut work) {
            Ok(()) => ControlFlow::Continue(()),
            Err(suspicion) => ControlFlow::Break(suspicion),
        };
        match each_value(part, view, &mut look) {
            ControlFlow::Continue(()) => None,
            ControlFlow::Break(suspicion) => Some(Found::Attack { suspicion, part: part.clone() }),
        }
    })
}

/// Looks at a value as it is, and decoded once more where it is still encoded.
fn look_at(value: &[u8], kinds: &[Attack], work: &mut Work) -> Result<(), Suspicion> {
    // One word is no attack, whatever it is, and most values are one.
    if value.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        return Ok(());
    }
    kinds.iter().try_for_each(|kind| detect(*kind, value, work))?;
    if !value.contains(&b'%') {
        return Ok(());
    }
    let decoded = decode_bytes(value);
    if decoded == value {
        return Ok(());
    }
    kinds.iter().try_for_each(|kind| detect(*kind, &decoded, work))
}

#[cfg(test)]
mod tests;
