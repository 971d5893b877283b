//! Where the configured plugin lives.

use std::sync::OnceLock;

use crate::bindings::lifecycle::Plan;
use crate::{Plugin, Role, SettingsError};

/// The one configured plugin of an instance.
///
/// Plain memory of the guest: when the host makes an image of a configured
/// instance, the plugin is in it, and later instances start with a full slot.
#[derive(Debug)]
pub struct Slot<P>(OnceLock<P>);

impl<P: Plugin> Slot<P> {
    /// A slot that awaits `configure`.
    #[expect(clippy::new_without_default, reason = "only ever a static")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Fills the slot.
    pub fn configure(&self, settings: &str, roles: &[Role]) -> Result<Plan, SettingsError> {
        let plugin = crate::plugin::configure::<P>(settings)?;
        let plan = plugin.plan().into_wire(roles);
        let filled = self.0.set(plugin);
        filled.map_err(|_| SettingsError::new("an instance is configured only once"))?;
        Ok(plan)
    }

    /// The plugin.
    #[expect(
        clippy::expect_used,
        reason = "no input leads here, only a host that breaks the contract"
    )]
    pub fn plugin(&self) -> &P {
        self.0.get().expect("the host calls `configure` before any role function")
    }
}
