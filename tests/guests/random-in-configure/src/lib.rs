//! Draws random numbers while it is configured, so no image may be made of it: a
//! seed baked into one would repeat. The grant shows the number as `drawn`.

use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, SettingsError, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {}

struct RandomInConfigure {
    drawn: i64,
}

impl TryFrom<Settings> for RandomInConfigure {
    type Error = SettingsError;

    fn try_from(Settings {}: Settings) -> Result<Self, SettingsError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|error| SettingsError::new(error.to_string()))?;
        Ok(Self { drawn: i64::from_le_bytes(bytes) })
    }
}

impl Plugin for RandomInConfigure {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for RandomInConfigure {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        Ok(Grant::to("gambler").with_attribute("drawn", self.drawn))
    }
}

export!(RandomInConfigure: authorizer);
