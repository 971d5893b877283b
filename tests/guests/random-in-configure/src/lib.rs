//! Draws random numbers while it is configured, so no image may be made of it: a
//! seed baked into one would repeat. The grant shows the number as `drawn`.

use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, SettingsError, crypto, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Whether to ask the host for them, which it refuses.
    #[serde(default)]
    from_host: bool,
}

struct RandomInConfigure {
    drawn: i64,
}

impl TryFrom<Settings> for RandomInConfigure {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        if settings.from_host {
            let drawn = i64::from(crypto::random(1).first().copied().unwrap_or_default());
            return Ok(Self { drawn });
        }
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
