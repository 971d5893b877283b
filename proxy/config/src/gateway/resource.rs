//! An API as policies know it.

use std::sync::Arc;

use portcullis_policy::Policy;

/// An API as policies know it: the resource that callers ask for a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiResource {
    /// Its ARN: `arn:aws:execute-api:REGION:ACCOUNT:NAME`.
    pub arn: String,
    /// The gateway's account, 12 digits.
    pub account: String,
    /// What it says itself of who may call it; `None` says nothing.
    pub policy: Option<Arc<Policy>>,
}

impl ApiResource {
    /// The resource that an API of this name is.
    pub fn of(name: &str, account: &str, region: &str) -> Self {
        let arn = format!("arn:aws:execute-api:{region}:{account}:{name}");
        Self { arn, account: account.to_owned(), policy: None }
    }
}
