//! What every exchange of the process shares.

use std::sync::Arc;

use portcullis_state::CredentialStore;

use crate::current::Current;
use crate::held_bytes::HeldBytes;
use crate::reload::Reloads;
use crate::telemetry::Telemetry;

/// What every exchange of the process shares.
pub(crate) struct Shared {
    /// The configuration that new exchanges begin with.
    pub(crate) current: Current,
    /// The bytes of bodies now held.
    pub(crate) held_bytes: HeldBytes,
    /// The operator's store of credentials, where there is a place for one.
    pub(crate) credentials: Option<Arc<CredentialStore>>,
    /// What became of the last attempts to replace the configuration.
    pub(crate) reloads: Reloads,
    /// What is counted and logged.
    pub(crate) telemetry: Arc<Telemetry>,
}
