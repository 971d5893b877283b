//! Draws random numbers while it is configured, so no image may be made of it: a
//! seed baked into one would repeat. The grant shows the number as `drawn`.

use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, SettingsError, crypto, export,
};
use schemars::JsonSchema;
use serde::Deserialize;
use wasip2::random::insecure::get_insecure_random_u64;
use wasip2::random::insecure_seed::insecure_seed;
use wasip2::random::random::get_random_u64;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Whether to ask the host for them, which it refuses.
    #[serde(default)]
    from_host: bool,
    /// Which interface of WASI gives them.
    #[serde(default)]
    interface: Interface,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Interface {
    #[default]
    Random,
    Insecure,
    InsecureSeed,
}

impl Interface {
    fn draw(&self) -> i64 {
        match self {
            Self::Random => get_random_u64().cast_signed(),
            Self::Insecure => get_insecure_random_u64().cast_signed(),
            Self::InsecureSeed => insecure_seed().0.cast_signed(),
        }
    }
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
        Ok(Self { drawn: settings.interface.draw() })
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
