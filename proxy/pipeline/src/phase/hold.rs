//! Holds as much of a body as a plugin reads, before the plugin is asked.

use crate::incoming::Incoming;
use crate::plugins::{BodyMode, Reads};
use crate::rejection::Rejection;

/// The largest body held only for its digest.
const DIGEST_LIMIT: u64 = 16 * 1024 * 1024;

/// Holds what `reads` wants of the request's body; `limit` is the route's.
pub(crate) async fn hold<I: Incoming>(
    reads: &Reads,
    limit: u64,
    incoming: &mut I,
) -> Result<(), Rejection> {
    match mode(reads) {
        BodyMode::None => Ok(()),
        BodyMode::Peek(bytes) => {
            incoming.fill(bytes).await?;
            let held = incoming.held();
            if held_length(held.bytes.len()) > limit {
                Err(Rejection::BodyTooLarge { limit })
            } else {
                Ok(())
            }
        }
        BodyMode::Buffer(most) => hold_whole(most.min(limit), incoming).await,
    }
}

/// Refuses a body put in the place of the client's that is more than `reads` takes.
pub(crate) fn check_replaced(reads: &Reads, bytes: usize) -> Result<(), Rejection> {
    match mode(reads) {
        BodyMode::Buffer(limit) if held_length(bytes) > limit => {
            Err(Rejection::BodyTooLarge { limit })
        }
        BodyMode::Buffer(_) | BodyMode::Peek(_) | BodyMode::None => Ok(()),
    }
}

/// Holds the whole body, which must have no more bytes than this.
pub(crate) async fn hold_whole<I: Incoming>(limit: u64, incoming: &mut I) -> Result<(), Rejection> {
    if incoming.declared_length().is_some_and(|length| length > limit) {
        return Err(Rejection::BodyTooLarge { limit });
    }
    incoming.fill(limit.saturating_add(1)).await?;
    let held = incoming.held();
    if !held.complete || held_length(held.bytes.len()) > limit {
        return Err(Rejection::BodyTooLarge { limit });
    }
    Ok(())
}

/// A digest is of the whole body, whatever else is read of it.
fn mode(reads: &Reads) -> BodyMode {
    let digest =
        reads.attributes.iter().any(|name| matches!(name.as_str(), "body:sha256" | "body:*"));
    match reads.body {
        BodyMode::None | BodyMode::Peek(_) if digest => BodyMode::Buffer(DIGEST_LIMIT),
        mode => mode,
    }
}

fn held_length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
