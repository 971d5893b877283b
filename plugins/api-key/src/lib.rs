//! Admits requests that carry an API key of the gateway's store.
//!
//! The store knows whose a key is and what the operator wrote of both; this plugin knows
//! where requests carry one.

use portcullis_plugin_sdk::credentials::{self, Credential};
use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, SettingsError, Value, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The attribute of an earlier authorizer that holds a key.
const USAGE_KEY: &str = "identity:usage-key";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where requests carry their key: `header:NAME`, `query:NAME`, `cookie:NAME`, or
    /// `authorizer` for the usage key that an earlier authorizer of an `all` names.
    #[serde(default = "default_place")]
    from: String,
    /// Attributes that the consumer or the key must have.
    #[serde(default)]
    require_attributes: Vec<String>,
    /// The status for a key that is unknown or lacks an attribute: 401, or 403 as AWS
    /// API Gateway answers.
    #[serde(default = "default_status")]
    refuse_with: u16,
}

fn default_place() -> String {
    "header:x-api-key".to_owned()
}

fn default_status() -> u16 {
    401
}

/// An authorizer by API key.
#[derive(Debug)]
struct ApiKey {
    place: Place,
    required: Vec<String>,
    refusal: Refusal,
}

/// Where requests carry their key.
#[derive(Debug, PartialEq)]
enum Place {
    Header(String),
    Query(String),
    Cookie(String),
    Authorizer,
}

/// How a key that does not hold is answered.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Unauthenticated,
    Forbidden,
}

impl TryFrom<Settings> for ApiKey {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        let place = Place::parse(&settings.from).ok_or_else(|| {
            let message =
                "write `header:NAME`, `query:NAME`, `cookie:NAME` or `authorizer`".to_owned();
            SettingsError::at("/from", message)
        })?;
        let refusal = match settings.refuse_with {
            401 => Refusal::Unauthenticated,
            403 => Refusal::Forbidden,
            _ => return Err(SettingsError::at("/refuse_with", "it is 401 or 403")),
        };
        Ok(Self { place, required: settings.require_attributes, refusal })
    }
}

impl Plugin for ApiKey {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        let plan = match &self.place {
            Place::Header(name) => Plan::new().reads_header(name),
            Place::Query(name) => Plan::new().reads_parameter(name),
            Place::Cookie(_) => Plan::new().reads_header("cookie"),
            Place::Authorizer => Plan::new().reads_attribute(USAGE_KEY),
        };
        plan.cacheable()
    }
}

impl Authorizer for ApiKey {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let presented = match self.place.find(request) {
            Found::Nothing => return Err(Denial::NotMine),
            Found::Unclear => return Err(self.refuse("malformed-key")),
            Found::One(presented) => presented,
        };
        match credentials::find(presented) {
            Ok(Some(known)) if self.has_required(&known) => Ok(grant(known)),
            Ok(Some(_)) => Err(Denial::forbidden("attribute-missing")),
            Ok(None) => Err(self.refuse("unknown-key")),
            // What cannot be looked up does not hold.
            Err(_) => Err(Denial::unavailable("store-unavailable")),
        }
    }
}

impl ApiKey {
    fn refuse(&self, code: &str) -> Denial {
        match self.refusal {
            Refusal::Unauthenticated => Denial::unauthenticated(code),
            Refusal::Forbidden => Denial::forbidden(code),
        }
    }

    fn has_required(&self, known: &Credential) -> bool {
        self.required.iter().all(|name| known.attributes.iter().any(|it| it.name == *name))
    }
}

/// The key's own facts come last: no attribute of the operator's takes their place.
fn grant(known: Credential) -> Grant {
    let mut grant = Grant::to(known.consumer).with_usage_key(&known.id);
    for attribute in known.attributes.into_iter().filter(|it| it.name != "key-id") {
        grant = grant.with_attribute(attribute.name, attribute.value);
    }
    grant = grant.with_attribute("key-id", known.id);
    match known.expires_at {
        Some(time_ms) => grant.expires_at_ms(time_ms),
        None => grant,
    }
}

/// What a request carries in the place of a key.
enum Found<'a> {
    Nothing,
    /// Several, or what no key can be.
    Unclear,
    One(&'a [u8]),
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if text == "authorizer" {
            return Some(Self::Authorizer);
        }
        let (kind, name) = text.split_once(':')?;
        let plain = |c: char| c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        match kind {
            "header" => Some(Self::Header(name.to_ascii_lowercase())),
            "query" => Some(Self::Query(name.to_owned())),
            "cookie" => Some(Self::Cookie(name.to_owned())),
            _ => None,
        }
    }

    /// Finds the key; one that is there but unclear is refused, never skipped.
    fn find<'a>(&self, request: &'a Request) -> Found<'a> {
        match self {
            Self::Header(name) => only(request.headers_all(name)),
            Self::Query(name) => only(request.parameters_all(name).map(str::as_bytes)),
            Self::Cookie(name) => only(request.cookies_all(name)),
            Self::Authorizer => {
                let values = request.attributes.iter().filter(|it| it.name == USAGE_KEY);
                only(values.map(|it| match &it.value {
                    Value::Text(text) => text.as_bytes(),
                    // No key is empty, so this one is unclear.
                    _ => b"",
                }))
            }
        }
    }
}

fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Found<'a> {
    match (values.next(), values.next()) {
        (None, _) => Found::Nothing,
        (Some(one), None) if !one.is_empty() => Found::One(one),
        _ => Found::Unclear,
    }
}

export!(ApiKey: authorizer);

#[cfg(test)]
mod tests;
