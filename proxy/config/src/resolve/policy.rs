//! What policies know the gateway by, and the resource policies of its APIs.

use std::sync::Arc;

use portcullis_policy::Policy;

use super::{Resolver, files};
use crate::diagnostic::{Diagnostic, Source};
use crate::document::{Document, FilePath};
use crate::gateway::ApiResource;

/// Whose the gateway is, as ARNs tell it.
#[derive(Clone, Copy)]
pub(super) struct Home<'d> {
    account: &'d str,
    region: &'d str,
}

/// Checks `account` and `region`.
pub(super) fn home<'d>(document: &'d Document, resolver: &mut Resolver<'_>) -> Home<'d> {
    let (account, region) = (&document.account, &document.region);
    if account.value.len() != 12 || !account.value.bytes().all(|b| b.is_ascii_digit()) {
        let message = format!("`{}` is no account", account.value);
        resolver.problem_with_help(&account.place, message, "an account is 12 digits");
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if region.value.is_empty() || !region.value.bytes().all(plain) {
        let message = format!("`{}` is no region", region.value);
        let help = "a region is lower-case letters, digits and `-`, as `eu-central-1`";
        resolver.problem_with_help(&region.place, message, help);
    }
    Home { account: &account.value, region: &region.value }
}

/// An API as policies know it, with its own policy.
pub(super) fn resource(
    name: &str,
    written: Option<&FilePath>,
    home: Home<'_>,
    resolver: &mut Resolver<'_>,
) -> Arc<ApiResource> {
    let mut resource = ApiResource::of(name, home.account, home.region);
    resource.policy = written.and_then(|file| policy(file, &resource.arn, resolver));
    Arc::new(resource)
}

/// Reads a policy; its problems are shown where they are in its own file.
fn policy(written: &FilePath, arn: &str, resolver: &mut Resolver<'_>) -> Option<Arc<Policy>> {
    let bytes = files::content(written, resolver)?;
    let path = files::joined(&written.place, &written.value);
    let name = path.display().to_string();
    let Ok(text) = String::from_utf8(bytes) else {
        resolver.problem(&written.place, format!("`{name}` is not UTF-8"));
        return None;
    };
    let error = match Policy::parse_of_resource(&text, arn) {
        Ok(policy) => return Some(Arc::new(policy)),
        Err(error) => error,
    };
    let source = Arc::new(Source { name, directory: path.with_file_name(""), text });
    for found in error.problems() {
        let place = source.place(found.bytes.clone());
        let mut problem = Diagnostic::at(&place, found.problem.to_string());
        if let Some(help) = &found.help {
            problem = problem.with_help(help);
        }
        resolver.problems.add(problem);
    }
    None
}
