//! Stages of APIs.

use std::collections::BTreeMap;

/// A way to an API, with an address and values of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name in the configuration.
    pub name: String,
    /// What stands before the API's base path and is not shown to upstreams, without its last
    /// slash; empty for nothing.
    pub base_path: String,
    /// What `stage:NAME` is, by name.
    pub values: BTreeMap<String, String>,
}
