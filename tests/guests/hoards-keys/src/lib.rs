//! Takes keys of the host for bytes of its own and drops none: they are no part of its
//! memory. Then it grants.

use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, SettingsError, crypto::Key, export, secrets,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Bytes of each key.
    bytes: usize,
    /// How many.
    count: usize,
    /// Whether to take one while it is configured, which the host refuses.
    #[serde(default)]
    during_configure: bool,
    /// The secret that the bytes are a prefix of; without one they are keys by themselves.
    secret: Option<String>,
}

struct HoardsKeys(Settings);

impl TryFrom<Settings> for HoardsKeys {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        if settings.during_configure {
            std::mem::forget(Key::import([1]));
        }
        Ok(Self(settings))
    }
}

impl Plugin for HoardsKeys {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        self.0.secret.iter().fold(Plan::new(), |plan, name| plan.asks_secret(name))
    }
}

impl Authorizer for HoardsKeys {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        let bytes = vec![1; self.0.bytes];
        for _ in 0..self.0.count {
            let key = match &self.0.secret {
                Some(name) => secrets::as_key(name, &bytes)?,
                None => Key::import(&bytes),
            };
            std::mem::forget(key);
        }
        Ok(Grant::to("hoarder"))
    }
}

export!(HoardsKeys: authorizer);
