//! What is kept, as operators see it. Secrets are no part of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::StateError;

/// Attributes that one consumer or credential may have.
const MOST_ATTRIBUTES: usize = 50;
/// Bytes of a name: of a consumer, an attribute, a policy.
const NAME_BYTES: usize = 128;
/// Characters of what the operator calls a credential, as in AWS API Gateway.
const TITLE_LENGTH: usize = 1024;
/// Bytes of all values of a consumer's or a credential's attributes.
const VALUE_BYTES: usize = 8 << 10;

/// What a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A secret that clients present as it is.
    ApiKey,
    /// A public id with a secret that clients sign with.
    AccessKey,
}

impl Kind {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::AccessKey => "access-key",
        }
    }

    /// As messages name it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::ApiKey => "API key",
            Self::AccessKey => "access key",
        }
    }
}

/// Whether a credential may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It may, until it expires.
    Enabled,
    /// It is as good as unknown.
    Disabled,
}

/// What the operator writes of a consumer or a credential: plugins see each as an
/// attribute, later phases as `identity:<name>`.
pub type Attributes = BTreeMap<String, Attribute>;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Texts.
    Texts(Vec<String>),
}

/// Who has credentials: a person, a program, a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consumer {
    /// Its name, the principal of its requests.
    pub name: String,
    /// What else is known of it.
    pub attributes: Attributes,
    /// When it was added, in milliseconds since 1970.
    pub created: u64,
}

/// A credential, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// Its public id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub consumer: String,
    /// What the operator calls it.
    pub name: Option<String>,
    /// What else is known of it.
    pub attributes: Attributes,
    /// Whether it may be used.
    pub status: Status,
    /// Its usage plan.
    pub plan: Option<String>,
    /// Whose requests its own are counted with: the id of the first that it takes the place
    /// of, or its own.
    pub account: String,
    /// Whether a session token must come with it.
    pub session: bool,
    /// When it was added, in milliseconds since 1970.
    pub created: u64,
    /// The credential it takes the place of.
    pub rotated_from: Option<String>,
    /// When another took its place, in milliseconds since 1970.
    pub rotated: Option<u64>,
    /// When it stops to hold, in milliseconds since 1970.
    pub expires_at: Option<u64>,
}

/// What a policy is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyTarget {
    /// The credential with this id.
    Credential(String),
    /// Every credential of this consumer.
    Consumer(String),
}

/// A policy as it was attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyRecord {
    /// Its name, unique where it is attached.
    pub name: String,
    /// The document, a JSON text.
    pub document: String,
}

/// Refuses names that could not be shown or be part of a path.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), StateError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.@:+=,".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(plain) {
        return Err(StateError::Invalid(format!(
            "{what} is 1 to {NAME_BYTES} letters, digits and `_-.@:+=,`"
        )));
    }
    Ok(())
}

/// Refuses what a credential cannot be called: names that a terminal could not show. They
/// are part of no path and no policy, and may have spaces.
pub(crate) fn check_title(name: &str) -> Result<(), StateError> {
    let is_plain = !name.chars().any(char::is_control) && name.trim() == name;
    if name.is_empty() || name.chars().count() > TITLE_LENGTH || !is_plain {
        return Err(StateError::Invalid(format!(
            "the name of a credential is 1 to {TITLE_LENGTH} characters without controls and without space at its ends"
        )));
    }
    Ok(())
}

/// Refuses attributes that are too many or too long.
pub(crate) fn check_attributes(attributes: &Attributes) -> Result<(), StateError> {
    if attributes.len() > MOST_ATTRIBUTES {
        return Err(StateError::Invalid(format!("at most {MOST_ATTRIBUTES} attributes")));
    }
    let mut bytes = 0_usize;
    for (name, value) in attributes {
        check_name("the name of an attribute", name)?;
        bytes += match value {
            Attribute::Text(text) => text.len(),
            Attribute::Integer(_) | Attribute::Boolean(_) => 8,
            Attribute::Texts(texts) => texts.iter().map(|text| text.len() + 8).sum(),
        };
    }
    if bytes > VALUE_BYTES {
        return Err(StateError::Invalid(format!("attributes of at most {VALUE_BYTES} bytes")));
    }
    Ok(())
}
