//! What the operator writes, or what the gateway writes of the operator's files.

use std::collections::BTreeMap;

use jsonschema::Draft;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::json::Limits;

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The documents that schemas stand in, by name: a relative path, or a URI. A `$ref`
    /// from one to another goes by these names; nothing is ever fetched.
    pub(crate) documents: BTreeMap<String, Value>,
    /// The schemas, by the names that routes give as their argument.
    pub(crate) schemas: BTreeMap<String, SchemaAt>,
    /// Whether texts must be of the `format` that a schema names.
    #[serde(default)]
    pub(crate) formats: Formats,
    /// Bounds on bodies.
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// Where a schema is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaAt {
    /// The document.
    pub(crate) document: String,
    /// The place in it, as a JSON Pointer; the whole where absent.
    #[serde(default)]
    pub(crate) pointer: String,
    /// How the schema is to be understood; as its document says (`$schema`, `openapi`)
    /// where absent, else by draft 2020-12.
    pub(crate) dialect: Option<Dialect>,
}

/// Whether formats count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Formats {
    /// They do.
    #[default]
    Check,
    /// They are remarks.
    Ignore,
}

/// A way to understand schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub(crate) enum Dialect {
    /// JSON Schema draft 4.
    #[serde(rename = "draft-04")]
    Draft4,
    /// JSON Schema draft 6.
    #[serde(rename = "draft-06")]
    Draft6,
    /// JSON Schema draft 7.
    #[serde(rename = "draft-07")]
    Draft7,
    /// JSON Schema draft 2019-09.
    #[serde(rename = "2019-09")]
    Draft201909,
    /// JSON Schema draft 2020-12.
    #[serde(rename = "2020-12")]
    Draft202012,
    /// The schema objects of OpenAPI 3.0.
    #[serde(rename = "openapi-3.0")]
    OpenApi30,
    /// The schema objects of OpenAPI 3.1.
    #[serde(rename = "openapi-3.1")]
    OpenApi31,
}

impl Dialect {
    /// What a document says of itself; none where it says something unknown.
    pub(crate) fn of(document: &Value) -> Option<Self> {
        if let Some(version) = document.get("openapi").and_then(Value::as_str) {
            return match version {
                _ if version.starts_with("3.0.") => Some(Self::OpenApi30),
                _ if version.starts_with("3.1.") => Some(Self::OpenApi31),
                _ => None,
            };
        }
        match Draft::default().detect(document) {
            Draft::Draft4 => Some(Self::Draft4),
            Draft::Draft6 => Some(Self::Draft6),
            Draft::Draft7 => Some(Self::Draft7),
            Draft::Draft201909 => Some(Self::Draft201909),
            Draft::Draft202012 => Some(Self::Draft202012),
            _ => None,
        }
    }

    /// The draft that schemas are compiled by, once they are rewritten for it.
    pub(crate) fn draft(self) -> Draft {
        match self {
            Self::Draft4 | Self::OpenApi30 => Draft::Draft4,
            Self::Draft6 => Draft::Draft6,
            Self::Draft7 => Draft::Draft7,
            Self::Draft201909 => Draft::Draft201909,
            Self::Draft202012 | Self::OpenApi31 => Draft::Draft202012,
        }
    }
}
