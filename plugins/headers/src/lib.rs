//! Sets, appends and removes headers of requests and responses.
//!
//! A header that is to be set of an attribute the request does not have is
//! removed: a client must not be able to say what the gateway was asked to say.

mod template;

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{
    Plan, Plugin, Reads, Request, RequestEdit, RequestOutcome, RequestTransform, Response,
    ResponseEdit, ResponseOutcome, ResponseTransform, Role, SettingsError, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::template::Template;

/// Names that frame messages or that only the gateway writes; the host refuses
/// edits of them, so settings that ask for one are refused at load.
const RESERVED: [&str; 15] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// What the operator writes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// What happens to the headers of requests.
    request: Changes,
    /// What happens to the headers of responses.
    response: Changes,
}

/// Changes to the headers of a message, made in this order.
///
/// Values may hold attributes: `"${identity:principal}"`, `"${path:id}"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Changes {
    /// Headers to remove.
    remove: Vec<String>,
    /// Headers to set, in the place of those of the same name.
    set: BTreeMap<String, Template>,
    /// Headers to add after those of the same name.
    append: BTreeMap<String, Template>,
}

/// A transform of headers.
#[derive(Debug)]
struct Headers {
    settings: Settings,
}

impl TryFrom<Settings> for Headers {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        settings.request.check("/request")?;
        settings.response.check("/response")?;
        Ok(Self { settings })
    }
}

impl Plugin for Headers {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        Plan::new()
            .reads_in(Role::RequestTransform, self.settings.request.reads())
            .reads_in(Role::ResponseTransform, self.settings.response.reads())
    }
}

impl RequestTransform for Headers {
    fn transform_request(&self, request: &Request) -> RequestOutcome {
        let edit = |change: Change| match change {
            Change::Remove(name) => RequestEdit::remove(name),
            Change::Set(name, value) => RequestEdit::set(name, value),
            Change::Append(name, value) => RequestEdit::append(name, value),
        };
        RequestOutcome::Edit(self.settings.request.for_request(request).map(edit).collect())
    }
}

impl ResponseTransform for Headers {
    fn transform_response(&self, request: &Request, _: &Response) -> ResponseOutcome {
        let edit = |change: Change| match change {
            Change::Remove(name) => ResponseEdit::remove(name),
            Change::Set(name, value) => ResponseEdit::set(name, value),
            Change::Append(name, value) => ResponseEdit::append(name, value),
        };
        ResponseOutcome::Edit(self.settings.response.for_request(request).map(edit).collect())
    }
}

/// One change, with its value.
enum Change<'a> {
    Remove(&'a str),
    Set(&'a str, String),
    Append(&'a str, String),
}

impl Changes {
    fn check(&self, at: &str) -> Result<(), SettingsError> {
        for (index, name) in self.remove.iter().enumerate() {
            check_name(name, || format!("{at}/remove/{index}"))?;
        }
        for (kind, changes) in [("set", &self.set), ("append", &self.append)] {
            for name in changes.keys() {
                let member = name.replace('~', "~0").replace('/', "~1");
                check_name(name, || format!("{at}/{kind}/{member}"))?;
            }
        }
        Ok(())
    }

    fn reads(&self) -> Reads {
        let templates = self.set.values().chain(self.append.values());
        let mut names: Vec<_> = templates.flat_map(Template::attributes).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().fold(Reads::new(), Reads::attribute)
    }

    fn for_request(&self, request: &Request) -> impl Iterator<Item = Change<'_>> {
        let removed = self.remove.iter().map(|name| Change::Remove(name));
        let set = self.set.iter().map(|(name, value)| match value.fill(request) {
            Some(value) => Change::Set(name, value),
            None => Change::Remove(name),
        });
        let appended = self.append.iter().filter_map(|(name, value)| {
            value.fill(request).map(|value| Change::Append(name, value))
        });
        removed.chain(set).chain(appended)
    }
}

fn check_name(name: &str, pointer: impl FnOnce() -> String) -> Result<(), SettingsError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(SettingsError::at(pointer(), format!("`{name}` is no header name")));
    }
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        let message = format!("`{name}` frames the message or is the gateway's own");
        return Err(SettingsError::at(pointer(), message));
    }
    Ok(())
}

export!(Headers: request_transform, response_transform);

#[cfg(test)]
mod tests;
